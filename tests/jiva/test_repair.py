"""Extents that are unequal or in doubt: what is compared, what goes first, and what ends it."""

from __future__ import annotations

import pytest

from jiva.ladder import ack, answer_frame, digests, taken
from jiva.repair_ladder import MIB, OLD, A, B, C, Ladder
from tierce import Code
from tierce_jiva.digests import zero_digest
from tierce_jiva.links import Link, LinkState
from tierce_jiva.repair import Members
from tierce_jiva.wire import Kind


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
