"""Asking a device when what it has given up can't be applied any more.

A device may answer a request before it knows what became of it: a replicated one without a
majority answers NOT_READY after a while, and a replica may still have the write before it. Whoever
has to promise that something will *not* happen later (a reset, an aborted task, a session that is
replaced) asks first.

The rule for a device that does so: it has a method

    when_quiet(quiet: Callable[[], None]) -> None

which calls `quiet()` exactly once, on the data thread, as soon as none of the requests that it had
answered when it was asked can still change what a read finds: each has been applied, or never will
be. It calls it from within where that is so already; it may take for ever. Requests that are
pending don't count: whoever asks waits for those by their own answers. A device that gives nothing
up needs no such method, and neither does a filter that only passes on: the device below it is
asked.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce.block.device import Device


def when_quiet(device: Device, quiet: Callable[[], None]) -> None:
    """Call `quiet` once nothing that this device has answered can be applied any more.

    See the module. From within, if that is so now, as it is for a device without the method.
    """
    ask: Callable[[Callable[[], None]], None] | None = getattr(device, "when_quiet", None)
    if ask is None:
        quiet()
    else:
        ask(quiet)
