"""One extent made equal: digest, copy where it differs, digest again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiva.ladder import BALLOT, ack, digests, frames_of, ready_links, said, taken
from tierce import Code, Op, ProtocolError
from tierce_jiva.digests import digest_state, zero_digest
from tierce_jiva.extent_copy import ExtentCopy, split
from tierce_jiva.findings import CopyEnded, Trouble
from tierce_jiva.links import Link
from tierce_jiva.replica_actions import Fetch
from tierce_jiva.replica_data import encode_data
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import ENTRY, Frame, Kind, encode

A, B, C = ("replica-1", "replica-2", "replica-3")
LENGTH = 16384
OLD, NEW = b"o" * LENGTH, b"n" * LENGTH


class Ladder:
    """One copy from A, whatever its targets are."""

    def __init__(self, *targets: str, always: tuple[str, ...] = ()) -> None:
        self.links = ready_links()
        self.agenda = Agenda()
        self.unflushed = Unflushed(self.links.regions)
        self.copy = ExtentCopy(
            self.links,
            self.links[A],
            {self.links[name]: name in always for name in targets},
            1 << 20,
            LENGTH,
            unflushed=self.unflushed,
            agenda=self.agenda,
        )
        self.copy.start()

    @property
    def troubles(self) -> list[Trouble | None]:
        ended = said(self.agenda, CopyEnded)
        assert all(found.copy is self.copy for found in ended)
        return [found.trouble for found in ended]

    @property
    def is_written(self) -> bool:
        return bool(self.unflushed.current)

    def asked(self, name: str) -> list[Kind]:
        return [frame.kind for frame in taken(self.links[name])]

    def answer(self, name: str, frame: Frame | None) -> None:
        """Answer the oldest question."""
        link = self.links[name]
        link.calls.pop(next(iter(link.calls))).answer(frame)

    def digest(self, name: str, data: bytes) -> None:
        state = digest_state()
        state.update(data)
        self.answer(name, digests(state.digest()))

    def read(self, name: str, data: bytes) -> None:
        """Answer a READ."""
        fetch = Fetch(1, 1, ((1 << 20, len(data)),), bytearray(data))
        self.answer(name, frames_of(encode_data(fetch, BALLOT))[0])

    @property
    def trouble(self) -> Trouble:
        (trouble,) = self.troubles
        assert trouble is not None
        return trouble


def operations(link: Link) -> list[tuple[Op, int, int]]:
    """Return what the one BATCH holds that the link would send."""
    (batch,) = (frame for frame in taken(link) if frame.kind is Kind.BATCH)
    return [(Op(op), offset, length) for op, length, offset, _ in ENTRY.iter_unpack(batch.table)]


def test_what_is_equal_is_not_copied() -> None:
    ladder = Ladder(B, C)
    assert [ladder.asked(name) for name in (A, B, C)] == [[Kind.DIGEST]] * 3
    for name in (B, A, C):
        ladder.digest(name, OLD)
    assert ladder.troubles == [None]
    assert not ladder.is_written
    assert ladder.copy.copied_bytes == 0


def test_what_differs_is_copied_and_proved() -> None:
    ladder = Ladder(B, C)
    ladder.digest(A, NEW)
    ladder.digest(B, NEW)
    ladder.digest(C, OLD)
    assert ladder.asked(A) == [Kind.DIGEST, Kind.READ]
    ladder.read(A, NEW)
    assert ladder.is_written, "a flush that covers it begins later"
    assert ladder.asked(B) == [Kind.DIGEST]
    assert ladder.asked(C) == [Kind.DIGEST, Kind.BATCH, Kind.DIGEST]
    ladder.answer(C, ack())
    assert ladder.troubles == []
    ladder.digest(C, NEW)
    assert ladder.troubles == [None]
    assert ladder.copy.copied_bytes == LENGTH


def test_what_is_in_doubt_is_written_whatever_its_cache_holds() -> None:
    ladder = Ladder(A, B, always=(A, B))
    assert ladder.asked(B) == [], "its digest proves nothing"
    ladder.digest(A, NEW)
    ladder.read(A, NEW)
    for name in (A, B):
        assert Kind.BATCH in ladder.asked(name)
        ladder.answer(name, ack())
        ladder.digest(name, NEW)
    assert ladder.troubles == [None]


def test_a_hole_is_neither_read_nor_written() -> None:
    ladder = Ladder(B)
    ladder.answer(A, digests(zero_digest(LENGTH)))
    ladder.digest(B, OLD)
    assert ladder.asked(A) == [Kind.DIGEST]
    assert operations(ladder.links[B]) == [(Op.DISCARD, 1 << 20, LENGTH)]


def test_holes_within_an_extent_stay_holes() -> None:
    ladder = Ladder(B)
    ladder.digest(A, NEW)
    ladder.digest(B, OLD)
    ladder.read(A, bytes(4096) + b"n" * 4096 + bytes(8192))
    assert operations(ladder.links[B]) == [
        (Op.DISCARD, 1 << 20, 4096),
        (Op.WRITE, (1 << 20) + 4096, 4096),
        (Op.DISCARD, (1 << 20) + 8192, 8192),
    ]


@given(
    st.lists(st.tuples(st.sampled_from([b"\0", b"x"]), st.integers(1, 3)), min_size=1, max_size=6),
    st.integers(0, 7),
)
def test_the_pieces_of_an_extent_are_its_bytes(runs: list[tuple[bytes, int]], cut: int) -> None:
    data = b"".join(fill * count * 4096 for fill, count in runs)
    data = data[: len(data) - cut * 512]
    found, end = b"", 7 * 512
    for request in split(7 * 512, data):
        assert request.offset == end
        end += request.length
        is_hole = request.op is Op.DISCARD
        found += bytes(request.length) if is_hole else bytes(request.buffer or b"")
    assert found == data


def test_a_target_that_can_not_be_digested_is_written_and_then_must_be() -> None:
    ladder = Ladder(B)
    ladder.digest(A, NEW)
    ladder.answer(B, ack(1, [(0, Code.READ_ERROR)]))
    ladder.read(A, NEW)
    assert ladder.asked(B) == [Kind.DIGEST, Kind.BATCH, Kind.DIGEST]
    ladder.answer(B, ack())
    ladder.answer(B, ack(1, [(0, Code.READ_ERROR)]))
    assert ladder.trouble.link is ladder.links[B]
    assert ladder.trouble.reason == f"replica-2 can't digest extent {1 << 20}+{LENGTH}"


@pytest.mark.parametrize("is_reading", [False, True], ids=["digest", "read"])
def test_a_source_that_fails_is_named(is_reading: bool) -> None:
    ladder = Ladder(B)
    if is_reading:
        ladder.digest(A, NEW)
        ladder.digest(B, OLD)
    ladder.answer(A, ack(1, [(0, Code.READ_ERROR)]))
    assert ladder.trouble.link is ladder.links[A]
    assert not ladder.trouble.is_lost
    assert not ladder.is_written


def test_a_link_that_is_lost_is_at_no_fault() -> None:
    ladder = Ladder(B)
    ladder.digest(A, NEW)
    ladder.links.lose(ladder.links[B], "cut")
    assert ladder.trouble.is_lost
    assert not ladder.trouble.is_full


def test_a_full_disk_is_told_from_one_that_fails() -> None:
    for code in (Code.NO_SPACE, Code.WRITE_ERROR):
        ladder = Ladder(B)
        ladder.digest(A, NEW)
        ladder.digest(B, OLD)
        ladder.read(A, NEW)
        ladder.answer(B, ack(1, [(0, code)]))
        assert ladder.trouble.is_full is (code is Code.NO_SPACE)
        assert ("full" in ladder.trouble.reason) is ladder.trouble.is_full


def test_one_that_holds_other_bytes_after_its_copy_is_named_with_the_extent() -> None:
    ladder = Ladder(B)
    ladder.digest(A, NEW)
    ladder.digest(B, OLD)
    ladder.read(A, NEW)
    ladder.answer(B, ack())
    ladder.digest(B, OLD)
    assert f"other bytes after its copy in extent {1 << 20}+{LENGTH}" in ladder.trouble.reason
    assert not ladder.trouble.is_lost


def test_bytes_that_arrive_damaged_are_not_written() -> None:
    ladder = Ladder(B)
    ladder.digest(A, NEW)
    ladder.digest(B, OLD)
    fetch = Fetch(1, 1, ((1 << 20, LENGTH),), bytearray(NEW))
    damaged = bytearray(encode_data(fetch, BALLOT))
    damaged[-1] ^= 1
    with pytest.raises(ProtocolError, match="damaged"):
        ladder.answer(A, frames_of(bytes(damaged))[0])
    assert not ladder.is_written
    assert ladder.asked(B) == [Kind.DIGEST]


@pytest.mark.parametrize("reached", range(4))
def test_nothing_comes_of_a_copy_that_was_abandoned(reached: int) -> None:
    ladder = Ladder(B)
    steps: list[Callable[[], None]] = [
        lambda: ladder.digest(A, NEW),
        lambda: ladder.digest(B, OLD),
        lambda: ladder.read(A, NEW),
        lambda: ladder.answer(B, ack()),
        lambda: ladder.digest(B, NEW),
    ]
    for step in steps[:reached]:
        step()
    ladder.copy.abandon()
    taken(ladder.links[B])
    # What was asked is answered all the same.
    for step in steps[reached:]:
        if ladder.links[A].calls or ladder.links[B].calls:
            step()
    assert ladder.troubles == []
    assert ladder.asked(B) == []


def test_the_source_is_asked_behind_the_writes_that_were_sent_to_it() -> None:
    links = ready_links()
    links[A].outgoing.append(encode(Kind.BATCH, 9, BALLOT))
    targets = {links[B]: False}
    copy = ExtentCopy(links, links[A], targets, 0, LENGTH, unflushed=None, agenda=Agenda())
    copy.start()
    assert [frame.kind for frame in taken(links[A])] == [Kind.BATCH, Kind.DIGEST]
