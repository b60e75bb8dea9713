"""What a filter is built on: a device over a device that passes everything on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tierce.block.device import BaseDevice, Device, Geometry
from tierce.block.operation import Completed, Request
from tierce.block.quiet import when_quiet


class Filter(BaseDevice):
    """A filter that does nothing yet: override what yours does.

    What it passes on in `submit` itself goes to `self.below.submit(batch, completed)`, with the
    `completed` that it was given. What it has pending and passes on later goes through `pass_on`.

    Core closes what lies below when the filter has closed: `close` is for the filter's own things.

    Args:
        context: What the filter is opened with: an `OpenContext` with the filter's own options.
        below: What it is put on. It answers by the rules of a device, and refuses what it does not
            say that it does (`below.capabilities`).

    Making:
        Blocking: yes, before anything is served.
        Failure: the volume is not served; the target is started again after growing pauses.
    Thread: data thread.
    Blocking: no.
    Failure: what it has not answered is answered with an error, told by name and counted; what it
        had passed on is answered so when it comes back.
    Since: contract 2.
    """

    def __init__(self, context: Any, below: Device) -> None:
        self.context = context
        self.below = below
        self.geometry = below.geometry
        self.capabilities = below.capabilities

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Pass everything on."""
        self.below.submit(batch, completed)

    def pass_on(self, batch: list[Request], completed: Completed) -> None:
        """Submit requests that `submit` has pending, from outside of it.

        What the device below answers at once is reported too: to whoever submitted it, it was
        pending, and a pending request is answered by `completed` and by nothing else.

        Failure: yours to call, not to override.
        """
        self.below.submit(batch, completed)
        answered = [request for request in batch if request.status is not None]
        if answered:
            completed(answered)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """As below: a filter that gives up nothing has nothing to add."""
        when_quiet(self.below, quiet)

    def resized(self, geometry: Geometry) -> None:
        """The device below has this shape now. A filter that shows another one than what is below
        it sets `self.geometry` to what that comes to.

        Failure: its shape stays as it was.
        """
        self.geometry = geometry
