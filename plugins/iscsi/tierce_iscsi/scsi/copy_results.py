"""What became of copies that sessions have made, until they ask (SPC-4 section 6.24)."""

from __future__ import annotations

import attrs

from tierce_iscsi.scsi.command import Nexus

#: Results of copies that a session may ask for later.
RESULT_COUNT_MAX = 16


@attrs.frozen
class Result:
    """What became of a copy.

    Attributes:
        is_good: It went through.
        segment_count: Segments that were copied.
        byte_count: Bytes that were written.
    """

    is_good: bool
    segment_count: int
    byte_count: int


class Results:
    """Of the copies of a unit's sessions, until they ask or end."""

    def __init__(self) -> None:
        self._by_nexus: dict[Nexus, dict[int, Result]] = {}

    def add(self, nexus: Nexus, list_id: int, result: Result) -> None:
        """Hold a result; the oldest of this session gives way."""
        held = self._by_nexus.setdefault(nexus, {})
        held.pop(list_id, None)
        while len(held) >= RESULT_COUNT_MAX:
            del held[next(iter(held))]
        held[list_id] = result

    def take(self, nexus: Nexus, list_id: int) -> Result | None:
        """Return the result that is asked for, which is told once."""
        return self._by_nexus.get(nexus, {}).pop(list_id, None)

    def forget(self, nexus: Nexus) -> None:
        """A session is gone."""
        self._by_nexus.pop(nexus, None)
