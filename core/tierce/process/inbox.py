"""What other threads want done on the loop's thread."""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Callable

from tierce.reactor import READABLE, Reactor

#: Calls that wait; one more is refused.
INBOX_COUNT_MAX = 10_000


class Inbox:
    """Takes calls from any thread and makes them on the loop's.

    Args:
        reactor: The loop.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        reactor.watch(self._wake, READABLE, self._take)

    def post(self, call: Callable[[], None]) -> bool:
        """Have it called soon; return False if too many wait already. May come from any thread."""
        if len(self._calls) >= INBOX_COUNT_MAX:
            return False
        self._calls.append(call)
        with contextlib.suppress(OSError):
            # After `close` nobody reads it.
            os.eventfd_write(self._wake, 1)
        return True

    def close(self) -> None:
        """Make the calls that wait, and take no more.

        The descriptor stays: a thread may be about to write to it.
        """
        self._take(0)
        self._reactor.unwatch(self._wake)

    def _take(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        # No more than wait now: a thread that posts without end must not keep the loop.
        for _ in range(len(self._calls)):
            self._calls.popleft()()
        if self._calls:
            os.eventfd_write(self._wake, 1)
