"""Counters that never fall: what a process counted is added to what those before it did.

A process that was started anew counts from zero. What its predecessor had when it was last read is
kept here and added; what that counted after that reading is lost, and no counter falls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import add

import attrs

#: What is counted: "stage", its name, the operation.
Key = tuple[str, ...]
#: Numbers that only grow.
Numbers = tuple[int, ...]


@attrs.define
class _Process:
    """What is known of one process.

    Attributes:
        start_ns: When the one that is read now began.
        first_ns: When the first one began that was read.
        starts: How many were read.
        before: The sum of those before it.
        last: What the one that is read now had when it was.
    """

    start_ns: int
    first_ns: int
    starts: int = 1
    before: dict[Key, Numbers] = attrs.field(factory=dict)
    last: Mapping[Key, Numbers] = attrs.field(factory=dict)


@attrs.frozen
class Carried:
    """The sum over a process and those before it.

    Attributes:
        numbers: The sums.
        first_ns: Since when they count, in nanoseconds since the epoch.
        starts: How many processes they are of.
    """

    numbers: Mapping[Key, Numbers]
    first_ns: int
    starts: int


class Carrier:
    """Keeps the sums, by name of process."""

    def __init__(self) -> None:
        self._processes: dict[str, _Process] = {}

    def carry(self, name: str, start_ns: int, numbers: Mapping[Key, Numbers]) -> Carried:
        """Return the sums.

        Args:
            name: The process.
            start_ns: When it began to count; another one is another process.
            numbers: What it has counted.
        """
        process = self._processes.get(name)
        if process is None:
            process = self._processes[name] = _Process(start_ns, start_ns)
        elif process.start_ns != start_ns:
            process.before = _sum(process.before, process.last)
            process.start_ns = start_ns
            process.starts += 1
        process.last = numbers
        return Carried(_sum(process.before, numbers), process.first_ns, process.starts)

    def forget_others(self, names: Collection[str]) -> None:
        """Keep only these processes: the others' volumes are gone."""
        for name in self._processes.keys() - set(names):
            del self._processes[name]


def _sum(first: Mapping[Key, Numbers], second: Mapping[Key, Numbers]) -> dict[Key, Numbers]:
    """Return both, added where both are."""
    total = dict(first)
    for key, numbers in second.items():
        before = total.get(key)
        total[key] = numbers if before is None else tuple(map(add, before, numbers))
    return total
