"""Writes and flushes under way: when they settle, with what outcome, and what is owed to whom."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from crc32c import crc32c

from jiva.ladder import ack, ready_links, taken
from tierce import GOOD, Code, Op, ProtocolError, Request, Status
from tierce_jiva.batch import Batch
from tierce_jiva.findings import AtFault, Failed, Flushed, LeftUnanswered, Unequal
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import BATCH_BYTES_MAX, ENTRY, ENTRY_COUNT_MAX, Kind
from tierce_jiva.write_path import UNFLUSHED_COUNT_MAX, WritePath

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
GAVE_UP = Status(Code.NOT_READY, "too late")
FULL = [(0, Code.NO_SPACE)]
BROKEN = [(0, Code.WRITE_ERROR)]


class Ladder:
    """A and B are required, C is rebuilt: every write goes to all three."""

    def __init__(self, required: Iterable[str] = (A, B), targets: Iterable[str] = NAMES) -> None:
        self.links: Links = ready_links()
        self.in_flight = InFlight()
        self.unflushed = Unflushed(self.links.regions)
        self.agenda = Agenda()
        self.suspected: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.unequal: list[tuple[list[tuple[int, int]], int]] = []
        self.silent: list[str] = []
        self.flushed: list[Batch] = []
        self.writes = WritePath(self.links, self.in_flight, self.unflushed, self.agenda)
        self.writes.use([self.links[name] for name in targets], self.links.mask(set(required)))

    @property
    def answered(self) -> list[Request]:
        return [request for requests in self.agenda.completed.values() for request in requests]

    def weigh(self) -> None:
        """Keep what was found; who has failed is judged then."""
        while self.agenda.findings:
            found = self.agenda.findings.pop(0)
            match found:
                case Failed():
                    what = "flush" if found.batch.is_flush else "write"
                    self.failed.append((what, found.link.name))
                    self.writes.judge(found.batch)
                case AtFault():
                    self.suspected.extend(link.name for link in found.links)
                case Unequal():
                    self.unequal.append((found.extents, found.lacking))
                case LeftUnanswered():
                    self.silent.extend(link.name for link in found.links)
                case Flushed():
                    self.flushed.append(found.flush)

    def drop(self, name: str, *, stays: str) -> None:
        """It is not a target any more, and another one is all that is required."""
        targets = [link for link in self.writes.targets if link.name != name]
        self.writes.use(targets, self.links.mask({stays}))
        self.writes.drop(self.links[name])
        self.weigh()

    def write(self, *offsets: int, length: int = 512) -> list[Request]:
        requests = [
            Request(Op.WRITE, offset, length, memoryview(bytes(length))) for offset in offsets
        ]
        self.writes.write(requests, lambda _settled: None)
        return requests

    def flush(self) -> Request:
        request = Request(Op.FLUSH)
        self.writes.flush([request], lambda _settled: None)
        return request

    def ack(self, *names: str, failures: Iterable[tuple[int, Code]] = (), number: int = 0) -> None:
        """These answer their oldest frame, or that with a number."""
        for name in names:
            link = self.links[name]
            sequence = number or min((*link.writes, *link.flushes))
            assert self.writes.acknowledged(link, ack(sequence, failures))
            self.weigh()

    def kinds(self, name: str) -> list[Kind]:
        return [frame.kind for frame in taken(self.links[name])]

    def lose(self, name: str) -> Link:
        """It is connected anew."""
        link = self.links[name]
        self.links.lose(link, "cut")
        link.state = LinkState.READY
        return link


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


# -- writes ----------------------------------------------------------------------------------------


def test_a_write_goes_to_every_target_and_settles_when_all_have_it(ladder: Ladder) -> None:
    (write,) = ladder.write(0)
    assert [ladder.kinds(name) for name in NAMES] == [[Kind.BATCH]] * 3
    assert ladder.in_flight.overlaps(0, 512)
    ladder.ack(A, B)
    assert write.status is None, "the one that is rebuilt must have it too"
    ladder.ack(C)
    assert write.status is GOOD
    assert ladder.answered == [write]
    assert not ladder.in_flight
    assert ladder.writes.is_idle


def test_a_batch_is_one_frame_with_the_bytes_of_its_requests(ladder: Ladder) -> None:
    data = memoryview(b"d" * 512)
    requests = [Request(Op.WRITE, 0, 512, data), Request(Op.DISCARD, 4096, 8192)]
    ladder.writes.write(requests, lambda _settled: None)
    (frame,) = taken(ladder.links[A])
    assert list(ENTRY.iter_unpack(frame.table)) == [
        (Op.WRITE, 512, 0, crc32c(data)),
        (Op.DISCARD, 8192, 4096, 0),
    ]
    assert bytes(frame.payload) == bytes(data)


def test_frames_are_of_bounded_size(ladder: Ladder) -> None:
    half = BATCH_BYTES_MAX // 2
    ladder.write(0, half, 2 * half, length=half)
    assert [frame.count for frame in taken(ladder.links[A])] == [2, 1]
    discards = [Request(Op.DISCARD, 0, 512) for _ in range(ENTRY_COUNT_MAX + 1)]
    ladder.writes.write(discards, lambda _settled: None)
    assert [frame.count for frame in taken(ladder.links[A])] == [ENTRY_COUNT_MAX, 1]


def test_one_that_is_away_is_owed_what_it_does_not_get(ladder: Ladder) -> None:
    ladder.lose(B)
    (first,), (second,) = ladder.write(0), ladder.write(512)
    ladder.ack(A, C)
    ladder.ack(A, C)
    assert (first.status, second.status) == (None, None)
    assert ladder.kinds(B) == []
    ladder.writes.resend(ladder.links[B])
    offsets = [next(ENTRY.iter_unpack(frame.table))[2] for frame in taken(ladder.links[B])]
    assert offsets == [0, 512], "in order"
    ladder.ack(B)
    ladder.ack(B)
    assert first.status is second.status is GOOD


def test_one_that_was_not_sent_what_it_owes_is_sent_nothing_newer(ladder: Ladder) -> None:
    ladder.lose(B)
    ladder.write(0)
    ladder.flush()
    assert ladder.kinds(B) == []


def test_an_answer_to_nothing_is_somebody_elses(ladder: Ladder) -> None:
    assert not ladder.writes.acknowledged(ladder.links[A], ack(77))


def test_a_write_that_one_failed_is_settled_when_that_one_is_out(ladder: Ladder) -> None:
    (write,) = ladder.write(0)
    ladder.ack(A, failures=BROKEN)
    assert ladder.failed == [("write", A)]
    assert ladder.suspected == [], "the others have not answered"
    ladder.ack(B, C)
    assert ladder.suspected == [A]
    assert write.status is None
    ladder.drop(A, stays=B)
    assert write.status is GOOD
    assert ladder.unequal == []


def test_a_write_that_all_required_failed_is_answered_so_and_may_differ(ladder: Ladder) -> None:
    first, second = ladder.write(0, 512)
    ladder.ack(A, failures=FULL)
    ladder.ack(B, failures=FULL)
    ladder.ack(C)
    assert first.status is not None
    assert first.status.code is Code.NO_SPACE
    assert "free space there" in first.status.reason
    assert second.status is GOOD
    assert ladder.unequal == [([(0, 512)], ladder.links.mask({A, B}))]
    assert ladder.suspected == []
    assert ladder.writes.is_idle


def test_one_that_catches_up_and_fails_is_at_fault_whatever_the_others_do(ladder: Ladder) -> None:
    ladder.write(0)
    ladder.ack(C, failures=FULL)
    ladder.ack(A, B, failures=FULL)
    assert ladder.suspected == [C]


def test_one_in_doubt_is_no_copy_to_vote_the_others_out_for(ladder: Ladder) -> None:
    ladder.links[B].is_unproved = True
    (write,) = ladder.write(0)
    ladder.ack(A, failures=FULL)
    ladder.ack(B, C)
    assert ladder.suspected == []
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert ladder.unequal == [([(0, 512)], ladder.links[A].bit)]


def test_a_write_whose_targets_are_all_out_is_never_good() -> None:
    ladder = Ladder(required=(A,), targets=(A,))
    (write,) = ladder.write(0)
    ladder.drop(A, stays=B)
    assert write.status is not None
    assert write.status.code is Code.WRITE_ERROR
    assert ladder.unequal


def test_what_has_settled_is_not_settled_again_by_a_drop(ladder: Ladder) -> None:
    (write,) = ladder.write(0)
    ladder.ack(A, failures=FULL)
    ladder.ack(B, failures=FULL)
    ladder.ack(C)
    ladder.drop(A, stays=B)
    assert ladder.answered == [write]


def test_an_answer_about_what_was_not_sent_breaks_the_protocol(ladder: Ladder) -> None:
    ladder.write(0)
    with pytest.raises(ProtocolError, match="names entry 1 of 1"):
        ladder.ack(A, failures=[(1, Code.WRITE_ERROR)])


def test_what_must_have_failed_everywhere_is_owed_to_nobody(ladder: Ladder) -> None:
    # A failed the first of two, and can't be done without; B has not answered.
    first, second = ladder.write(0, 4096)
    (later,) = ladder.write(0)
    ladder.ack(A, failures=FULL)
    ladder.writes.end_failed(ladder.links[A])
    ladder.weigh()
    assert first.status is not None
    assert first.status.code is Code.NO_SPACE
    assert second.status is not None
    assert not second.status.is_good, "B may never have got it"
    ((extents, lacking),) = ladder.unequal
    assert extents == [(0, 512), (4096, 512)]
    assert lacking == ladder.links.mask(set(NAMES))
    assert later.status is None
    assert [len(link.writes) for link in ladder.links] == [1, 1, 1]


# -- flushes ---------------------------------------------------------------------------------------


def test_a_flush_goes_to_the_required_only(ladder: Ladder) -> None:
    flush = ladder.flush()
    assert [ladder.kinds(name) for name in NAMES] == [[Kind.FLUSH], [Kind.FLUSH], []]
    ladder.ack(A)
    assert flush.status is None
    ladder.ack(B)
    assert flush.status is GOOD
    assert len(ladder.flushed) == 1


def test_a_flush_covers_what_was_written_before_it_began(ladder: Ladder) -> None:
    ladder.write(0)
    ladder.flush()
    ladder.write(1 << 20)
    for name in NAMES:
        number = 1
        ladder.ack(name, number=number)
    ladder.ack(A, B, number=2)
    for name in (A, B):
        assert list(ladder.unflushed.since(ladder.links[name].flushed_epoch)) == [1]
    assert ladder.links[C].flushed_epoch == 0
    assert list(ladder.unflushed.since(0)) == [0, 1], "C has flushed nothing"


def test_one_in_doubt_is_sent_its_flushes_when_it_is_not_any_more(ladder: Ladder) -> None:
    link = ladder.links[B]
    link.is_unproved = True
    flush = ladder.flush()
    assert ladder.kinds(B) == []
    ladder.writes.resend(link)
    assert ladder.kinds(B) == []
    ladder.ack(A)
    link.is_unproved = False
    ladder.links.now = 9.0
    ladder.writes.send_flushes(link)
    assert ladder.kinds(B) == [Kind.FLUSH]
    assert link.oldest(is_flush=True) == 9.0, "it is asked only now"
    ladder.ack(B)
    assert flush.status is GOOD


def test_a_flush_that_one_failed_is_done_when_that_one_is_out(ladder: Ladder) -> None:
    flush = ladder.flush()
    ladder.ack(A, failures=BROKEN)
    assert ladder.failed == [("flush", A)]
    ladder.ack(B)
    assert ladder.suspected == [A]
    ladder.drop(A, stays=B)
    assert flush.status is GOOD


def test_a_flush_that_failed_on_all_is_an_error_and_nobody_is_at_fault(ladder: Ladder) -> None:
    flush = ladder.flush()
    ladder.ack(A, B, failures=BROKEN)
    assert flush.status is not None
    assert flush.status.code is Code.WRITE_ERROR
    assert ladder.suspected == []
    assert ladder.flushed == []


def test_a_flush_that_was_sent_again_is_judged_by_its_new_answer(ladder: Ladder) -> None:
    flush = ladder.flush()
    link = ladder.links[A]
    ladder.ack(A, failures=BROKEN)
    ladder.writes.send_flushes(link)
    ladder.ack(A)
    ladder.ack(B)
    assert flush.status is GOOD
    assert ladder.suspected == []


def test_without_a_flush_for_long_one_is_begun_unasked() -> None:
    ladder = Ladder()
    granule = 1 << 16
    for number in range(UNFLUSHED_COUNT_MAX + 1):
        ladder.unflushed.current.add(number)
    ladder.write(granule)
    assert Kind.FLUSH in ladder.kinds(A)
    ladder.write(granule)
    assert Kind.FLUSH not in ladder.kinds(A), "it is under way"


def test_a_flush_of_one_alone_leaves_the_members_as_far_from_theirs() -> None:
    ladder = Ladder()
    for number in range(UNFLUSHED_COUNT_MAX):
        ladder.unflushed.current.add(number)
    ladder.unflushed.begin_flush()
    ladder.write(UNFLUSHED_COUNT_MAX << 16)
    assert Kind.FLUSH in ladder.kinds(A)


# -- giving up -------------------------------------------------------------------------------------


def test_a_write_that_is_given_up_is_owed_to_nobody_and_may_differ(ladder: Ladder) -> None:
    (write,) = ladder.write(0)
    ladder.ack(A)
    ladder.links.now = 5.0
    (fresh,) = ladder.write(512)
    ladder.writes.give_up(5.0, GAVE_UP)
    ladder.weigh()
    assert write.status is GAVE_UP
    assert fresh.status is None
    assert ladder.unequal == [([(0, 512)], ladder.links.mask({B, C}))]
    assert ladder.silent == [B, C]
    assert [len(link.writes) for link in ladder.links] == [1, 1, 1]
    assert not ladder.writes.acknowledged(ladder.links[B], ack(1)), "too late"


def test_who_has_failed_it_is_not_silent(ladder: Ladder) -> None:
    ladder.write(0)
    ladder.ack(A, failures=FULL)
    ladder.writes.give_up(5.0, GAVE_UP)
    ladder.weigh()
    assert ladder.silent == [B, C]
    assert ladder.unequal == [([(0, 512)], ladder.links.mask(set(NAMES)))]


def test_a_flush_that_is_given_up_goes_on_by_itself(ladder: Ladder) -> None:
    flush = ladder.flush()
    ladder.writes.give_up(5.0, GAVE_UP)
    ladder.weigh()
    assert flush.status is GAVE_UP
    ladder.writes.give_up(5.0, GAVE_UP)
    ladder.weigh()
    ladder.ack(A, B)
    assert ladder.answered == [flush]
    assert len(ladder.flushed) == 1
    assert ladder.silent == []
