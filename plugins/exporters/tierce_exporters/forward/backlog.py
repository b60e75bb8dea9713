"""What is to be sent and what is not acknowledged yet: bounded, in order, without a clock.

::

    added -> waiting -> in flight --acknowledged--> gone
                ^           |
                +-----------+  the connection is over: sent again, first of all, with the same id

Events never are too many: the next ones are asked for when these are acknowledged, and until then
the server keeps them; there is always room for what it gives at once. I/O records come whether
there is room or not: where there is none the oldest that wait are dropped, and counted.
"""

from __future__ import annotations

import base64
import enum
from collections import deque
from collections.abc import Callable, Sequence

import attrs

#: One chunk has so many entries and bytes at most; a longer entry is a chunk of its own.
CHUNK_ENTRY_COUNT_MAX = 256
CHUNK_BYTES_MAX = 256 << 10
#: Of a chunk's id.
ID_BYTES = 16
#: Kept free of records for the events that the server gives at once: 256, of 2 KiB as it keeps
#: them.
EVENT_COUNT_RESERVED = 256
EVENT_BYTES_RESERVED = 1 << 20

assert EVENT_BYTES_RESERVED >= EVENT_COUNT_RESERVED * 4096, "an entry says a little more"


class Kind(enum.StrEnum):
    """What an entry is."""

    EVENTS = "events"
    RECORDS = "records"


@attrs.frozen
class Chunk:
    """Entries that are sent, and acknowledged, together.

    Attributes:
        kind: What they are.
        id: The same each time that they are sent.
        count: How many.
        entries: The msgpack of each, one after the other.
    """

    kind: Kind
    id: str
    count: int
    entries: bytes = attrs.field(repr=False)


class Backlog:
    """The chunks of one exporter.

    Args:
        count_max: So many entries are kept at most.
        bytes_max: So many bytes of entries are kept at most.
        random_bytes: Returns so many random bytes, for ids.
    """

    def __init__(
        self, count_max: int, bytes_max: int, random_bytes: Callable[[int], bytes]
    ) -> None:
        assert count_max > EVENT_COUNT_RESERVED and bytes_max > EVENT_BYTES_RESERVED  # noqa: PT018
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._random_bytes = random_bytes
        self._waiting: deque[Chunk] = deque()
        #: By id, in the order in which they were sent.
        self._in_flight: dict[str, Chunk] = {}
        #: Entries that are kept, by kind.
        self.counts = dict.fromkeys(Kind, 0)
        self._bytes = self._event_bytes = 0
        #: Entries that were dropped, by kind.
        self.dropped = dict.fromkeys(Kind, 0)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    @property
    def size(self) -> int:
        """How many bytes of entries are kept."""
        return self._bytes

    @property
    def in_flight_count(self) -> int:
        """How many chunks are not acknowledged."""
        return len(self._in_flight)

    @property
    def has_waiting(self) -> bool:
        """True if there is something to send."""
        return bool(self._waiting)

    def add(self, kind: Kind, entries: Sequence[bytes]) -> None:
        """Take entries; what there is no room for is dropped, the oldest records first."""
        for part in _parts(entries):
            size = sum(map(len, part))
            while not self._has_room(kind, len(part), size) and self._drop_oldest():
                pass
            if not self._has_room(kind, len(part), size):
                self.dropped[kind] += len(part)
                continue
            chunk_id = base64.b64encode(self._random_bytes(ID_BYTES)).decode()
            self._waiting.append(Chunk(kind, chunk_id, len(part), b"".join(part)))
            self._count(self._waiting[-1], 1)

    def take(self) -> Chunk:
        """Return the chunk that is sent next; it is in flight from now on."""
        chunk = self._waiting.popleft()
        self._in_flight[chunk.id] = chunk
        return chunk

    def acknowledge(self, chunk_id: str) -> bool:
        """Forget a chunk; False if none of this id is in flight."""
        chunk = self._in_flight.pop(chunk_id, None)
        if chunk is not None:
            self._count(chunk, -1)
        return chunk is not None

    def send_again(self) -> None:
        """Nothing that is in flight will be acknowledged: all of it waits again, in order."""
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()

    def _has_room(self, kind: Kind, count: int, size: int) -> bool:
        count += sum(self.counts.values())
        size += self._bytes
        if kind is Kind.RECORDS:
            # Whatever events there are already may use what is kept free for them.
            count += max(0, EVENT_COUNT_RESERVED - self.counts[Kind.EVENTS])
            size += max(0, EVENT_BYTES_RESERVED - self._event_bytes)
        return count <= self._count_max and size <= self._bytes_max

    def _drop_oldest(self) -> bool:
        """Drop the oldest records that wait; False if none do."""
        oldest = next((one for one in self._waiting if one.kind is Kind.RECORDS), None)
        if oldest is None:
            return False
        self._waiting.remove(oldest)
        self._count(oldest, -1)
        self.dropped[Kind.RECORDS] += oldest.count
        return True

    def _count(self, chunk: Chunk, sign: int) -> None:
        self.counts[chunk.kind] += sign * chunk.count
        self._bytes += sign * len(chunk.entries)
        if chunk.kind is Kind.EVENTS:
            self._event_bytes += sign * len(chunk.entries)


def _parts(entries: Sequence[bytes]) -> list[list[bytes]]:
    """Return entries as chunks of bounded size."""
    parts: list[list[bytes]] = []
    count, size = CHUNK_ENTRY_COUNT_MAX, 0
    for one in entries:
        if count == CHUNK_ENTRY_COUNT_MAX or size + len(one) > CHUNK_BYTES_MAX:
            parts.append([])
            count = size = 0
        parts[-1].append(one)
        count += 1
        size += len(one)
    return parts
