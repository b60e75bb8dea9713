"""Signals as events of the supervisor's loop: none interrupts anything."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Mapping

from tierce.reactor import READABLE, Reactor


@contextlib.contextmanager
def caught_signals(
    reactor: Reactor, actions: Mapping[signal.Signals, Callable[[], None]]
) -> Iterator[None]:
    """Call the action of a signal from the loop, as long as this lasts."""
    inner, outer = socket.socketpair()
    inner.setblocking(False)
    outer.setblocking(False)
    # The wakeup descriptor carries the news into the loop; the handlers have nothing to do. It
    # comes first: what only a handler heard of would be lost.
    signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda _number, _frame: None) for number in actions}

    def arrived(_events: int) -> None:
        # What has come several times before anybody looked is one wish.
        for number in dict.fromkeys(inner.recv(64)):
            if number in actions:
                actions[signal.Signals(number)]()

    reactor.watch(inner.fileno(), READABLE, arrived)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        reactor.unwatch(inner.fileno())
        inner.close()
        outer.close()
