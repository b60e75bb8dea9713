"""What goes on is told once, and then once a minute with how much more of it there was.

A filter that fails on each I/O fails a hundred thousand times a second; who is told of each hears
of nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import attrs

from tierce.reactor import Reactor, Timer

#: A kind that goes on is told again after so many seconds.
TELL_AGAIN_S = 60.0

K = TypeVar("K", bound=Hashable)


@attrs.define
class _Told:
    """What the last one of a kind was, and how many came since it was told."""

    message: str
    more: int = 0


class Recurring(Generic[K]):
    """Tells the first of each kind at once.

    Args:
        reactor: The loop.
        tell: Called with the kind, what the last one of it was, and how many came since the kind
            was told: none, of the first.
    """

    def __init__(self, reactor: Reactor, tell: Callable[[K, str, int], None]) -> None:
        self._reactor = reactor
        self._tell = tell
        self._kinds: dict[K, _Told] = {}
        self._timer: Timer | None = None

    def take(self, kind: K, message: str) -> bool:
        """Take note of one; return whether it was told."""
        told = self._kinds.get(kind)
        if told is not None:
            told.message = message
            told.more += 1
            return False
        self._kinds[kind] = _Told(message)
        self._tell(kind, message, 0)
        self._set_timer()
        return True

    def close(self) -> None:
        """Tell what has not been told: nothing more will come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_what_went_on()

    def _look(self) -> None:
        self._timer = None
        self._tell_what_went_on()
        if self._kinds:
            self._set_timer()

    def _tell_what_went_on(self) -> None:
        """What did not go on is told at once when it comes again."""
        self._kinds = {kind: one for kind, one in self._kinds.items() if one.more}
        for kind, one in self._kinds.items():
            more, one.more = one.more, 0
            self._tell(kind, one.message, more)

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = self._reactor.call_later(TELL_AGAIN_S, self._look)
