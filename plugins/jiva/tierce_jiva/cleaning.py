"""When a region's mark may go: after a flush that began after its last write has completed on all,
and some time without further writes to it, so that one in use is not marked again and again."""

from __future__ import annotations

from tierce_jiva.marks import Marks
from tierce_jiva.unflushed import Unflushed


class Cleaning:
    """Chooses the regions whose marks may go.

    Args:
        marks: The marks.
        unflushed: The account of what is not flushed.
        after_s: How long a region must have rested, in seconds.
    """

    def __init__(self, marks: Marks, unflushed: Unflushed, after_s: float) -> None:
        self._marks = marks
        self._unflushed = unflushed
        self._after_s = after_s
        self._due: float | None = None
        #: What is watched was written in this flush epoch or later; the newest that all have
        #: flushed up to.
        self._watched = self._flushed = 0

    def __bool__(self) -> bool:
        """True while there is something to be looked at later."""
        return self._due is not None

    def flushed(self, epoch: int, now: float) -> None:
        """All required replicas have flushed what was written before that epoch."""
        self._flushed = max(self._flushed, epoch)
        if self._due is None and self._marks.common:
            self._watch(now)

    def _watch(self, now: float) -> None:
        self._watched = self._flushed
        self._unflushed.watch(self._watched)
        self._marks.recent.clear()
        self._due = now + self._after_s

    def take(self, now: float, busy: frozenset[int]) -> frozenset[int]:
        """Return regions that may be cleared now; none before their time.

        Args:
            now: Seconds.
            busy: Regions that are not as they should be on every member.
        """
        if self._due is None or now < self._due:
            return frozenset()
        self._due = None
        used = self._unflushed.written_since_watch() | self._marks.recent
        if self._flushed > self._watched and self._marks.common & used:
            # What was written meanwhile was flushed meanwhile: perhaps it rests now.
            self._watch(now)
        return self._marks.common - used - busy
