"""A batch under way: its frame, and what each link is sent of it."""

from __future__ import annotations

from crc32c import crc32c

from jiva.ladder import BALLOT, frames_of
from tierce import Op, Request
from tierce_jiva.batch import Batch, Buffer, encode_batch
from tierce_jiva.wire import ENTRY, Kind


def test_a_frame_has_its_requests_in_order_and_their_own_buffers_behind_it() -> None:
    data = memoryview(b"x" * 512)
    requests = [Request(Op.WRITE, 4096, 512, data), Request(Op.DISCARD, 0, 1024)]
    buffers = encode_batch(BALLOT, 9, requests)
    assert buffers[1] is data
    (frame,) = frames_of(b"".join(map(bytes, buffers)))
    assert (frame.kind, frame.sequence, frame.ballot) == (Kind.BATCH, 9, BALLOT)
    assert list(ENTRY.iter_unpack(frame.table)) == [
        (Op.WRITE, 512, 4096, crc32c(data)),
        (Op.DISCARD, 1024, 0, 0),
    ]


def test_each_link_is_sent_a_front_of_its_own_if_it_has_one() -> None:
    buffers: list[Buffer] = [b"front", b"data"]
    batch = Batch(1, [], None, buffers, 3, 3, 0.0, 0.0)
    assert batch.frame_for(1) is buffers
    batch.fronts = {1: b"its own"}
    assert batch.frame_for(1) == [b"its own", b"data"]
    assert batch.frame_for(2) is buffers
