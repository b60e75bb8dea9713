"""Looking whether a plugin's device answers: what it has for too long is told, and told again each
minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tierce.block.operation import Request
from tierce.reactor import Reactor
from tierce.volume.blame import Blame

#: A call that has not come back after so many seconds is told; looked for as often, so that it is
#: told within twice the time.
STALL_S = 4.5
_STALL_NS = int(STALL_S * 1e9)


class Stalls:
    """What one device has not answered.

    Args:
        began: When each request that is pending there was submitted, in ns; the one that waits
            longest first.
        blame: Where it is told.
        reactor: The target's loop.
        clock: Returns nanoseconds.
        is_known: True if somebody else says already that it waits, or why.

    Attributes:
        clock: As above.
        is_watching: It is going to look.
    """

    def __init__(
        self,
        began: Mapping[Request, int],
        blame: Blame,
        reactor: Reactor,
        clock: Callable[[], int],
        is_known: Callable[[], bool],
    ) -> None:
        self.is_watching = False
        self._began = began
        self._blame = blame
        self._reactor = reactor
        self.clock = clock
        self._is_known = is_known

    @property
    def is_stalled(self) -> bool:
        """True if it has not answered something for too long."""
        began = next(iter(self._began.values()), 0)
        return bool(began) and self.clock() - began >= _STALL_NS

    def watch(self) -> None:
        """Something is pending: look at it later."""
        self.is_watching = True
        self._reactor.call_later(STALL_S, self._look)

    def _look(self) -> None:
        self.is_watching = False
        if not self._began:
            return
        if self.is_stalled and not self._is_known():
            oldest, began = next(iter(self._began.items()))
            waited_s = (self.clock() - began) // 1_000_000_000
            self._blame.mistake(
                "does not answer",
                f"{oldest.op.name} of {oldest.length} bytes at {oldest.offset} waits for "
                f"{waited_s} s, {len(self._began)} requests in all",
            )
        self.watch()
