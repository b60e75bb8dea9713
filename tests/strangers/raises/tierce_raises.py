"""A filter with a bug in every method."""

import tierce


class Raises(tierce.Filter):
    """Fails on everything but its own making."""

    def submit(self, batch: list[tierce.Request], completed: tierce.Completed) -> None:
        """Raise."""
        raise KeyError("forgot to fill the table")

    def close(self, closed: tierce.Closed) -> None:
        """Raise."""
        raise RuntimeError("forgot how")


@tierce.hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name the filter."""
    return [
        tierce.FilterDescription(
            name="raises",
            summary="Raises.",
            factory="tierce_raises:Raises",
            operations=frozenset(op.name for op in tierce.Op),
            flags=tierce.Flag.FUA | tierce.Flag.NO_HOLE,
            contract=2,
        )
    ]
