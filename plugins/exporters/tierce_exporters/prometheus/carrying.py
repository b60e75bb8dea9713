"""Counters that never fall: what was counted before a beginning at zero is added to what is counted
after it.

A page goes on over restarts of its process, but not over a boot of the machine or an upgrade to
other counters; what a process publishes begins anew with each. What there was when it was last read
is kept here and added; what was counted after that reading is lost, and no counter falls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import add

import attrs

#: What is counted.
Key = tuple[str, ...]
#: Numbers that only grow.
Numbers = tuple[int, ...]
#: Where it is counted: a process, and which of its numbers.
Place = tuple[str, str]


@attrs.define
class _Sums:
    """What is known of one place.

    Attributes:
        start_ns: Since when what is read now counts.
        first_ns: Since when what was read first counted.
        before: The sum of what was read before this beginning.
        last: What was read last.
    """

    start_ns: int
    first_ns: int
    before: dict[Key, Numbers] = attrs.field(factory=dict)
    last: Mapping[Key, Numbers] = attrs.field(factory=dict)


class Carrier:
    """Keeps the sums, by place."""

    def __init__(self) -> None:
        self._places: dict[Place, _Sums] = {}

    def carry(
        self, place: Place, start_ns: int, numbers: Mapping[Key, Numbers]
    ) -> Mapping[Key, Numbers]:
        """Return the sums.

        Args:
            place: Where they are counted.
            start_ns: Since when they count; another time is another beginning at zero.
            numbers: What is counted.
        """
        sums = self._places.get(place)
        if sums is None:
            sums = self._places[place] = _Sums(start_ns, start_ns)
        elif sums.start_ns != start_ns:
            sums.before = _sum(sums.before, sums.last)
            sums.start_ns = start_ns
        sums.last = numbers
        return _sum(sums.before, numbers) if sums.before else numbers

    def first_ns(self, place: Place) -> int:
        """Return since when the sums of a place count, in nanoseconds since the epoch."""
        return self._places[place].first_ns

    def forget_others(self, processes: Collection[str]) -> None:
        """Keep only these processes: the others' volumes are gone."""
        for place in [one for one in self._places if one[0] not in processes]:
            del self._places[place]


def _sum(first: Mapping[Key, Numbers], second: Mapping[Key, Numbers]) -> dict[Key, Numbers]:
    """Return both, added where both are."""
    total = dict(first)
    for key, numbers in second.items():
        before = total.get(key)
        total[key] = numbers if before is None else tuple(map(add, before, numbers))
    return total
