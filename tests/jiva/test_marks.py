"""Marks: asked for once, believed when answered, forgotten with the link."""

from __future__ import annotations

import pytest

from jiva.ladder import ack, answer, answer_frame, asked, ready_links
from tierce import ProtocolError
from tierce_jiva.links import Links, LinkState
from tierce_jiva.marks import Marks

NAMES = ("replica-1", "replica-2", "replica-3")
MARKED = {"kind": "marked", "marked": True}


@pytest.fixture
def links() -> Links:
    return ready_links()


@pytest.fixture
def changes() -> list[None]:
    return []


@pytest.fixture
def marks(links: Links, changes: list[None]) -> Marks:
    return Marks(links, lambda: changes.append(None))


def test_a_mark_is_asked_for_once_and_counts_when_it_is_answered(
    links: Links, marks: Marks, changes: list[None]
) -> None:
    marks.set(links)
    marks.set(links)
    assert [asked(link) for link in links] == [["mark"]] * 3
    assert not marks.cover(NAMES[:1])
    answer(links[NAMES[0]], MARKED)
    assert marks.cover(NAMES[:1])
    assert not marks.cover(NAMES)
    assert len(changes) == 1


def test_a_lost_link_is_marked_anew(links: Links, marks: Marks) -> None:
    marks.set(links)
    link = links[NAMES[0]]
    links.lose(link, "cut")
    marks.forget(link.name)
    assert not marks
    link.state = LinkState.READY
    marks.set([link])
    assert asked(link) == ["mark"]


def test_an_answer_from_before_the_marks_went_says_nothing_any_more(
    links: Links, marks: Marks
) -> None:
    marks.set(links)
    done: list[None] = []
    marks.clear(list(links), lambda: done.append(None))
    for link in links:
        answer(link, MARKED)
    assert not marks
    for link in links:
        assert not done
        answer(link, {"kind": "marked", "marked": False})
    assert done


def test_a_link_that_is_lost_does_not_hold_up_the_clearing(links: Links, marks: Marks) -> None:
    done: list[None] = []
    marks.clear(list(links), lambda: done.append(None))
    for link in links:
        links.lose(link, "cut")
    assert len(done) == 1


def test_another_answer_is_no_mark(links: Links, marks: Marks) -> None:
    marks.set(links)
    with pytest.raises(ProtocolError, match="marked"):
        answer(links[NAMES[0]], {"kind": "accepted"})
    with pytest.raises(ProtocolError, match="ACK"):
        answer_frame(links[NAMES[1]], ack())
    assert not marks
