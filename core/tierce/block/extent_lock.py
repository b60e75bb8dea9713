"""Which extents are held, by readers or by one writer, and who waits for them.

For devices that park operations: what overlaps a held extent waits, in the order in which it
came; everything else passes. While nothing is held, the only cost is asking whether it is.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.define(eq=False)
class Claim:
    """An extent that is held, or waited for.

    Attributes:
        offset: First byte.
        end: One past the last byte.
        is_exclusive: Nobody else may hold any of it.
        granted: Called once, when the claim is held.
    """

    offset: int
    end: int
    is_exclusive: bool
    granted: Callable[[Claim], None]

    def conflicts(self, other: Claim) -> bool:
        """True if the two can't be held at once."""
        return (
            (self.is_exclusive or other.is_exclusive)
            and self.offset < other.end
            and other.offset < self.end
        )


class ExtentLock:
    """Claims on extents of one device, on one thread."""

    def __init__(self) -> None:
        self._held: list[Claim] = []
        self._waiting: list[Claim] = []

    def __bool__(self) -> bool:
        """True if anything is held."""
        return bool(self._held)

    def is_free(self, offset: int, length: int, *, exclusive: bool) -> bool:
        """True if a claim would be granted at once."""
        wanted = Claim(offset, offset + length, exclusive, lambda _claim: None)
        return not self._stands_against(wanted, self._waiting)

    def acquire(
        self, offset: int, length: int, granted: Callable[[Claim], None], *, exclusive: bool
    ) -> None:
        """Claim an extent: `granted(claim)` is called now, from within, or when it is free.

        Whoever is granted a claim gives it back with `release`.
        """
        claim = Claim(offset, offset + length, exclusive, granted)
        if self._stands_against(claim, self._waiting):
            self._waiting.append(claim)
        else:
            self._held.append(claim)
            granted(claim)

    def release(self, claim: Claim) -> None:
        """Give a claim back, and grant what waited for it."""
        self._held.remove(claim)
        if not self._waiting:
            return
        free: list[Claim] = []
        still: list[Claim] = []
        for waiting in self._waiting:
            if self._stands_against(waiting, still):
                still.append(waiting)
            else:
                self._held.append(waiting)
                free.append(waiting)
        self._waiting = still
        for waiting in free:
            waiting.granted(waiting)

    def _stands_against(self, wanted: Claim, ahead: list[Claim]) -> bool:
        return any(map(wanted.conflicts, self._held)) or any(map(wanted.conflicts, ahead))
