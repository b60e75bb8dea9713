"""A filter that reports what it was answered twice."""

import tierce


class Repeats(tierce.Filter):
    """Completes each request twice."""

    def submit(self, batch: list[tierce.Request], completed: tierce.Completed) -> None:
        """Pass it on later, and report it once more than it should."""

        def twice(requests: list[tierce.Request]) -> None:
            completed(requests)
            completed(requests)

        waiting = list(batch)
        self.context.reactor.call_soon(lambda: self.pass_on(waiting, twice))


@tierce.hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name the filter."""
    return [
        tierce.FilterDescription(
            name="repeats",
            summary="Repeats.",
            factory="tierce_repeats:Repeats",
            operations=frozenset(op.name for op in tierce.Op),
            flags=tierce.Flag.FUA | tierce.Flag.NO_HOLE,
            contract=2,
        )
    ]
