"""hello and welcome, prepare and promise."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.ladder import ack, answer, answer_frame, asked, frames_of, ready_links, said
from tierce import ProtocolError
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership
from tierce_jiva.findings import Greeted, Promised, Refused
from tierce_jiva.handshake import Handshake
from tierce_jiva.links import Link, LinkState
from tierce_jiva.target_actions import Agenda

A = "replica-1"
WELCOME: dict[str, Any] = {
    "kind": "welcome",
    "promised": [3, 9],
    "boot_id": "boot",
    "head": "/a/head",
    "device": 5,
    "inode": 6,
    "incarnation": 77,
}
PROMISE: dict[str, Any] = {
    "kind": "promise",
    "accepted": Membership(NO_BALLOT, 0, (A,), (A,)).to_json(),
    "bids": [],
    "counts": True,
    "marks": "",
    "order": [0, 0, 0],
    "settled": [0, 0, 0],
    "suspect": False,
    "doubt": "",
    "copied": False,
    "began": [0, 0],
}


class Ladder:
    """One link that is shaken hands with."""

    def __init__(self) -> None:
        self.links = ready_links(1)
        self.link = self.links[A]
        self.link.state = LinkState.DOWN
        self.agenda = Agenda()
        self.handshake = Handshake(self.links, "00ff", self.agenda)

    @property
    def greeted(self) -> list[Ballot]:
        return [found.promised for found in said(self.agenda, Greeted)]

    @property
    def promised(self) -> list[Link]:
        return [found.link for found in said(self.agenda, Promised)]

    @property
    def refused(self) -> list[tuple[str, Ballot]]:
        return [(found.why, found.promised) for found in said(self.agenda, Refused)]

    def greet(self, **changes: Any) -> None:
        self.handshake.greet(self.link)
        asked(self.link)
        answer(self.link, WELCOME | changes)


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_a_greeting_says_whom_it_wants(ladder: Ladder) -> None:
    ladder.handshake.greet(ladder.link)
    assert ladder.link.state is LinkState.GREETING
    assert ladder.link.connection == 1
    assert asked(ladder.link) == ["hello"]
    assert ladder.greeted == []


def test_a_welcome_tells_of_the_replica_and_of_this_connection(ladder: Ladder) -> None:
    ladder.greet()
    link, head = ladder.link, ladder.link.head
    assert ladder.greeted == [Ballot(3, 9)]
    assert link.state is LinkState.GREETED
    assert (link.boot_id, link.incarnation, link.welcomed) == ("boot", 77, Ballot(3, 9))
    assert head is not None
    assert (head.path, head.device, head.inode) == ("/a/head", 5, 6)
    assert (head.incarnation, head.connection) == (77, 1)
    assert not link.is_restarted


def test_what_it_knows_beyond_the_first_release_it_says_each_time(ladder: Ladder) -> None:
    ladder.greet()
    assert not ladder.link.knows_status
    for knows, is_known in [(["STATUS", "MORE"], True), ([], False)]:
        ladder.links.lose(ladder.link, "cut")
        ladder.greet(knows=knows)
        assert ladder.link.knows_status is is_known


def test_a_file_that_is_told_of_on_another_connection_is_another(ladder: Ladder) -> None:
    ladder.greet()
    first = ladder.link.head
    ladder.links.lose(ladder.link, "cut")
    assert ladder.link.head is None
    ladder.greet()
    assert ladder.link.head != first


def test_another_incarnation_means_that_its_process_has_restarted(ladder: Ladder) -> None:
    ladder.greet()
    ladder.links.lose(ladder.link, "cut")
    ladder.greet()
    assert not ladder.link.is_restarted
    ladder.links.lose(ladder.link, "killed")
    ladder.greet(incarnation=78)
    assert ladder.link.is_restarted
    # Until somebody has seen to it.
    ladder.links.lose(ladder.link, "cut")
    ladder.greet(incarnation=78)
    assert ladder.link.is_restarted


def test_a_promise_makes_the_link_ready(ladder: Ladder) -> None:
    ladder.greet()
    ladder.handshake.prepare(ladder.link)
    assert ladder.link.state is LinkState.PREPARING
    assert asked(ladder.link) == ["prepare"]
    answer(ladder.link, PROMISE)
    assert ladder.promised == [ladder.link]
    assert ladder.link.is_ready


@pytest.mark.parametrize("is_again", [False, True])
def test_it_says_whether_that_was_promised_before(ladder: Ladder, is_again: bool) -> None:
    ladder.greet()
    if is_again:
        ladder.link.has_promised = ladder.links.ballot
    ladder.handshake.prepare(ladder.link)
    (frame,) = frames_of(bytes(ladder.link.outgoing[-1]))
    assert frame.control() == {"kind": "prepare", "again": is_again}


def test_a_link_that_is_lost_meanwhile_is_neither_greeted_nor_ready(ladder: Ladder) -> None:
    ladder.handshake.greet(ladder.link)
    ladder.links.lose(ladder.link, "cut")
    ladder.greet()
    ladder.handshake.prepare(ladder.link)
    ladder.links.lose(ladder.link, "cut")
    assert len(ladder.greeted) == 1
    assert ladder.promised == []
    assert ladder.link.state is LinkState.DOWN


@pytest.mark.parametrize("field", sorted(WELCOME.keys() - {"kind"}))
def test_what_lacks_a_field_is_no_welcome(ladder: Ladder, field: str) -> None:
    ladder.handshake.greet(ladder.link)
    message = {name: value for name, value in WELCOME.items() if name != field}
    with pytest.raises(ProtocolError, match="a welcome that is none"):
        answer(ladder.link, message)


@pytest.mark.parametrize(
    "changes", [{"promised": [1]}, {"device": "x"}, {"incarnation": None}, {"knows": 3}]
)
def test_what_has_something_else_in_it_is_no_welcome(
    ladder: Ladder, changes: dict[str, Any]
) -> None:
    ladder.handshake.greet(ladder.link)
    with pytest.raises(ProtocolError, match="a welcome that is none"):
        answer(ladder.link, WELCOME | changes)
    assert ladder.greeted == []


def test_anything_else_breaks_the_protocol(ladder: Ladder) -> None:
    ladder.handshake.greet(ladder.link)
    with pytest.raises(ProtocolError, match="'welcome' was due, 'promise' came"):
        answer(ladder.link, PROMISE)
    ladder.handshake.greet(ladder.link)
    with pytest.raises(ProtocolError, match="kind ACK came"):
        answer_frame(ladder.link, ack())


def test_a_refusal_says_why_and_what_is_promised(ladder: Ladder) -> None:
    ladder.handshake.refusal(ladder.link, {"why": "ballot", "promised": [8, 9]})
    assert ladder.refused == [("ballot", Ballot(8, 9))]
    with pytest.raises(ProtocolError, match="two integers"):
        ladder.handshake.refusal(ladder.link, {"why": "ballot"})


def test_nobody_is_asked_to_promise_before_there_is_a_ballot() -> None:
    ladder = Ladder()
    ladder.links.ballot = NO_BALLOT
    with pytest.raises(AssertionError):
        ladder.handshake.prepare(ladder.link)


def test_a_welcome_that_tells_of_no_file_is_one_whose_bytes_are_asked_for(ladder: Ladder) -> None:
    told = {key: value for key, value in WELCOME.items() if key not in {"head", "device", "inode"}}
    ladder.handshake.greet(ladder.link)
    assert asked(ladder.link) == ["hello"]
    answer(ladder.link, told)
    assert ladder.link.head is None
    assert ladder.link.state is LinkState.GREETED
