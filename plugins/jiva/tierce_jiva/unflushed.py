"""What was written since each replica's last completed flush began: what is in doubt on one whose
process has ended, since a failed sync may have ended with it.

Kept by granule of 64 KiB, in epochs: beginning a flush ends one. Every write goes to every replica
that matters, so that one account serves all of them; a replica is known by the epoch up to which
it has flushed. That costs one `set.add` a write. What is copied to one alone is its own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tierce_jiva.in_flight import GRANULE_SHIFT
from tierce_jiva.regions import EXTENT_SHIFT, Extents, Regions

_TO_EXTENT = EXTENT_SHIFT - GRANULE_SHIFT
#: So many epochs are kept apart; where one replica has not flushed for longer, the oldest are
#: merged into the last of them: it is taken to have flushed less than it may have.
EPOCH_COUNT_MAX = 64


class Unflushed:
    """An account of granules by flush epoch.

    Args:
        regions: The volume's division.
    """

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self._to_region = regions.shift - GRANULE_SHIFT
        #: The granules written in the epoch under way.
        self.current: set[int] = set()
        #: Number and granules of each epoch that has ended, oldest first.
        self._ended: list[tuple[int, set[int]]] = []
        #: The number of the epoch under way: a flush that begins later covers it.
        self.epoch = 0
        #: Granules of the epochs that have ended since a flush of all members began.
        self.owed_count = 0
        #: Regions that the last target may have written without a flush: epoch 0's.
        self._inherited: frozenset[int] = frozenset()
        #: Regions of epochs that were forgotten since `watch`.
        self._watched: set[int] | None = None
        self._watched_from = 0

    def inherit(self, regions: Iterable[int]) -> None:
        """Begin: what lies in these regions may not be flushed anywhere."""
        self._inherited = frozenset(regions)

    def add(self, offset: int, length: int) -> None:
        """Note a write of these bytes."""
        first, last = offset >> GRANULE_SHIFT, offset + length - 1 >> GRANULE_SHIFT
        if first == last:
            self.current.add(first)
        else:
            self.current.update(range(first, last + 1))

    def count_ended(self, epoch: int) -> int:
        """Return how many granules are kept of ended epochs since that one."""
        return sum(len(granules) for number, granules in self._ended if number >= epoch)

    def begin_flush(self) -> int:
        """End the epoch under way: a flush that begins now covers all before the one returned."""
        if self.current or (self._inherited and not self.epoch):
            self.owed_count += len(self.current)
            self._ended.append((self.epoch, self.current))
            self.current = set()
            self.epoch += 1
            if len(self._ended) > EPOCH_COUNT_MAX:
                self._merge()
        return self.epoch

    def _merge(self) -> None:
        merged = self._ended[: EPOCH_COUNT_MAX // 2]
        granules = merged[0][1]
        for _, other in merged[1:]:
            granules |= other
        self._ended[: EPOCH_COUNT_MAX // 2] = [(merged[-1][0], granules)]

    def since(self, epoch: int) -> Extents:
        """Return what was written in that epoch or later."""
        found = Extents(self._regions, self._inherited if epoch == 0 else ())
        for granule in self._granules(epoch):
            found.add(granule >> _TO_EXTENT)
        return found

    def forget(self, epoch: int) -> None:
        """Every replica that matters has flushed what came before that epoch."""
        gone = next((i for i, (number, _) in enumerate(self._ended) if number >= epoch), None)
        for number, granules in self._ended[:gone]:
            if self._watched is not None and number >= self._watched_from:
                self._watched.update(granule >> self._to_region for granule in granules)
        del self._ended[:gone]
        if epoch > 0:
            self._inherited = frozenset()

    def watch(self, epoch: int) -> None:
        """Keep in mind which regions are written in that epoch or later."""
        self._watched, self._watched_from = set(), epoch

    def written_since_watch(self) -> frozenset[int]:
        """Return the regions written since `watch`, and stop watching."""
        found = set(self._watched or ())
        found.update(g >> self._to_region for g in self._granules(self._watched_from))
        self._watched = None
        return frozenset(found)

    def _granules(self, epoch: int) -> Iterator[int]:
        for number, granules in self._ended:
            if number >= epoch:
                yield from granules
        yield from self.current
