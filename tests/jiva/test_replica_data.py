"""What a replica does with the bytes of a frame."""

from __future__ import annotations

import errno

import pytest
from crc32c import crc32c

from jiva.ladder import BALLOT, frames_of
from jiva.nodes import MemoryStore
from tierce import Code, Op, ProtocolError, UnreadableError
from tierce_jiva.replica_actions import Fetch
from tierce_jiva.replica_data import (
    apply_batch,
    encode_data,
    extents_of,
    name_extents,
    unread_of,
)
from tierce_jiva.wire import ENTRY, Frame, Kind, check_data, encode, encode_extents

SIZE = 64 << 10


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SIZE)


def batch(*entries: tuple[int, int, bytes | int], damage: bool = False) -> Frame:
    """Return a BATCH of (operation, offset, bytes or length)."""
    table, payload = b"", b""
    for op, offset, data in entries:
        if isinstance(data, int):
            table += ENTRY.pack(op, data, offset, 0)
        else:
            table += ENTRY.pack(op, len(data), offset, crc32c(data) ^ damage)
            payload += data
    front = encode(
        Kind.BATCH, 1, BALLOT, table=table, count=len(entries), payload_bytes=len(payload)
    )
    return frames_of(front + payload)[0]


def test_entries_are_applied_in_their_order(store: MemoryStore) -> None:
    frame = batch(
        (Op.WRITE, 0, b"a" * 8192),
        (Op.DISCARD, 4096, 4096),
        (Op.WRITE, 4096, b"b" * 512),
        (Op.WRITE_ZEROES, 0, 512),
    )
    assert apply_batch(store, frame, SIZE) == []
    assert store.cached[:8192] == bytes(512) + b"a" * 3584 + b"b" * 512 + bytes(3584)


def test_an_entry_that_fails_keeps_no_other_from_being_tried(store: MemoryStore) -> None:
    class Moody(MemoryStore):
        def write(self, offset: int, data: memoryview) -> None:
            if offset == 512:
                raise OSError(errno.ENOSPC, "no space left")
            super().write(offset, data)

        def discard(self, offset: int, length: int) -> None:
            raise OSError(errno.EIO, "bad sector")

    moody = Moody(SIZE)
    entries = [(Op.WRITE, at, b"a" * 512) for at in (0, 512, 1024)]
    frame = batch(*entries, (Op.DISCARD, 2048, 512))
    assert apply_batch(moody, frame, SIZE) == [(1, Code.NO_SPACE), (3, Code.WRITE_ERROR)]
    assert moody.cached[:1536] == b"a" * 512 + bytes(512) + b"a" * 512


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (batch((Op.WRITE, 0, b"a" * 512), (Op.WRITE, SIZE - 512, b"b" * 1024)), "reaches to byte"),
        (batch((Op.DISCARD, SIZE, 512)), "reaches to byte 66048 of 65536"),
        (batch((Op.WRITE, 0, b"a" * 512), damage=True), "offset 0 arrived damaged"),
        (batch((Op.WRITE, 0, 512)), "offset 0 arrived damaged"),
        (batch((Op.READ, 0, 512)), "a batch holds operation 0"),
        (batch((77, 0, 512)), "a batch holds operation 77"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_damaged_unknown_or_not_in_the_volume_breaks_the_protocol(
    store: MemoryStore, frame: Frame, told: str
) -> None:
    with pytest.raises(ProtocolError, match=told):
        apply_batch(store, frame, SIZE)
    assert not any(store.cached[512:])


def asked(*extents: tuple[int, int]) -> Frame:
    return frames_of(encode_extents(Kind.READ, 1, BALLOT, extents))[0]


def test_extents_must_lie_in_the_volume() -> None:
    assert extents_of(asked((0, 512), (SIZE - 512, 512)), SIZE) == ((0, 512), (SIZE - 512, 512))
    for extent in ((0, 0), (SIZE, 512), (SIZE - 512, 513)):
        with pytest.raises(ProtocolError, match="is not in the volume"):
            extents_of(asked((0, 512), extent), SIZE)


def test_what_was_read_is_checked_on_arrival() -> None:
    extents = ((4096, 512), (0, 1024))
    fetch = Fetch(1, 9, extents, bytearray(b"a" * 512 + b"b" * 1024))
    (frame,) = frames_of(encode_data(fetch, BALLOT))
    assert (frame.kind, frame.sequence, frame.ballot) == (Kind.DATA, 9, BALLOT)
    assert [bytes(data) for data in check_data(frame, extents)] == [b"a" * 512, b"b" * 1024]


def test_what_was_not_asked_for_is_not_named_as_unreadable() -> None:
    error = UnreadableError([(0, 4096), (16384, 512)], "rotten")
    assert unread_of(error, [(512, 512), (2048, 8192)]) == [(512, 512), (2048, 2048)]
    assert unread_of(OSError(errno.EIO, "it does not say"), [(0, 512)]) == []


def test_a_message_names_a_few_extents_and_counts_the_rest() -> None:
    extents = [(number * 512, 512) for number in range(10)]
    assert name_extents(extents[:2]) == "0+512, 512+512"
    assert name_extents(extents).endswith("3584+512 and 2 more")
