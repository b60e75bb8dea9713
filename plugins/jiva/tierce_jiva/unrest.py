"""Which bytes came to be in question when: what was read of them before says nothing any more.

Every such moment has a number. Who reads notes the number, and asks afterwards whether his bytes
came to be in question since.
"""

from __future__ import annotations

from tierce_jiva.regions import Extents, Regions

#: So many moments are kept apart; where there are more, the oldest are taken as one, and their
#: regions as a whole: a read that was under way for so long may be repeated without need.
MOMENT_COUNT_MAX = 64


class Unrest:
    """An account of such moments.

    Args:
        regions: The volume's division.
    """

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        #: The number of the last moment.
        self.number = 0
        #: Numbers and extents, oldest first.
        self._moments: list[tuple[int, Extents]] = []

    def note(self, extents: Extents) -> None:
        """These came to be in question now. The set is kept, and must not change."""
        self.number += 1
        self._moments.append((self.number, extents))
        if len(self._moments) > MOMENT_COUNT_MAX:
            oldest = self._moments[: MOMENT_COUNT_MAX // 2]
            merged = Extents(self._regions, frozenset().union(*(e.regions() for _, e in oldest)))
            self._moments[: MOMENT_COUNT_MAX // 2] = [(oldest[-1][0], merged)]

    def has_touched(self, since: int, offset: int, length: int) -> bool:
        """True if any of these bytes came to be in question after the moment numbered `since`."""
        if since == self.number:
            return False
        return any(
            number > since and extents.overlaps(offset, length) for number, extents in self._moments
        )
