"""A batch that its store lets wait, and what came behind it."""

from __future__ import annotations

import errno

import pytest
from crc32c import crc32c

from jiva.ladder import frames_of
from jiva.replica_ladder import SIZE, T1, T2, Ladder
from tierce import BatchEntry, Code, Op, ProtocolError
from tierce_jiva.held_frames import HeldFrames
from tierce_jiva.replica_actions import Hangup, Pause, Resume, Sync
from tierce_jiva.wire import ENTRY, Frame, Kind, decode_failures, encode, encode_extents

BLOCK = 512


class Store:
    """What a store is asked, and what it says."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[BatchEntry]]] = []
        self.is_ready = False

    def admit(self, number: int, entries: list[BatchEntry]) -> bool:
        self.asked.append((number, entries))
        return self.is_ready


def batch(sequence: int, offset: int, data: bytes) -> bytes:
    table = ENTRY.pack(Op.WRITE, len(data), offset, crc32c(data))
    front = encode(Kind.BATCH, sequence, T1, table=table, count=1, payload_bytes=len(data))
    return front + data


def discard(sequence: int, offset: int, length: int) -> bytes:
    table = ENTRY.pack(Op.DISCARD, length, offset, 0)
    return encode(Kind.BATCH, sequence, T1, table=table, count=1)


def flush(sequence: int) -> bytes:
    return encode(Kind.FLUSH, sequence, T1)


class Waiting(Ladder):
    """Replica `a`, promised to T1 on connection 1, whose store lets every batch wait."""

    def __init__(self) -> None:
        self.asking = Store()
        super().__init__(admit=self.asking.admit)
        self.connect(1)
        assert self.prepare(1, T1)["kind"] == "promise"
        self.sent.clear()

    def ready(self, error: OSError | None = None) -> None:
        """The store says so of the batch that it was asked of last."""
        number, _ = self.asking.asked[-1]
        self.do(self.replica.admitted(number, error))

    def answered(self) -> list[int]:
        return [frame.sequence for _, frame in self.sent]

    def bytes(self, offset: int) -> bytes:
        return bytes(self.store.cached[offset : offset + BLOCK])


@pytest.fixture
def ladder() -> Waiting:
    return Waiting()


def test_a_batch_waits_for_its_store_and_all_that_came_behind_it_does(ladder: Waiting) -> None:
    data = batch(5, 0, b"a" * BLOCK) + flush(6) + batch(7, 0, b"b" * BLOCK) + discard(8, 0, BLOCK)
    ladder.give(1, data)
    assert ladder.asking.asked == [(1, [BatchEntry(Op.WRITE, 0, BLOCK)])]
    assert ladder.others == [Pause(1)]
    assert ladder.answered() == []
    assert ladder.bytes(0) == bytes(BLOCK)

    ladder.ready()
    assert ladder.bytes(0) == b"a" * BLOCK
    assert ladder.answered() == [5]
    assert ladder.others == [Pause(1), Sync(), Pause(1)], "the flush covers what came before it"
    ladder.ready()
    assert ladder.bytes(0) == b"b" * BLOCK
    assert ladder.asking.asked[-1] == (3, [BatchEntry(Op.DISCARD, 0, BLOCK)])
    assert Resume(1) not in ladder.others
    ladder.ready()
    assert ladder.bytes(0) == bytes(BLOCK), "in the order in which they came"
    assert ladder.answered() == [5, 7, 8]
    assert ladder.others[-1] == Resume(1)


def test_what_need_not_wait_is_carried_out_at_once(ladder: Waiting) -> None:
    ladder.asking.is_ready = True
    ladder.give(1, batch(5, 0, b"a" * BLOCK) + batch(6, BLOCK, b"b" * BLOCK))
    assert ladder.answered() == [5, 6]
    assert ladder.others == []


def test_what_came_before_a_batch_that_waits_is_answered(ladder: Waiting) -> None:
    ladder.asking.is_ready = True
    first, second = frames_of(batch(5, 0, b"a" * BLOCK) + batch(6, BLOCK, b"b" * BLOCK))
    asked = ladder.asking.asked
    ladder.asking.is_ready = True
    held = HeldFrames(lambda number, entries: entries[0].offset == 0, SIZE)
    assert not held.must_wait(1, first, [first, second])
    assert held.must_wait(1, second, [first, second])
    released = held.release(2)
    assert released is not None
    assert released.frames == [second]
    assert asked == []


def test_a_batch_that_the_store_can_not_take_fails_by_its_status_and_what_follows_does_not(
    ladder: Waiting,
) -> None:
    ladder.give(1, batch(5, 0, b"a" * BLOCK) + batch(6, BLOCK, b"b" * BLOCK))
    ladder.ready(OSError(errno.ENOSPC, "no segment to lease"))
    ladder.ready()
    (_, failed), (_, good) = ladder.sent
    assert (failed.sequence, decode_failures(failed)) == (5, [(0, Code.NO_SPACE)])
    assert (good.sequence, good.count) == (6, 0)
    assert ladder.bytes(0) == bytes(BLOCK)
    assert ladder.bytes(BLOCK) == b"b" * BLOCK


def test_who_is_promised_next_finds_nothing_that_waited(ladder: Waiting) -> None:
    ladder.give(1, batch(5, 0, b"a" * BLOCK) + flush(6))
    ladder.connect(2)
    assert ladder.prepare(2, T2)["kind"] == "promise"
    assert Hangup(1, "superseded") in ladder.others
    ladder.ready()
    assert ladder.bytes(0) == bytes(BLOCK), "it is never carried out"
    assert 5 not in ladder.answered()
    assert Sync() not in ladder.others


def test_what_waits_on_a_connection_that_is_gone_is_dropped(ladder: Waiting) -> None:
    ladder.give(1, batch(5, 0, b"a" * BLOCK))
    ladder.replica.disconnected(1)
    ladder.connect(1)
    ladder.prepare(1, T1)
    ladder.give(1, batch(5, BLOCK, b"b" * BLOCK))
    ladder.do(ladder.replica.admitted(1))
    assert ladder.bytes(0) == ladder.bytes(BLOCK) == bytes(BLOCK), "the store speaks of another"
    ladder.ready()
    assert ladder.bytes(BLOCK) == b"b" * BLOCK


def test_what_waits_is_not_dropped_with_another_connection(ladder: Waiting) -> None:
    ladder.give(1, batch(5, 0, b"a" * BLOCK))
    ladder.replica.connected(2)
    ladder.replica.disconnected(2)
    ladder.ready()
    assert ladder.answered() == [5]
    assert ladder.bytes(0) == b"a" * BLOCK
    assert ladder.others[-1] == Resume(1)


def test_a_store_that_is_ready_twice_is_heard_once(ladder: Waiting) -> None:
    ladder.give(1, batch(5, 0, b"a" * BLOCK) + batch(6, 0, b"b" * BLOCK))
    ladder.ready()
    ladder.do(ladder.replica.admitted(1))
    assert ladder.answered() == [5]


@pytest.mark.parametrize(
    "frame",
    [discard(5, SIZE, BLOCK), encode(Kind.BATCH, 5, T1, table=ENTRY.pack(9, 1, 0, 0), count=1)],
    ids=["beyond", "unknown"],
)
def test_a_store_is_not_asked_about_what_breaks_the_protocol(ladder: Waiting, frame: bytes) -> None:
    ladder.give(1, frame)
    assert ladder.asking.asked == []
    assert isinstance(ladder.others[-1], Hangup)


def test_a_store_is_not_asked_about_a_batch_of_nothing(ladder: Waiting) -> None:
    ladder.give(1, encode(Kind.BATCH, 5, T1))
    assert ladder.asking.asked == []
    assert ladder.answered() == [5]


def test_bytes_that_arrived_damaged_and_waited_end_the_connection(ladder: Waiting) -> None:
    data = bytearray(batch(5, 0, b"a" * BLOCK))
    data[-1] ^= 1
    ladder.give(1, bytes(data) + flush(6))
    ladder.ready()
    assert any(isinstance(action, Hangup) for action in ladder.others)
    assert Sync() not in ladder.others
    assert ladder.bytes(0) == bytes(BLOCK)


def test_other_frames_are_not_asked_about() -> None:
    frames: list[Frame] = frames_of(encode_extents(Kind.READ, 5, T1, [(0, BLOCK)]))
    ladder = Waiting()
    ladder.do(ladder.replica.received(1, frames))
    assert ladder.asking.asked == []
    assert ladder.answered() == [5]


def test_an_entry_that_is_not_in_the_volume_breaks_the_protocol() -> None:
    held = HeldFrames(lambda _number, _entries: True, SIZE)
    (frame,) = frames_of(discard(1, SIZE - BLOCK, 2 * BLOCK))
    with pytest.raises(ProtocolError, match=f"of {SIZE}"):
        held.must_wait(1, frame, [frame])
