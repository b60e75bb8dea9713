"""What is asked of whom, and what becomes of it when a connection is lost."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.ladder import ack, answer, answer_frame, asked, frames_of, ready_links, taken
from tierce import ProtocolError
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.batch import Batch
from tierce_jiva.links import Link, Links, LinkState, control_of
from tierce_jiva.wire import ENTRY, Frame, Kind, encode, encode_control

A, B, C = ("replica-1", "replica-2", "replica-3")


@pytest.fixture
def links() -> Links:
    return ready_links()


def batch(sequence: int, asked_at: float) -> Batch:
    return Batch(sequence, [], None, [], 1, 1, asked_at, asked_at)


def test_each_replica_has_a_bit_and_a_mask_names_several(links: Links) -> None:
    assert [link.bit for link in links] == [1, 2, 4]
    assert links.mask({A, C}) == 5
    assert [link.name for link in links.of(6)] == [B, C]
    assert links.of(0) == []


def test_only_those_that_have_promised_are_ready(links: Links) -> None:
    links[B].state = LinkState.PREPARING
    assert [link.name for link in links.ready()] == [A, C]


def test_frames_are_numbered_once_for_all(links: Links) -> None:
    assert [links.next_sequence() for _ in range(3)] == [1, 2, 3]
    assert links.sequence == 3


def test_a_control_message_is_answered_with_its_kind(links: Links) -> None:
    answers: list[bool] = []
    links.ask_control(links[A], {"kind": "renew"}, "renewed", answers.append)
    assert asked(links[A]) == ["renew"]
    answer(links[A], {"kind": "renewed"})
    assert answers == [True]
    links.ask_control(links[A], {"kind": "renew"}, "renewed", answers.append)
    with pytest.raises(ProtocolError, match="'renewed' was due, 'marked' came"):
        answer(links[A], {"kind": "marked"})
    assert answers == [True]


@pytest.mark.parametrize(("message", "is_agreed"), [({"done": True}, True), ({"done": 1}, False)])
def test_only_a_clear_word_ends_a_doubt(
    links: Links, message: dict[str, Any], is_agreed: bool
) -> None:
    answers: list[bool] = []
    links.ask_redone(links[A], answers.append)
    answer(links[A], {"kind": "redone"} | message)
    assert answers == [is_agreed]


def test_extents_are_asked_for_in_one_frame(links: Links) -> None:
    links.ask_extents(links[A], Kind.DIGEST, [(0, 512), (4096, 1024)], lambda _frame: None)
    (frame,) = taken(links[A])
    assert frame.kind is Kind.DIGEST
    assert [(at, length) for _, length, at, _ in ENTRY.iter_unpack(frame.table)] == [
        (0, 512),
        (4096, 1024),
    ]


def test_a_flush_is_answered_by_an_ack_and_nothing_else(links: Links) -> None:
    answers: list[Frame | None] = []
    links.ask_flush(links[A], answers.append)
    assert [frame.kind for frame in taken(links[A])] == [Kind.FLUSH]
    answer_frame(links[A], ack())
    assert len(answers) == 1
    links.ask_flush(links[A], answers.append)
    with pytest.raises(ProtocolError, match="an ACK was due, a frame of kind DIGESTS came"):
        answer_frame(links[A], frames_of(encode(Kind.DIGESTS, 1, NO_BALLOT))[0])
    assert len(answers) == 1


def test_who_is_down_is_asked_nothing_and_answers_none(links: Links) -> None:
    link = links[A]
    link.state = LinkState.DOWN
    answers: list[object] = []
    links.ask(link, {"kind": "mark"}, answers.append)
    links.ask_control(link, {"kind": "mark"}, "marked", answers.append)
    links.ask_redone(link, answers.append)
    links.ask_extents(link, Kind.READ, [(0, 512)], answers.append)
    links.ask_flush(link, answers.append)
    assert answers == [None, False, False, None, None]
    assert not link.outgoing
    assert not link.calls


def test_a_lost_link_answers_every_question_and_keeps_what_is_to_be_sent_again(
    links: Links,
) -> None:
    link: Link = links[A]
    answers: list[object] = []
    links.now = 7.0
    links.ask(link, {"kind": "mark"}, answers.append)

    def ask_again(frame: Frame | None) -> None:
        # Whoever is answered may ask at once, and is answered at once.
        answers.append(frame)
        links.ask(link, {"kind": "mark"}, answers.append)

    links.ask(link, {"kind": "mark"}, ask_again)
    link.writes[9] = batch(9, 1.0)
    link.flushes[10] = batch(10, 2.0)
    link.held, link.order, link.asked_order = frozenset({1}), 3, 4
    links.lose(link, "cut")
    assert answers == [None] * 3
    assert (link.state, link.trouble, link.lost_at) == (LinkState.DOWN, "cut", 7.0)
    assert not link.outgoing
    assert (list(link.writes), list(link.flushes)) == ([9], [10])
    assert (link.held, link.order, link.asked_order) == (frozenset(), 0, 0)


def test_one_that_never_came_so_far_has_been_away_since_before(links: Links) -> None:
    link = links[A]
    links.now = 3.0
    links.lose(link, "cut")
    link.state = LinkState.PREPARING
    links.now = 5.0
    links.lose(link, "cut again")
    assert (link.lost_at, link.trouble) == (3.0, "cut again")


def test_the_oldest_of_what_is_unanswered_is_known_flushes_apart(links: Links) -> None:
    link = links[A]
    assert (link.oldest(is_flush=False), link.oldest(is_flush=True)) == (None, None)
    link.flushes[1] = batch(1, 1.0)
    assert (link.oldest(is_flush=False), link.oldest(is_flush=True)) == (None, 1.0)
    link.writes[2] = batch(2, 5.0)
    links.now = 3.0
    links.ask(link, {"kind": "mark"}, lambda _frame: None)
    assert link.oldest(is_flush=False) == 3.0
    link.calls.clear()
    assert link.oldest(is_flush=False) == 5.0


def test_a_flush_that_is_a_question_is_judged_as_a_flush(links: Links) -> None:
    link = links[A]
    links.now = 4.0
    links.ask_flush(link, lambda _frame: None)
    assert (link.oldest(is_flush=False), link.oldest(is_flush=True)) == (None, 4.0)
    link.flushes[1] = batch(1, 3.0)
    assert link.oldest(is_flush=True) == 3.0
    links.now = 5.0
    links.ask(link, {"kind": "mark"}, lambda _frame: None)
    assert link.oldest(is_flush=False) == 5.0


def test_who_failed_what_is_still_under_way_is_known(links: Links) -> None:
    failed = batch(1, 0.0)
    failed.failed = links[B].bit
    for link in links:
        link.writes[1] = failed
    assert [link.has_failed for link in links] == [False, True, False]


def test_who_is_in_doubt_or_has_lost_its_memory_is_not_sound(links: Links) -> None:
    link: Link = links[A]
    assert link.is_sound
    link.is_unproved = True
    assert link.is_in_doubt
    assert not link.is_sound
    link.is_unproved = False
    link.is_older = True
    assert not link.has_kept
    assert not link.is_sound


def test_a_message_must_be_of_the_kind_that_is_due() -> None:
    (frame,) = frames_of(encode_control(1, NO_BALLOT, {"kind": "welcome", "x": 1}))
    assert control_of(frame, "welcome")["x"] == 1
    with pytest.raises(ProtocolError, match="due"):
        control_of(frame, "promise")
    with pytest.raises(ProtocolError, match="kind ACK came"):
        control_of(ack(), "welcome")
