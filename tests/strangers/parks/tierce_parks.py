"""A filter that parks every batch, and passes it on when the loop comes round."""

import tierce


class Parks(tierce.Filter):
    """Answers nothing at once."""

    def submit(self, batch: list[tierce.Request], completed: tierce.Completed) -> None:
        """Pass it on later."""
        waiting = list(batch)
        self.context.reactor.call_soon(lambda: self.pass_on(waiting, completed))


@tierce.hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name the filter."""
    return [
        tierce.FilterDescription(
            name="parks",
            summary="Parks.",
            factory="tierce_parks:Parks",
            operations=frozenset(op.name for op in tierce.Op),
            flags=tierce.Flag.FUA | tierce.Flag.NO_HOLE,
            contract=2,
        )
    ]
