"""Writes, or one flush, under way: what each of the replicas concerned has answered so far."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from crc32c import crc32c

from tierce import Code, Completed, Op, Request
from tierce_jiva.ballot import Ballot
from tierce_jiva.wire import ENTRY, Kind, encode

Buffer = bytes | memoryview


@attrs.define(eq=False)
class Batch:
    """Writes, or one flush, that some replicas have not answered yet.

    Attributes:
        sequence: Of its frame.
        requests: What is answered when it has its outcome; empty for what nobody waits for.
        completed: Who is told.
        buffers: Its frame, kept to be sent again after a replica's restart.
        targets: Bits of the links that it was sent to, less those dropped since.
        waiting: Bits of those that have not answered with success.
        failed: Bits of those that have answered with a failure.
        failures: Entry index -> what happened, for entries that failed anywhere; None if none has.
        asked_at: When it was last sent, in seconds.
        began_at: When it was first sent, in seconds.
        is_flush: It is a flush.
        epoch: FLUSH: it covers what was written before that flush epoch.
        has_outcome: Nothing changes it any more.
        fronts: Of one that is timed or sampled what its frame begins with for each link, by bit.
    """

    sequence: int
    requests: list[Request]
    completed: Completed | None
    buffers: list[Buffer]
    targets: int
    waiting: int
    asked_at: float
    began_at: float
    failed: int = 0
    failures: dict[int, Code] | None = None
    is_flush: bool = False
    epoch: int = 0
    has_outcome: bool = False
    fronts: dict[int, bytes] | None = None

    def frame_for(self, bit: int) -> list[Buffer]:
        """Return what the link of that bit is sent."""
        front = None if self.fronts is None else self.fronts.get(bit)
        return self.buffers if front is None else [front, *self.buffers[1:]]


def encode_batch(ballot: Ballot, sequence: int, requests: Iterable[Request]) -> list[Buffer]:
    """Return a BATCH frame: its front, then the requests' own buffers."""
    pack, write = ENTRY.pack, Op.WRITE
    entries: list[bytes] = []
    buffers: list[Buffer] = [b""]
    length = 0
    for request in requests:
        if request.op is write:
            data = request.buffer
            assert data is not None
            entries.append(pack(write, request.length, request.offset, crc32c(data)))
            buffers.append(data)
            length += request.length
        else:
            entries.append(pack(request.op, request.length, request.offset, 0))
    buffers[0] = encode(
        Kind.BATCH,
        sequence,
        ballot,
        table=b"".join(entries),
        count=len(entries),
        payload_bytes=length,
    )
    return buffers
