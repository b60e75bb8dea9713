"""What a replica that is connected again may have forgotten, or missed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from jiva.ladder import BALLOT, events_of, ready_links, said, volume_of
from tierce import Code, Event, Op, Request
from tierce_jiva.ballot import NO_BALLOT, Membership, Order
from tierce_jiva.batch import Batch
from tierce_jiva.doubts import Doubts
from tierce_jiva.findings import Useless
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.opening import OLDER, Opening
from tierce_jiva.promise import Promise
from tierce_jiva.quorum import Quorum
from tierce_jiva.returning import Returning
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.write_path import WritePath

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
SET = Membership(BALLOT, 1, NAMES, (A, B))


class Ladder:
    """A and B are the set, C is out; all have promised this target before."""

    def __init__(self, in_sync: tuple[str, ...] = (A, B)) -> None:
        self.links: Links = ready_links()
        self.unflushed = Unflushed(self.links.regions)
        self.in_flight = InFlight()
        self.agenda = Agenda()
        self.quorum = Quorum(self.links, self.agenda)
        self.quorum.adopt(attrs.evolve(SET, in_sync=in_sync))
        self.doubts = Doubts(
            self.links,
            self.unflushed,
            StatusReporter(volume_of(self.links), self.agenda),
            self.agenda,
        )
        volume = volume_of(self.links)
        self.returning = Returning(
            self.links,
            self.quorum,
            self.doubts,
            WritePath(self.links, self.in_flight, self.unflushed, self.agenda),
            StatusReporter(volume, self.agenda),
            self.agenda,
        )
        for link in self.links:
            link.missed.clear()
            link.welcomed = link.has_promised = BALLOT

    @property
    def hangups(self) -> list[tuple[str, str]]:
        return [(found.link.name, found.reason) for found in said(self.agenda, Useless)]

    @property
    def events(self) -> list[Event]:
        return events_of(self.agenda)

    def back(self, name: str, **said: Any) -> Link:
        """It is connected again, and has promised."""
        link = self.links[name]
        link.promise = Promise(SET, **said)
        self.returning.welcome_back(link)
        return link


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def batch(link: Link, *, failed: bool = False) -> Batch:
    """A write that the link has not answered, or has failed."""
    found = Batch(1, [], None, [b"write"], link.bit, link.bit, 0.0, 0.0)
    found.failed = link.bit if failed else 0
    link.writes[1] = found
    return found


def test_a_member_whose_connection_was_cut_is_sent_what_it_has_not_answered(
    ladder: Ladder,
) -> None:
    batch(ladder.links[A])
    ladder.unflushed.add(0, 512)
    link = ladder.back(A)
    assert link.outgoing == [b"write"]
    assert not link.fault
    assert not link.is_in_doubt


def test_a_member_that_has_restarted_is_in_doubt_of_what_it_had_not_flushed(
    ladder: Ladder,
) -> None:
    ladder.unflushed.add(5 << 20, 512)
    batch(ladder.links[A])
    ladder.links[A].is_restarted = True
    link = ladder.back(A)
    assert list(link.doubt) == [5]
    assert link.is_in_doubt
    assert link.outgoing == [b"write"], "first, and in order"
    assert not link.is_restarted


def test_a_member_whose_sync_failed_while_nobody_listened_must_be_renewed(ladder: Ladder) -> None:
    ladder.unflushed.add(5 << 20, 512)
    link = ladder.back(A, suspect=True)
    assert link.must_reopen
    assert list(link.doubt) == [5]


def test_a_member_that_has_lost_power_is_at_fault(ladder: Ladder) -> None:
    batch(ladder.links[A])
    link = ladder.back(A, counts=False)
    assert link.fault == "its machine has lost power"
    assert not link.outgoing


def test_a_member_that_failed_a_write_under_way_is_at_fault(ladder: Ladder) -> None:
    batch(ladder.links[A], failed=True)
    link = ladder.back(A)
    assert link.fault == "it failed an operation that it was sent"
    assert not link.outgoing


@pytest.mark.parametrize("less", ["promise", "order", "vote", "copied"])
def test_a_member_that_says_less_than_it_did_is_at_fault(ladder: Ladder, less: str) -> None:
    link = ladder.links[A]
    if less == "promise":
        link.welcomed = NO_BALLOT
    if less == "order":
        link.answered = Order(BALLOT, 3)
    if less == "vote":
        link.accepted = (BALLOT, 2)
    order = Order(BALLOT, 2 if less == "order" else 3)
    ladder.back(A, copied=less == "copied", order=order)
    assert link.fault == OLDER
    assert link.is_older
    assert not link.has_kept
    assert not link.has_vote, "it may have forgotten votes"
    assert ladder.hangups == []


def test_one_known_by_its_promise_alone_is_kept_in_mind_when_it_has_promised_again(
    ladder: Ladder,
) -> None:
    ladder.links[A].welcomed = NO_BALLOT
    ladder.back(A)
    ladder.links[A].welcomed = BALLOT
    ladder.links[A].fault = ""
    assert ladder.back(A).fault == OLDER


def test_one_that_is_what_it_was_is_welcome_again(ladder: Ladder) -> None:
    link = ladder.links[A]
    link.answered = Order(BALLOT, 3)
    ladder.back(A, order=Order(BALLOT, 2))
    link.fault = ""
    ladder.back(A, order=Order(BALLOT, 3))
    assert not link.fault
    assert link.has_kept


def test_a_write_that_the_only_sound_member_failed_has_failed_everywhere(ladder: Ladder) -> None:
    ladder.links[B].is_unproved = True
    found = batch(ladder.links[A], failed=True)
    found.failures = {0: Code.NO_SPACE}
    found.requests.append(Request(Op.WRITE, 0, 512))
    ladder.in_flight.add(0, 512)
    link = ladder.back(A)
    assert not link.fault, "nobody can go on without it"
    assert found.has_outcome
    assert not link.writes


def test_the_only_copy_that_says_less_than_it_did_takes_no_part() -> None:
    ladder = Ladder(in_sync=(A,))
    ladder.back(A, copied=True)
    assert ladder.hangups == [(A, OLDER)]
    assert [event.code for event in ladder.events] == ["jiva.volume.waiting"]


def test_one_that_is_no_member_may_differ_where_it_is_marked_or_in_doubt(ladder: Ladder) -> None:
    link = ladder.back(C, marks=frozenset({1}), doubt=frozenset({2}))
    assert link.missed.regions() == {1, 2}
    assert link.doubt.regions() == {2}
    assert link.kept == {1, 2}
    assert not link.must_reopen


@pytest.mark.parametrize("how", ["cut", "restarted", "failed a sync"])
def test_what_was_written_to_a_joiner_is_in_doubt_only_if_it_may_have_lost_it(
    ladder: Ladder, how: str
) -> None:
    link = ladder.links[C]
    link.copied.add(29)
    link.is_restarted = how == "restarted"
    ladder.back(C, suspect=how == "failed a sync")
    lost = set() if how == "cut" else {29}
    assert set(link.doubt) == set(link.missed) == lost
    assert set(link.copied) == ({29} if how == "cut" else set())


def test_one_that_is_no_member_and_failed_a_sync_is_in_doubt_wherever_it_is_marked(
    ladder: Ladder,
) -> None:
    link = ladder.back(C, marks=frozenset({1, 2}), doubt=frozenset({2}), suspect=True)
    assert link.doubt.regions() == {1, 2}
    assert link.must_reopen


def test_one_that_is_no_member_and_says_less_is_compared_in_full(ladder: Ladder) -> None:
    ladder.links[C].welcomed = NO_BALLOT
    link = ladder.back(C)
    assert link.missed.regions() == ladder.links.regions.every()


def test_at_the_opening_members_are_in_doubt_where_their_last_process_may_have_lost_something() -> (
    None
):
    ladder = Ladder()
    marks = frozenset({1, 2})
    promises = {
        A: Promise(SET, marks=marks, counts=False),
        B: Promise(SET, marks=marks, doubt=frozenset({2}), suspect=False),
        C: Promise(SET, marks=marks, suspect=True),
    }
    for name, promise in promises.items():
        ladder.links[name].promise = promise
        ladder.links[name].missed.add_regions(ladder.links.regions.every())
        ladder.links[name].has_promised = NO_BALLOT
    ladder.returning.begin(Opening(SET, frozenset(NAMES), marks=marks))
    assert [link.doubt.regions() for link in ladder.links] == [set(), {2}, marks]
    assert [link.must_reopen for link in ladder.links] == [False, False, True]
    assert not any(link.missed for link in ladder.links)
    assert {link.has_promised for link in ladder.links} == {BALLOT}
    assert all(link.promise and link.promise.counts for link in ladder.links), "let in anew"


def test_at_the_opening_one_that_is_left_out_is_compared_in_full_or_where_it_is_marked() -> None:
    for near, missed in ((frozenset({C}), {1}), (frozenset[str](), None)):
        ladder = Ladder()
        for link in ladder.links:
            link.promise = Promise(SET)
        link = ladder.links[C]
        link.missed.add_regions(ladder.links.regions.every())
        opening = Opening(SET, frozenset({A, B}), near=near, marks=frozenset({1}))
        ladder.returning.begin(opening)
        assert link.missed.regions() == (missed or ladder.links.regions.every())


def test_at_the_opening_one_that_is_strange_is_compared_in_full() -> None:
    ladder = Ladder()
    for link in ladder.links:
        link.promise = Promise(SET)
    opening = Opening(SET, frozenset({A, B}), near=frozenset({C}), strange={C: OLDER})
    ladder.returning.begin(opening)
    assert ladder.links[C].missed.regions() == ladder.links.regions.every()
