"""From whom an extent is copied that is unequal or in doubt."""

from __future__ import annotations

import pytest

from jiva.ladder import BALLOT, ack, answer_frame, digests
from jiva.repair_ladder import MIB, OLD, A, B, C, Ladder
from tierce import Code
from tierce_jiva.ballot import Ballot, Membership, Start
from tierce_jiva.batch import Batch
from tierce_jiva.digests import zero_digest
from tierce_jiva.links import Link, LinkState
from tierce_jiva.promise import Promise
from tierce_jiva.repair import Members


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


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
