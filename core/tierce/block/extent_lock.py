"""Which extents are held, by readers or by one writer, and who waits for them.

For devices that park operations: what overlaps a held extent waits, in the order in which it
came; everything else passes. While nothing is held, the only cost is asking whether it is.

**Handing on.** A hold that waits hangs on the latest of those before it that stand against it,
and is looked at again when that one is given back: a pile of holds on one extent is a chain, and
each `release` costs as many looks as it has followers. Whoever is granted a hold may give it back
from within; so holds are granted by one loop, not by each other, and a chain of any length needs
no deeper stack.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import attrs


@attrs.define(eq=False)
class ExtentHold:
    """An extent that is held, or waited for.

    Attributes:
        offset: First byte.
        end: One past the last byte.
        is_exclusive: Nobody else may hold any of it.
        granted: Called once, when the extent is held.
        number: Its place in the order in which holds came.
        followers: Those that wait for this one to be given back, and are looked at then.
    """

    offset: int
    end: int
    is_exclusive: bool
    granted: Callable[[ExtentHold], None]
    number: int = 0
    followers: list[ExtentHold] = attrs.field(factory=list)

    def conflicts(self, other: ExtentHold) -> bool:
        """True if the two can't be held at once."""
        return (
            self.offset < other.end
            and other.offset < self.end
            and (self.is_exclusive or other.is_exclusive)
        )


class ExtentLock:
    """Claims on extents of one device, on one thread.

    Thread: any thread, always the same.
    Blocking: no.
    Failure: what `granted` raises is raised.
    Since: contract 2.
    """

    def __init__(self) -> None:
        #: Held ones and waiting ones, oldest first.
        self._holds: dict[ExtentHold, None] = {}
        self._numbers = itertools.count()
        #: What may be held by now and has not been told so.
        self._free: deque[ExtentHold] = deque()
        self._is_granting = False

    def __bool__(self) -> bool:
        """True if anything is held."""
        return bool(self._holds)

    def is_free(self, offset: int, length: int, *, exclusive: bool) -> bool:
        """True if a hold would be granted at once."""
        end = offset + length
        return not any(
            hold.offset < end and offset < hold.end and (exclusive or hold.is_exclusive)
            for hold in self._holds
        )

    def acquire(
        self, offset: int, length: int, granted: Callable[[ExtentHold], None], *, exclusive: bool
    ) -> None:
        """Hold an extent: `granted(hold)` is called now, from within, or when it is free.

        Whoever is granted a hold gives it back with `release`.
        """
        hold = ExtentHold(offset, offset + length, exclusive, granted, next(self._numbers))
        obstacle = self._obstacle(hold)
        self._holds[hold] = None
        if obstacle is None:
            granted(hold)
        else:
            obstacle.followers.append(hold)

    def release(self, hold: ExtentHold) -> None:
        """Give a hold back, and grant what waited for it: before this returns, or, from within
        `granted`, after that has returned."""
        del self._holds[hold]
        for follower in hold.followers:
            obstacle = self._obstacle(follower)
            if obstacle is None:
                self._free.append(follower)
            else:
                obstacle.followers.append(follower)
        if self._is_granting or not self._free:
            return
        self._is_granting = True
        try:
            while self._free:
                free = self._free.popleft()
                free.granted(free)
        finally:
            self._is_granting = False

    def _obstacle(self, wanted: ExtentHold) -> ExtentHold | None:
        """Return the latest hold that came before this one and stands against it."""
        for hold in reversed(self._holds):
            if hold.number < wanted.number and hold.conflicts(wanted):
                return hold
        return None
