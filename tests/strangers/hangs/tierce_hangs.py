"""An engine and a filter that never come back from a read."""

import threading

import tierce


class HangingFilter(tierce.Filter):
    """Forgets what it is given."""

    def submit(self, batch: list[tierce.Request], completed: tierce.Completed) -> None:
        """Forget it."""


class HangingEngine(tierce.SimpleDevice):
    """Waits in `read` for what never comes."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.context = context
        self.never = threading.Event()

    def read(self, offset: int, buffer: memoryview) -> None:
        """Wait."""
        self.never.wait()

    def write(self, offset: int, data: memoryview) -> None:
        """Forget it."""


@tierce.hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name the filter."""
    return [
        tierce.FilterDescription(
            name="hangs",
            summary="Hangs.",
            factory="tierce_hangs:HangingFilter",
            operations=frozenset(op.name for op in tierce.Op),
            flags=tierce.Flag.FUA | tierce.Flag.NO_HOLE,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Name the engine."""
    return [
        tierce.EngineDescription(
            name="hangs", summary="Hangs.", factory="tierce_hangs:HangingEngine", contract=2
        )
    ]
