"""Votes: who is asked first, what is required meanwhile, which answers count."""

from __future__ import annotations

import pytest

from jiva.ladder import BALLOT, ack, answer, answer_frame, asked, hearing, ready_links, taken
from tierce import ProtocolError
from tierce_jiva.ballot import NO_BALLOT, Membership
from tierce_jiva.links import Links, LinkState
from tierce_jiva.promise import Promise
from tierce_jiva.quorum import Quorum

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
ACCEPTED = {"kind": "accepted"}
#: What an opening begins from: it has weighed all of them itself.
FOUND = Membership(NO_BALLOT, 0, NAMES, NAMES)


@pytest.fixture
def links() -> Links:
    return ready_links()


@pytest.fixture
def in_force() -> list[Membership]:
    return []


@pytest.fixture
def quorum(links: Links, in_force: list[Membership]) -> Quorum:
    votes: Quorum

    def hear(_found: object) -> None:
        in_force.append(votes.latest)

    votes = Quorum(links, hearing(hear))
    votes.adopt(Membership(BALLOT, 0, NAMES, NAMES))
    return votes


def test_a_vote_goes_first_to_one_that_stays(
    links: Links, quorum: Quorum, in_force: list[Membership]
) -> None:
    quorum.propose(frozenset({B, C}))
    assert [asked(link) for link in links] == [[], ["accept"], []]
    answer(links[B], ACCEPTED)
    assert [asked(link) for link in links] == [["accept"], [], ["accept"]]
    assert not in_force
    answer(links[A], ACCEPTED)
    assert in_force[0].in_sync == (B, C)
    assert not quorum.is_voting


def test_if_the_first_is_lost_before_it_has_accepted_another_that_stays_is_asked(
    links: Links, quorum: Quorum
) -> None:
    quorum.propose(frozenset({B, C}))
    assert asked(links[B]) == ["accept"]
    links.lose(links[B], "cut")
    assert asked(links[A]) == []
    assert asked(links[C]) == ["accept"]


def test_one_in_doubt_is_not_asked_first_where_one_that_stays_is_sound(
    links: Links, quorum: Quorum
) -> None:
    # The sound one says so if its sync has failed meanwhile; the target knows the other's already.
    links[B].is_unproved = True
    quorum.propose(frozenset({B, C}))
    assert [asked(link) for link in links] == [[], [], ["accept"]]


def test_nobody_is_asked_while_one_that_is_left_out_can_be_trusted_more(
    links: Links, quorum: Quorum
) -> None:
    links[C].is_unproved = links[C].has_failed_sync = True
    quorum.propose(frozenset({B, C}))
    assert asked(links[B]) == ["accept"]
    links[B].is_unproved = links[B].has_failed_sync = True
    links.lose(links[B], "it refused")
    assert [asked(link) for link in links] == [[], [], []], "A alone has kept everything"


@pytest.mark.parametrize("has_failed", [False, True])
def test_it_says_that_it_knows_of_a_failed_sync_and_of_nothing_less(
    links: Links, quorum: Quorum, has_failed: bool
) -> None:
    # A replica refuses if its sync has failed unknown to the target, restarted or not.
    quorum.adopt(FOUND)
    links[B].is_unproved, links[B].has_failed_sync = True, has_failed
    quorum.propose(frozenset({B}))
    (frame,) = taken(links[B])
    assert frame.control()["suspect"] is has_failed


def test_where_all_that_stay_are_in_doubt_one_of_them_is_asked_first(
    links: Links, quorum: Quorum
) -> None:
    quorum.adopt(FOUND)
    links[B].is_unproved = links[C].is_unproved = True
    quorum.propose(frozenset({B, C}))
    assert asked(links[B]) == ["accept"]


def test_where_all_that_stay_are_in_doubt_one_whose_sync_has_not_failed_is_asked_first(
    links: Links, quorum: Quorum
) -> None:
    quorum.adopt(FOUND)
    links[B].is_unproved = links[C].is_unproved = links[B].has_failed_sync = True
    quorum.propose(frozenset({B, C}))
    assert [asked(link) for link in links] == [[], [], ["accept"]]


@pytest.mark.parametrize("is_let_in", [False, True])
def test_one_that_has_lost_power_may_be_asked_first_if_it_is_let_in(
    links: Links, quorum: Quorum, is_let_in: bool
) -> None:
    quorum.adopt(FOUND)
    links[C].promise = Promise(quorum.latest, counts=False)
    quorum.propose(frozenset({C}), frozenset({C} if is_let_in else ()))
    assert asked(links[C]) == (["accept"] if is_let_in else [])


def test_a_vote_ends_when_nobody_is_missing_any_more(
    links: Links, quorum: Quorum, in_force: list[Membership]
) -> None:
    # B may have forgotten votes: its own counts only then.
    links[B].has_vote = False
    links.lose(links[A], "cut")
    quorum.propose(frozenset(NAMES), frozenset({B}))
    for name in (B, C):
        answer(links[name], ACCEPTED)
    assert not in_force
    links[A].state = LinkState.READY
    assert quorum.advance(), "it is in force"
    assert not quorum.is_voting


def test_until_a_larger_set_is_in_force_the_old_and_the_new_are_required(
    links: Links, quorum: Quorum
) -> None:
    quorum.adopt(Membership(BALLOT, 0, NAMES, (A,)))
    quorum.propose(frozenset({A, B}), frozenset({B}))
    assert quorum.required() == {A, B}
    assert quorum.readable() == {A}
    for name in (A, B):
        answer(links[name], ACCEPTED)
    assert quorum.readable() == {A, B}


def test_who_is_being_voted_out_is_required_and_not_read(quorum: Quorum) -> None:
    quorum.propose(frozenset({B, C}))
    assert quorum.required() == {A, B, C}
    assert quorum.readable() == {B, C}


def test_who_is_let_in_must_itself_have_accepted(
    links: Links, quorum: Quorum, in_force: list[Membership]
) -> None:
    quorum.adopt(Membership(BALLOT, 0, NAMES, (A, B)))
    quorum.propose(frozenset(NAMES), frozenset({C}))
    answer(links[A], ACCEPTED)
    answer(links[B], ACCEPTED)
    assert not in_force
    answer(links[C], ACCEPTED)
    assert in_force


def test_an_answer_to_a_superseded_vote_counts_for_nothing(
    links: Links, quorum: Quorum, in_force: list[Membership]
) -> None:
    quorum.propose(frozenset({B, C}))
    quorum.propose(frozenset({B}))
    answer(links[B], ACCEPTED)
    assert quorum.is_voting
    assert not in_force
    answer(links[B], ACCEPTED)
    answer(links[A], ACCEPTED)
    assert in_force[0].in_sync == (B,)


@pytest.mark.parametrize("message", [{"kind": "marked", "marked": True}, {"kind": "?"}, {}])
def test_any_other_message_is_no_vote(
    links: Links, quorum: Quorum, message: dict[str, object]
) -> None:
    quorum.propose(frozenset({B, C}))
    with pytest.raises(ProtocolError, match="accepted"):
        answer(links[B], message)
    assert asked(links[A]) == []


def test_an_ack_is_no_vote(links: Links, quorum: Quorum) -> None:
    quorum.propose(frozenset({B, C}))
    with pytest.raises(ProtocolError, match="ACK"):
        answer_frame(links[B], ack())


def test_a_vote_that_was_withdrawn_comes_into_force_no_more(
    links: Links, quorum: Quorum, in_force: list[Membership]
) -> None:
    quorum.propose(frozenset({B}))
    quorum.withdraw()
    answer(links[B], ACCEPTED)
    assert not in_force
    assert asked(links[A]) == []
