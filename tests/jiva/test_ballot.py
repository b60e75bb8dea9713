"""Ballots, memberships, orders and records as values, and as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from tierce_jiva.ballot import (
    BID_COUNT_MAX,
    FIRST_START,
    NO_BALLOT,
    NO_ORDER,
    Ballot,
    Membership,
    Order,
    Record,
    Start,
)

BALLOT = Ballot(5, 7)
MEMBERSHIP = Membership(BALLOT, 2, ("a", "b", "c"), ("a", "c"))
RECORD = Record(BALLOT, MEMBERSHIP, "boot", marks=frozenset({3}))


def test_ballots_are_ordered_by_number_then_by_target() -> None:
    assert NO_BALLOT < Ballot(1, 9) < Ballot(2, 0) < Ballot(2, 1)
    assert NO_ORDER < Order(Ballot(1, 1), 1) < Order(Ballot(1, 1), 2) < Order(Ballot(2, 0), 0)


def test_of_processes_the_one_of_the_lower_ballot_then_that_which_joined_first_is_older() -> None:
    joined = Start(BALLOT).joining(BALLOT, 4)
    assert FIRST_START < Start(Ballot(4, 7)) < joined < Start(BALLOT, 6) < Start(BALLOT)
    assert joined.joining(BALLOT, 9) == joined, "it is connected again"
    assert Start(BALLOT).joining(Ballot(6, 7), 4) == Start(BALLOT), "that target is gone"


def test_of_memberships_the_later_ballot_ranks_higher_then_the_later_sequence() -> None:
    later = Membership(Ballot(6, 0), 1, ("a",), ("a",))
    assert MEMBERSHIP.rank < later.rank
    assert MEMBERSHIP.rank > Membership(BALLOT, 1, ("a",), ("a",)).rank


@pytest.mark.parametrize(("count", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_two_majorities_share_a_member(count: int, majority: int) -> None:
    names = tuple("abcdefg"[:count])
    assert Membership(BALLOT, 1, names, names).majority == majority
    assert 2 * majority > count


def test_values_are_read_as_they_were_written() -> None:
    assert Ballot.from_json(BALLOT.to_json()) == BALLOT
    assert Membership.from_json(MEMBERSHIP.to_json()) == MEMBERSHIP
    assert Order.from_json(Order(BALLOT, 4).to_json()) == Order(BALLOT, 4)
    for began in (Start(BALLOT), Start(BALLOT, 4)):
        assert Start.from_json(began.to_json()) == began


@pytest.mark.parametrize(
    "value", [None, [], [1], [1, 2, 3], [1, -1], [1, 1 << 64], [1, True], [1.0, 2], "12", {"1": 2}]
)
def test_what_is_no_ballot_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="two integers"):
        Ballot.from_json(value)


@pytest.mark.parametrize(
    "value", [None, [1, 2], [1, 2, -1], [1, 2, True], [1, 2, 3, 4], [1, 2, "3"]]
)
def test_what_is_no_order_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="a ballot and a number"):
        Order.from_json(value)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": "abc"},
        {"members": ["a", 1]},
        {"in_sync": []},
        {"in_sync": ["a", "stranger"]},
        {"sequence": -1},
        {"sequence": True},
        {"sequence": "2"},
        {"ballot": [1]},
    ],
    ids=str,
)
def test_what_is_no_membership_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Membership.from_json(MEMBERSHIP.to_json() | changes)


@pytest.mark.parametrize("value", [None, [], "x", {"ballot": [1, 2]}], ids=str)
def test_what_lacks_a_field_is_no_membership(value: Any) -> None:
    with pytest.raises(ValueError, match="not a membership"):
        Membership.from_json(value)


def test_a_replica_counts_if_its_memory_has_held_or_nothing_is_marked() -> None:
    assert RECORD.marked
    assert RECORD.counts("boot")
    assert not RECORD.counts("another boot")
    clean = Record(BALLOT, MEMBERSHIP, "boot")
    assert not clean.marked
    assert clean.counts("another boot")


def test_ballots_that_came_to_nothing_are_remembered_until_a_membership_is_accepted() -> None:
    record = RECORD
    for number in (6, 7, 7):
        record = record.promise(Ballot(number, 7))
    assert record.promised == Ballot(7, 7)
    assert record.bids == (Ballot(6, 7), Ballot(7, 7))
    accepted = Membership(Ballot(7, 7), 1, ("a",), ("a",))
    record = record.accept(accepted)
    assert (record.accepted, record.bids) == (accepted, ())


def test_what_an_older_copy_has_forgotten_it_does_not_remember_when_it_promises_it_again() -> None:
    older = RECORD.promise(Ballot(6, 7))
    again = older.promise(Ballot(7, 7), is_again=True)
    assert (again.promised, again.bids) == (Ballot(7, 7), (Ballot(6, 7),))
    assert again.promise(Ballot(6, 7), is_again=True).bids == (Ballot(6, 7),)


def test_of_many_ballots_that_came_to_nothing_the_newest_are_remembered() -> None:
    record = RECORD
    for number in range(100):
        record = record.promise(Ballot(number, 7))
    assert record.bids == tuple(Ballot(number, 7) for number in range(100 - BID_COUNT_MAX, 100))
