"""Extents that are unequal or in doubt: from whom they are copied, and what goes first."""

from __future__ import annotations

import pytest

from jiva.ladder import BALLOT, ack, answer_frame, digests, hearing, ready_links, taken, volume_of
from tierce import Code
from tierce_jiva.ballot import Ballot, Membership, Start
from tierce_jiva.digests import zero_digest
from tierce_jiva.doubts import Doubts
from tierce_jiva.findings import CopyEnded, CopyFailed, Finding, Trouble
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Batch, Link, Links, LinkState
from tierce_jiva.marks import Marks
from tierce_jiva.promise import Promise
from tierce_jiva.regions import Extents
from tierce_jiva.repair import Members, Repair
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import ENTRY, Kind

A, B, C = ("replica-1", "replica-2", "replica-3")
MIB = 1 << 20
OLD, NEW = b"o" * 16, b"n" * 16


class Ladder:
    """Three members, two extents at once."""

    def __init__(self, window: int = 2) -> None:
        self.links: Links = ready_links()
        self.locked = InFlight()
        self.unflushed = Unflushed(self.links.regions)
        self.agenda = hearing(self._hear)
        self.troubles: list[Trouble] = []
        self.marks = Marks(self.links, self.agenda)
        self.marks.writable = self.links.regions.every()
        reporter = StatusReporter(volume_of(self.links), self.agenda)
        self.doubts = Doubts(self.links, self.unflushed, reporter, self.agenda)
        self.repair = Repair(
            self.links,
            self.locked,
            Extents(self.links.regions),
            self.unflushed,
            self.marks,
            self.doubts,
            self.agenda,
            window=window,
        )
        self.repair.members = Members(tuple(self.links), tuple(self.links))

    def _hear(self, found: Finding) -> None:
        match found:
            case CopyEnded():
                assert self.repair.ended(found.copy, found.trouble)
                if self.agenda.must_repair:
                    self.agenda.must_repair = False
                    self.repair.advance()
            case CopyFailed():
                self.troubles.append(found.trouble)

    def asked(self) -> dict[str, list[int]]:
        """Return the extents that each was asked to digest."""
        found: dict[str, list[int]] = {}
        for link in self.links:
            for frame in taken(link):
                if frame.kind is Kind.DIGEST:
                    offset = next(ENTRY.iter_unpack(frame.table))[2]
                    found.setdefault(link.name, []).append(offset // MIB)
        return found

    def source(self) -> str:
        """Return who is copied from, where all others are written without comparing: who alone is
        asked for a digest."""
        self.repair.advance()
        (name,) = self.asked()
        return name

    def doubt(self, name: str, *extents: int, failed_sync: bool = False) -> None:
        link = self.links[name]
        link.is_unproved, link.has_failed_sync = True, failed_sync
        for extent in extents:
            link.doubt.add(extent)

    def all_answer(self, data: bytes = OLD) -> None:
        """Everybody answers the oldest question with a digest."""
        for link in self.links:
            if link.calls:
                answer_frame(link, digests(data))


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_what_is_unequal_is_compared_on_all_members(ladder: Ladder) -> None:
    ladder.repair.add(3 * MIB + 100, 10)
    assert ladder.repair
    assert ladder.repair.unequal.overlaps(3 * MIB, 1)
    ladder.repair.advance()
    assert ladder.asked() == {A: [3], B: [3], C: [3]}
    assert ladder.locked.overlaps(3 * MIB, MIB)
    ladder.all_answer()
    assert not ladder.repair
    assert not ladder.locked
    assert ladder.agenda.has_mended


def test_a_write_over_several_extents_makes_all_of_them_unequal(ladder: Ladder) -> None:
    ladder.repair.add(MIB - 1, MIB + 2)
    assert list(ladder.repair.unequal) == [0, 1, 2]


def test_no_more_are_under_way_than_the_window_has_room_for(ladder: Ladder) -> None:
    ladder.repair.begin([0, 1], {}, 0)
    ladder.repair.advance()
    assert ladder.asked()[A] == [0, 1]
    ladder.repair.advance()
    assert ladder.asked() == {}
    for link in ladder.links:
        answer_frame(link, digests(OLD))
    assert ladder.asked()[A] == [2]


def test_what_one_in_doubt_has_is_not_taken_for_good_while_a_sound_one_is_only_being_voted_out(
    ladder: Ladder,
) -> None:
    """The vote may be superseded by one that leaves it in: then the two would differ."""
    ladder.doubt(A, 0)
    a, b = ladder.links[A], ladder.links[B]
    ladder.repair.members = Members((a, b), (a,))
    ladder.repair.advance()
    assert ladder.asked() == {}
    assert 0 in a.doubt
    ladder.repair.members = Members((a, b), (a, b))
    assert ladder.source() == B


def test_what_one_in_doubt_has_is_taken_once_the_sound_one_is_out(ladder: Ladder) -> None:
    ladder.doubt(A, 0)
    a = ladder.links[A]
    ladder.repair.members = Members((a,), (a,))
    assert ladder.source() == A


def test_what_somebody_waits_for_goes_first(ladder: Ladder) -> None:
    ladder.repair.begin([0, 1], {}, 0)
    assert ladder.repair.hurry(6 * MIB, 1)
    assert not ladder.repair.hurry(6 * MIB, 1), "it is hurried already"
    assert not ladder.repair.hurry(20 * MIB, 1), "it is equal"
    ladder.repair.advance()
    assert ladder.asked()[A] == [6, 0]


def test_a_copy_is_noted_as_a_write_before_it_is_sent(ladder: Ladder) -> None:
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    ladder.asked()
    for link, data in zip(ladder.links, (zero_digest(MIB), OLD, OLD), strict=True):
        answer_frame(link, digests(data))
    assert [frame.kind for frame in taken(ladder.links[B])] == [Kind.BATCH, Kind.DIGEST]
    assert list(ladder.unflushed.since(0)) == [0]


def test_nothing_is_copied_into_a_region_that_is_not_marked(ladder: Ladder) -> None:
    ladder.marks.writable = frozenset()
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    assert ladder.asked() == {}
    ladder.marks.writable = ladder.links.regions.every()
    ladder.repair.advance()
    assert ladder.asked()


def test_what_is_unequal_waits_until_all_members_are_here(ladder: Ladder) -> None:
    ladder.links[C].state = LinkState.DOWN
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    assert ladder.asked() == {}
    ladder.links[C].state = LinkState.READY
    ladder.repair.advance()
    assert ladder.asked()


def test_while_the_set_is_being_decided_nothing_is_done(ladder: Ladder) -> None:
    ladder.repair.members = None
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    assert ladder.asked() == {}


def test_what_is_in_doubt_on_one_is_written_to_that_one_only(ladder: Ladder) -> None:
    ladder.doubt(B, 5)
    ladder.repair.advance()
    assert ladder.asked() == {A: [5]}
    answer_frame(ladder.links[A], digests(zero_digest(MIB)))
    assert [frame.kind for frame in taken(ladder.links[B])] == [Kind.BATCH, Kind.DIGEST]
    assert taken(ladder.links[C]) == []
    answer_frame(ladder.links[B], ack())
    answer_frame(ladder.links[B], digests(zero_digest(MIB)))
    assert not ladder.links[B].doubt
    assert ladder.agenda.has_mended


def test_one_that_is_not_in_doubt_is_copied_from(ladder: Ladder) -> None:
    ladder.doubt(A, 5)
    ladder.doubt(B, 6)
    # B is in doubt elsewhere: C is better still.
    assert ladder.source() == C


def test_one_in_doubt_elsewhere_is_copied_from_before_one_in_doubt_there(ladder: Ladder) -> None:
    ladder.doubt(B, 6)
    for name in (A, C):
        ladder.doubt(name, 5)
    ladder.repair.hurry(5 * MIB, 1)
    ladder.repair.advance()
    assert ladder.asked()[B] == [5]


def test_one_in_doubt_is_copied_from_if_all_are(ladder: Ladder) -> None:
    for name in (A, B, C):
        ladder.doubt(name, 5)
    ladder.repair.add(5 * MIB, 1)
    ladder.repair.advance()
    assert ladder.asked() == {A: [5]}


def test_one_in_doubt_is_not_copied_from_while_another_may_come_back(ladder: Ladder) -> None:
    ladder.links[C].state = LinkState.DOWN
    for name in (A, B):
        ladder.doubt(name, 5)
    ladder.repair.advance()
    assert ladder.asked() == {}
    ladder.links[C].state = LinkState.READY
    assert ladder.source() == C


@pytest.fixture
def all_in_doubt() -> Ladder:
    """All three are in doubt in one extent, and that one is dealt with alone."""
    ladder = Ladder(window=1)
    for name in (A, B, C):
        ladder.doubt(name, 5)
    ladder.repair.unequal.add(5)
    ladder.repair.hurry(5 * MIB, 1)
    return ladder


def test_who_has_failed_no_sync_is_copied_from_first(all_in_doubt: Ladder) -> None:
    all_in_doubt.doubt(A, 5, failed_sync=True)
    assert all_in_doubt.source() == B


def test_who_has_not_lost_power_is_copied_from_first_though_its_sync_failed(
    all_in_doubt: Ladder,
) -> None:
    all_in_doubt.repair.begin([1], {}, all_in_doubt.links[C].bit)
    all_in_doubt.doubt(C, 5, failed_sync=True)
    assert all_in_doubt.source() == C


@pytest.mark.parametrize("name", [A, B, C])
@pytest.mark.parametrize("earlier", [Start(Ballot(3, 9)), Start(Ballot(5, 9), 3)], ids=str)
def test_whose_process_has_run_longest_is_copied_from_first(
    all_in_doubt: Ladder, name: str, earlier: Start
) -> None:
    for link in all_in_doubt.links:
        began = earlier if link.name == name else Start(Ballot(5, 9), 4)
        link.promise = Promise(Membership(BALLOT, 1, (A, B, C), (A, B, C)), began=began)
    # What was given up may be there or not; what was acknowledged may not be lost.
    all_in_doubt.repair.add(5 * MIB, 1, preferred=all_in_doubt.links[A].bit)
    assert all_in_doubt.source() == name


def test_who_agrees_with_the_latest_marks_is_copied_from(all_in_doubt: Ladder) -> None:
    unfit = {all_in_doubt.links[name]: frozenset({1}) for name in (A, B)}
    all_in_doubt.repair.begin([1], unfit, 0)
    assert all_in_doubt.source() == C


def test_who_has_not_taken_a_failed_write_is_copied_from_first(all_in_doubt: Ladder) -> None:
    all_in_doubt.repair.add(5 * MIB, 1, preferred=all_in_doubt.links[C].bit)
    assert all_in_doubt.source() == C


def test_who_is_behind_is_copied_from_if_nobody_else_is_left(ladder: Ladder) -> None:
    ladder.repair.begin([0], {ladder.links[A]: frozenset({0})}, 0)
    alone: tuple[Link, ...] = (ladder.links[A],)
    ladder.repair.members = Members(alone, alone)
    ladder.repair.advance()
    assert not ladder.repair, "one alone is equal to itself"
    assert ladder.agenda.has_mended


def test_who_is_behind_is_not_copied_from_while_another_is_in_the_set(ladder: Ladder) -> None:
    unfit = {ladder.links[name]: frozenset({0}) for name in (A, B)}
    ladder.repair.begin([0], unfit, 0)
    ladder.links[C].fault = "it failed"
    ladder.repair.advance()
    assert ladder.asked() == {}


@pytest.mark.parametrize("trouble", ["fault", "failed write"])
def test_who_is_at_fault_is_not_copied_from(ladder: Ladder, trouble: str) -> None:
    if trouble == "fault":
        ladder.links[A].fault = "it failed"
    else:
        failed = Batch(1, [], None, [], 1, 1, 0.0, 0.0, failed=1)
        ladder.links[A].writes[1] = failed
    ladder.doubt(C, 5)
    assert ladder.source() == B


def test_a_source_that_fails_is_blamed_and_another_is_tried(ladder: Ladder) -> None:
    ladder.doubt(C, 5)
    ladder.repair.advance()
    assert ladder.asked() == {A: [5]}
    answer_frame(ladder.links[A], ack(1, [(0, Code.READ_ERROR)]))
    assert [trouble.link.name for trouble in ladder.troubles] == [A]
    assert ladder.asked() == {B: [5]}


def fail_for_want_of_room(ladder: Ladder, source: str, target: str) -> None:
    """Everybody differs from the source, and one has no room for what that has."""
    for link in ladder.links:
        answer_frame(link, digests(zero_digest(MIB) if link.name == source else OLD))
    questions = ladder.links[target].calls
    write = questions.pop(next(iter(questions)))
    for link in ladder.links:
        link.calls.clear()
    write.answer(ack(1, [(0, Code.NO_SPACE)]))


def test_of_a_full_disk_every_source_is_tried_and_nobody_is_blamed(ladder: Ladder) -> None:
    # What there is no room for may be what only one has: then that is undone.
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    for source, target in ((A, B), (B, A)):
        fail_for_want_of_room(ladder, source, target)
        assert ladder.troubles == []
    fail_for_want_of_room(ladder, C, A)
    assert ladder.troubles == []
    ladder.asked()
    ladder.repair.advance()
    assert ladder.asked() == {}
    ladder.links.now += 2.0
    ladder.repair.advance()
    assert set(ladder.asked()) == {A, B, C}, "it is tried again later"


def test_nothing_is_written_to_an_older_copy_that_is_to_be_voted_out(ladder: Ladder) -> None:
    ladder.links[B].is_older = True
    ladder.repair.add(0, 1)
    for name in (B, C):
        ladder.doubt(name, 5)
    ladder.repair.advance()
    assert ladder.asked() == {A: [5]}, "what is unequal waits for that"
    answer_frame(ladder.links[A], digests(zero_digest(MIB)))
    assert [bool(link.calls) for link in ladder.links] == [False, False, True]


def test_a_link_that_is_lost_meanwhile_is_waited_for(ladder: Ladder) -> None:
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    ladder.links.lose(ladder.links[B], "cut")
    assert ladder.troubles == []
    assert not ladder.locked
    for link in ladder.links:
        link.calls.clear()
    ladder.asked()
    ladder.repair.advance()
    assert ladder.asked() == {}
    ladder.links[B].state = LinkState.READY
    ladder.repair.advance()
    assert set(ladder.asked()) == {A, B, C}


def fail_alone(ladder: Ladder, code: Code) -> None:
    """A lone replica is tried once more, and fails."""
    ladder.links.now += 2.0
    ladder.repair.advance()
    assert ladder.asked() == {A: [5]}
    answer_frame(ladder.links[A], ack(1, [(0, code)]))


def test_what_a_lone_replica_can_not_read_is_tried_again_and_left_at_last(ladder: Ladder) -> None:
    alone: tuple[Link, ...] = (ladder.links[A],)
    ladder.repair.members = Members(alone, alone)
    ladder.doubt(A, 5)
    for _ in range(9):
        fail_alone(ladder, Code.READ_ERROR)
    assert 5 in ladder.links[A].doubt, "a burst of errors is no reason to trust it"
    fail_alone(ladder, Code.READ_ERROR)
    assert len(ladder.troubles) == 10
    assert not ladder.links[A].doubt
    assert ladder.agenda.has_mended


def test_of_one_in_doubt_nothing_is_believed_while_a_sound_one_may_be_read_again(
    ladder: Ladder,
) -> None:
    # What it holds may be what a failed sync has left of it.
    alone = (ladder.links[A], ladder.links[B])
    ladder.repair.members = Members(alone, alone)
    ladder.doubt(B, 5)
    for _ in range(9):
        fail_alone(ladder, Code.READ_ERROR)
        ladder.repair.advance()
        assert ladder.asked() == {}
    fail_alone(ladder, Code.READ_ERROR)
    assert 5 in ladder.links[A].doubt, "now it is the same with both"
    ladder.links.now += 2.0
    ladder.repair.advance()
    assert ladder.asked() == {B: [5]}


def test_what_a_lone_replica_can_not_write_stays_in_doubt(ladder: Ladder) -> None:
    alone: tuple[Link, ...] = (ladder.links[A],)
    ladder.repair.members = Members(alone, alone)
    ladder.doubt(A, 5)
    for _ in range(20):
        fail_alone(ladder, Code.WRITE_ERROR)
    assert 5 in ladder.links[A].doubt


def test_what_becomes_unequal_while_it_is_copied_is_copied_anew(ladder: Ladder) -> None:
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    ladder.asked()
    ladder.repair.add(0, 1)
    assert not ladder.locked
    ladder.all_answer()
    assert ladder.repair.unequal, "what was asked before says nothing"
    ladder.repair.advance()
    ladder.asked()
    ladder.all_answer()
    assert not ladder.repair


def test_what_is_unequal_already_goes_on_when_it_is_said_again(ladder: Ladder) -> None:
    ladder.repair.add(0, 1)
    ladder.repair.advance()
    ladder.asked()
    ladder.repair.add_all(ladder.repair.unequal.copy())
    assert ladder.locked
    ladder.all_answer()
    assert not ladder.repair


def test_where_the_members_are_in_doubt_everything_under_way_begins_anew(ladder: Ladder) -> None:
    ladder.repair.begin([0], {}, 0)
    ladder.repair.advance()
    assert ladder.locked
    ladder.repair.abandon()
    assert not ladder.locked
    ladder.all_answer()
    assert list(ladder.repair.unequal) == [0, 1, 2, 3]
