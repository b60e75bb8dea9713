"""Orders about marks: numbered, absolute, one at a time, believed when answered."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.ladder import ack, answer, answer_frame, ready_links, said, taken
from tierce import ProtocolError
from tierce_jiva.findings import Cleared
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.marks import Marks
from tierce_jiva.target_actions import Agenda

A, B, C = ("replica-1", "replica-2", "replica-3")


@pytest.fixture
def links() -> Links:
    return ready_links()


@pytest.fixture
def agenda() -> Agenda:
    return Agenda()


@pytest.fixture
def marks(links: Links, agenda: Agenda) -> Marks:
    marks = Marks(links, agenda)
    marks.use([links[A], links[B]], links)
    return marks


def order(link: Link) -> tuple[int, int, str] | None:
    """Return the one order that the link would send: number, settled, marks."""
    messages: list[dict[str, Any]] = [frame.control() for frame in taken(link)]
    if not messages:
        return None
    (message,) = messages
    return message["order"], message["settled"], message["marks"]


def obey(link: Link, number: int) -> None:
    answer(link, {"kind": "marked", "order": number})


def test_a_region_may_be_written_when_it_is_marked_on_every_required_replica(
    links: Links, marks: Marks, agenda: Agenda
) -> None:
    marks.want([3])
    assert [order(link) for link in links] == [(1, 0, "08")] * 3
    obey(links[A], 1)
    obey(links[C], 1)
    assert marks.writable == set()
    assert not agenda.may_admit
    obey(links[B], 1)
    assert marks.writable == {3}
    assert agenda.may_admit


def test_one_that_is_let_in_while_it_is_away_is_told_when_it_is_back(
    links: Links, marks: Marks
) -> None:
    marks.want([0])
    marks.keep(links[C], frozenset({3}), lambda: None)
    links.lose(links[C], "cut")
    marks.let_in(links[C])
    links[C].outgoing.clear()
    links[C].state = LinkState.READY
    marks.use(links, links)
    assert order(links[C]) == (1, 0, "01")


def test_what_is_wanted_while_an_order_is_under_way_shares_the_next(
    links: Links, marks: Marks
) -> None:
    marks.want([0])
    for link in links:
        taken(link)
    marks.want([1])
    marks.want([2])
    assert [order(link) for link in links] == [None] * 3
    obey(links[A], 1)
    obey(links[B], 1)
    assert order(links[A]) == (2, 1, "07")


def test_an_order_says_which_was_the_last_that_is_durable_on_all(
    links: Links, marks: Marks
) -> None:
    marks.want([0])
    for name in (A, B):
        taken(links[name])
        obey(links[name], 1)
    marks.clear([0])
    assert order(links[A]) == (2, 1, "")


def test_a_region_whose_mark_is_being_taken_away_may_not_be_written(
    links: Links, marks: Marks
) -> None:
    marks.want([0, 1])
    for name in (A, B):
        obey(links[name], 1)
    marks.clear([0])
    assert marks.writable == {1}
    marks.want([0])
    for name in (A, B):
        obey(links[name], 2)
    assert marks.writable == {1}, "order 3 is not carried out yet"
    for name in (A, B):
        obey(links[name], 3)
    assert marks.writable == {0, 1}


def test_what_an_answer_says_that_was_overtaken_by_a_clearing_is_forgotten(
    links: Links, marks: Marks
) -> None:
    # The mirror is slow: it has answered the order before the clearing, and becomes required.
    marks.want([0])
    for link in links:
        obey(link, 1)
    marks.clear([0])
    for name in (A, B):
        obey(links[name], 2)
    marks.want([0])
    for name in (A, B):
        obey(links[name], 3)
    marks.use(links, links)
    assert marks.writable == set()
    obey(links[C], 2)
    obey(links[C], 3)
    assert marks.writable == {0}


def test_clearing_is_done_when_all_have_answered_or_are_lost(
    links: Links, marks: Marks, agenda: Agenda
) -> None:
    marks.want([0])
    for name in (A, B):
        obey(links[name], 1)
    marks.clear([0], is_last=True)
    obey(links[A], 2)
    assert said(agenda, Cleared) == []
    links.lose(links[B], "cut")
    marks.lost(links[B])
    assert said(agenda, Cleared) == [Cleared()]


def test_a_region_that_is_being_marked_is_not_cleared(links: Links, marks: Marks) -> None:
    marks.want([0])
    taken(links[A])
    obey(links[B], 1)
    marks.clear([0])
    assert order(links[A]) == (2, 0, "01")


def test_a_region_that_was_marked_is_cleared_while_another_clearing_is_under_way(
    links: Links, marks: Marks
) -> None:
    marks.want([0])
    for name in (A, B):
        obey(links[name], 1)
    marks.want([1])
    for name in (A, B):
        obey(links[name], 2)
    marks.clear([0])
    taken(links[A])
    marks.clear([1])
    assert order(links[A]) == (4, 2, "")


def test_a_link_that_comes_back_is_told_anew(links: Links, marks: Marks) -> None:
    marks.want([0])
    for name in (A, B):
        obey(links[name], 1)
    link = links[A]
    links.lose(link, "cut")
    marks.lost(link)
    assert marks.writable == set()
    link.state = LinkState.READY
    marks.use([links[A], links[B]], links)
    marks.use([links[A], links[B]], links)
    assert order(link) == (1, 0, "01")
    obey(link, 1)
    assert marks.writable == {0}


def test_one_that_is_not_equal_yet_keeps_its_own_marks_beside(links: Links, marks: Marks) -> None:
    done: list[None] = []
    marks.keep(links[C], frozenset({7}), lambda: done.append(None))
    marks.want([0])
    messages = [frame.control()["marks"] for frame in taken(links[C])]
    assert messages[-1] == "80"
    for name in (A, B, C):
        obey(links[name], 1)
    assert order(links[C]) is not None
    obey(links[C], 1)
    assert done


def test_who_is_no_target_misses_what_is_written_from_now_on(links: Links, marks: Marks) -> None:
    links[C].missed.clear()
    marks.use([links[A], links[B]], [links[A], links[B]])
    marks.want([2])
    assert links[C].missed.regions() == {2}


def test_another_answer_is_no_mark(links: Links, marks: Marks) -> None:
    marks.want([0])
    with pytest.raises(ProtocolError, match="marked"):
        answer(links[A], {"kind": "accepted"})
    with pytest.raises(ProtocolError, match="ACK"):
        answer_frame(links[B], ack())
    assert marks.writable == set()
