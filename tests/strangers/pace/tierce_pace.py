"""A filter that holds every request back for a while, which changes while it serves."""

from __future__ import annotations

from collections.abc import Callable

import attrs

import tierce


@attrs.frozen
class PaceOptions:
    """Of an element of a volume's `filters:`."""

    delay_s: float = tierce.option(
        doc="How long every request is held back.",
        default=0.0,
        unit="seconds",
        minimum=0,
        maximum=5,
        live=True,
    )
    label: str = tierce.option(doc="What it is called where it is shown.", default="pace")


class Pace:
    """Holds requests back; what it does now is seen in `tierce volume show`."""

    def __init__(self, context: tierce.OpenContext, below: tierce.Device) -> None:
        self.geometry = below.geometry
        self.capabilities = below.capabilities
        self._below = below
        self._context = context
        self._options: PaceOptions = context.options
        self._show()

    def reconfigure(self, options: PaceOptions) -> None:
        """Take another delay: from the next request on."""
        if options.delay_s == 1.25:
            raise ValueError("1.25 s is out of step")
        self._options = options
        self._show()

    def submit(self, batch: list[tierce.Request], completed: tierce.Completed) -> None:
        """Pass everything on when its time has come."""

        def pass_on() -> None:
            self._below.submit(batch, completed)
            done = [request for request in batch if request.status is not None]
            if done:
                completed(done)

        if self._options.delay_s:
            self._context.reactor.call_later(self._options.delay_s, pass_on)
        else:
            self._below.submit(batch, completed)

    def close(self, closed: Callable[[tierce.Status], None]) -> None:
        """Close what is below."""
        self._below.close(closed)

    def _show(self) -> None:
        shown = {self._options.label: {"delay_s": self._options.delay_s}}
        self._context.publish(tierce.VolumeStatus(details=shown))


@tierce.hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name the filter."""
    return [
        tierce.FilterDescription(
            name="pace",
            summary="Holds every request back for a while.",
            factory="tierce_pace:Pace",
            operations=frozenset({"READ", "WRITE", "FLUSH"}),
            options=PaceOptions,
            contract=2,
        )
    ]
