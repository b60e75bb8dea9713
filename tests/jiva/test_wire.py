"""Frames: any bytes in any pieces give frames or ProtocolError, and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiva.cluster import UUID, Cluster, opened
from jiva.ladder import frames_of
from tierce import EXTENT_COUNT_MAX, Code, Extent, Op, ProtocolError
from tierce_jiva.ballot import Ballot
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages, extended
from tierce_jiva.replica_actions import Hangup
from tierce_jiva.wire import (
    BODY_BYTES_MAX,
    ENTRY,
    FAILURE,
    RECEIVE_BYTES,
    STATUS_BYTES_MAX,
    UNREAD,
    UNREAD_COUNT_MAX,
    Frame,
    FrameReader,
    Kind,
    check_found,
    check_unread,
    decode_failures,
    encode,
    encode_ack,
    encode_control,
    encode_extents,
    encode_found,
    encode_unread,
)

BALLOT = Ballot(1, 2)


def feed(reader: FrameReader, data: bytes) -> list[Frame]:
    reader.space()[: len(data)] = data
    return reader.received(len(data))


def batch(payload: bytes, offset: int = 0) -> bytes:
    table = ENTRY.pack(Op.WRITE, len(payload), offset, 0)
    front = encode(Kind.BATCH, 1, BALLOT, table=table, count=1, payload_bytes=len(payload))
    return front + payload


FOLLOWED = Extension(is_timed=True, asking=Asking(bytes(16), bytes(8)))
TOLD = Extension(durations=Durations(Stages.QUEUE_APPLY, 1, 2))
GENUINE = [
    encode_control(1, BALLOT, {"kind": "hello", "uuid": "u", "replica": "replica-1"}),
    encode_control(2, BALLOT, {"kind": "prepare"}),
    encode_control(3, BALLOT, {"kind": "accept", "membership": {}, "let_in": []}),
    encode_control(4, BALLOT, {"kind": "mark", "marked": True}),
    batch(b"x" * 512),
    encode(Kind.FLUSH, 5, BALLOT),
    encode_extents(Kind.READ, 6, BALLOT, [(0, 4096)]),
    encode_extents(Kind.DIGEST, 7, BALLOT, [(0, 4096)]),
    encode_extents(Kind.STATUS, 7, BALLOT, [(0, 4096)]),
    encode_found(7, BALLOT, [Extent(0, 4096, is_hole=True)]),
    encode_ack(8, BALLOT, [(0, Code.NO_SPACE)]),
    encode_unread(8, BALLOT, [(0, 512)]),
    extended(encode(Kind.FLUSH, 5, BALLOT), FOLLOWED),
    extended(encode_extents(Kind.READ, 6, BALLOT, [(0, 4096)]), FOLLOWED),
    extended(encode_ack(8, BALLOT), TOLD),
]


def test_frames_survive_any_split() -> None:
    data = b"".join(GENUINE)
    for size in (1, 3, 44, 100, len(data)):
        reader = FrameReader()
        kinds = []
        for at in range(0, len(data), size):
            kinds += [frame.kind for frame in feed(reader, data[at : at + size])]
        assert len(kinds) == len(GENUINE)


def test_failures_are_read_back() -> None:
    (frame,) = feed(FrameReader(), encode_ack(9, BALLOT, [(3, Code.WRITE_ERROR)]))
    assert decode_failures(frame) == [(3, Code.WRITE_ERROR)]


def test_extents_are_read_back_as_many_and_as_long_as_there_may_be() -> None:
    length = STATUS_BYTES_MAX // EXTENT_COUNT_MAX
    found = [
        Extent(number * length, length, is_hole=number % 2 == 0)
        for number in range(EXTENT_COUNT_MAX)
    ]
    (frame,) = feed(FrameReader(), encode_found(9, BALLOT, found))
    assert list(check_found(frame, 0, STATUS_BYTES_MAX)) == found
    (frame,) = feed(FrameReader(), encode_found(9, BALLOT, [Extent(0, STATUS_BYTES_MAX, True)]))
    assert check_found(frame, 0, STATUS_BYTES_MAX) == (Extent(0, STATUS_BYTES_MAX, is_hole=True),)


#: Kind, length, and how far from where it is due: often all as it should be.
noise = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 0, 1, 2]),
        st.sampled_from([512, 1024, 2048, 0, 8192]),
        st.sampled_from([0, 0, 0, 0, 512, -512]),
    ),
    max_size=5,
)


@given(noise, st.integers(0, 4096))
def test_whatever_extents_arrive_are_in_order_without_gaps_or_refused(
    entries: list[tuple[int, int, int]], offset: int
) -> None:
    table, at = b"", offset
    for kind, length, off in entries:
        table += ENTRY.pack(kind, length, max(at + off, 0), 0)
        at += length
    data = encode(Kind.EXTENTS, 1, BALLOT, table=table, count=len(entries))
    (frame,) = feed(FrameReader(), data)
    with contextlib.suppress(ProtocolError):
        found = check_found(frame, offset, 8192)
        assert found
        assert found[0].offset == offset
        for former, extent in itertools.pairwise(found):
            assert former.offset + former.length == extent.offset
        assert all(extent.length > 0 for extent in found)
        assert found[-1].offset + found[-1].length <= offset + 8192


@pytest.mark.parametrize("at", range(40))
def test_a_changed_header_is_refused_or_waited_for(at: int) -> None:
    data = bytearray(encode(Kind.FLUSH, 5, BALLOT))
    data[at] ^= 0x10
    with contextlib.suppress(ProtocolError):
        assert feed(FrameReader(), bytes(data)) == []


def test_a_reader_never_holds_more_than_its_buffer() -> None:
    reader = FrameReader()
    head = bytearray(encode(Kind.FLUSH, 5, BALLOT))
    head[32:36] = (BODY_BYTES_MAX + 1).to_bytes(4, "little")
    with pytest.raises(ProtocolError, match="claims"):
        feed(reader, bytes(head))
    assert len(reader.space()) <= RECEIVE_BYTES


mutated = st.builds(
    lambda data, at, noise: data[: at % len(data)] + noise + data[at % len(data) + len(noise) :],
    st.sampled_from(GENUINE),
    st.integers(0, 200),
    st.binary(max_size=12),
)
traffic = st.lists(st.one_of(mutated, st.sampled_from(GENUINE), st.binary(max_size=60)), max_size=8)


@settings(max_examples=120, deadline=None)
@given(traffic, st.integers(1, 64))
def test_a_replica_answers_any_bytes_with_frames_or_the_end(parts: list[bytes], size: int) -> None:
    cluster = Cluster(1)
    replica = cluster.nodes["replica-1"].replica
    assert replica is not None
    replica.connected(99)
    data, reader = b"".join(parts), FrameReader()
    for at in range(0, len(data), size):
        try:
            frames = feed(reader, data[at : at + size])
        except ProtocolError:
            break
        replica.received(99, frames)


@settings(max_examples=120, deadline=None)
@given(traffic, st.integers(1, 64))
def test_a_target_ends_the_link_on_any_bytes(parts: list[bytes], size: int) -> None:
    cluster = Cluster(3)
    cluster.run(0.5)
    data, reader = b"".join(parts), FrameReader()
    for at in range(0, len(data), size):
        try:
            frames = feed(reader, data[at : at + size])
        except ProtocolError:
            break
        cluster.target.received(cluster.now, "replica-2", frames)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_an_order_without_a_finite_number_ends_a_connection_not_the_replica(number: float) -> None:
    """JSON as Python reads it has these, and so has `1e999`; `int()` of them is an error of its
    own."""
    cluster = opened()
    node = cluster.nodes["replica-1"]
    assert node.replica is not None
    connection = cluster.pipes["replica-1"].number
    message = {"kind": "mark", "order": number, "settled": 0, "marks": ""}
    frames = frames_of(encode_control(7, node.record.promised, message))
    (action,) = node.replica.received(connection, frames)
    assert isinstance(action, Hangup)
    assert action.connection == connection


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_welcome_without_a_finite_number_ends_a_connection_not_the_target(number: float) -> None:
    cluster = opened()
    cluster.break_pipe("replica-1", "blip")
    cluster.target.connected(cluster.now, "replica-1")
    link = cluster.target.links["replica-1"]
    (sequence,) = link.calls
    message = {
        "kind": "welcome",
        "promised": [1, 1],
        "boot_id": "b",
        "size_bytes": cluster.size_bytes,
        "uuid": UUID,
        "head": "/head",
        "device": 1,
        "inode": number,
        "incarnation": 1,
    }
    frames = frames_of(encode_control(sequence, cluster.target.links.ballot, message))
    cluster.target.received(cluster.now, "replica-1", frames)
    cluster.carry_out()
    assert not link.is_ready
    assert [hangup.name for hangup in cluster.hangups] == ["replica-1"]
    assert cluster.is_serving


# -- what can't be read ----------------------------------------------------------------------------


def test_what_is_unreadable_is_named_in_a_bounded_number() -> None:
    parts = [(number * 512, 512) for number in range(UNREAD_COUNT_MAX + 1)]
    (frame,) = frames_of(encode_unread(7, BALLOT, parts))
    assert decode_failures(frame) == [(0, Code.READ_ERROR)]
    assert check_unread(frame, [(0, 1 << 20)]) == parts[:-1]
    (frame,) = frames_of(encode_unread(7, BALLOT))
    assert check_unread(frame, [(0, 1 << 20)]) == []


@pytest.mark.parametrize("size", [8, UNREAD.size * (UNREAD_COUNT_MAX + 1)])
def test_names_of_what_is_unreadable_that_are_none_break_the_protocol(size: int) -> None:
    table = FAILURE.pack(0, 3)
    (frame,) = frames_of(encode(Kind.ACK, 1, BALLOT, table=table, count=1, payload=bytes(size)))
    with pytest.raises(ProtocolError, match=f"in {size} bytes"):
        check_unread(frame, [(0, 1 << 20)])
