"""Control messages."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import ProtocolError
from tierce.process.messages import (
    MESSAGE_BYTES_MAX,
    QUEUE_COUNT_MAX,
    ControlServer,
    Message,
    Peer,
    close_all,
    decode,
    encode,
)
from tierce.process.paths import connect, listen
from tierce.reactor import READABLE


class Heard:
    """What a peer was told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.descriptors: list[int] = []
        self.is_lost = False

    def received(self, _peer: Peer, message: Message, descriptors: list[int]) -> None:
        self.messages.append(message)
        self.descriptors += descriptors

    def lost(self, _peer: Peer) -> None:
        self.is_lost = True


def pair(reactor: Any) -> tuple[Peer, Heard, Peer, Heard]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one, other = Heard(), Heard()
    return (
        Peer(reactor, left, one.received, one.lost),
        one,
        Peer(reactor, right, other.received, other.lost),
        other,
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(decode(data), dict)


def test_deep_nesting_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        decode(b"[" * 100_000)


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="are allowed"):
        encode({"x": "y" * MESSAGE_BYTES_MAX})


def test_the_largest_message_arrives(reactor: Any) -> None:
    left, _one, right, other = pair(reactor)
    message = {"x": "y" * (MESSAGE_BYTES_MAX - len(encode({"x": ""})))}
    left.send(message)
    reactor.turn()
    assert other.messages == [message]
    left.close()
    right.close()


def test_a_request_is_answered_by_its_number(reactor: Any) -> None:
    left, _one, right, other = pair(reactor)
    answers: list[Message] = []
    left.ask({"do": "first"}, answers.append)
    left.ask({"do": "second"}, answers.append)
    reactor.turn()
    for message in reversed(other.messages):
        right.send({"id": message["id"], "ok": {"to": message["do"]}})
    reactor.turn()
    assert [answer["ok"]["to"] for answer in answers] == ["second", "first"]
    left.close()
    right.close()


def test_what_was_asked_fails_when_the_other_side_goes(reactor: Any) -> None:
    left, one, right, _other = pair(reactor)
    answers: list[Message] = []
    left.ask({"do": "x"}, answers.append)
    right.close()
    reactor.turn()
    assert one.is_lost
    assert "error" in answers[0]
    left.ask({"do": "y"}, answers.append)
    assert "error" in answers[1]


def test_descriptors_travel_with_their_message(reactor: Any) -> None:
    left, _one, right, other = pair(reactor)
    read_end, write_end = os.pipe()
    left.send({"do": "take"}, [write_end])
    os.close(write_end)
    reactor.turn()
    os.write(other.descriptors[0], b"hello")
    assert os.read(read_end, 10) == b"hello"
    close_all([read_end, *other.descriptors])
    left.close()
    right.close()


def test_a_queue_keeps_order_and_its_descriptors_alive(reactor: Any) -> None:
    left, _one, right, other = pair(reactor)
    read_end, write_end = os.pipe()
    filler = {"x": "y" * 60_000}
    for _index in range(20):
        left.send(filler)
    left.send({"do": "take"}, [write_end])
    os.close(write_end)
    reactor.turn()
    assert other.messages == [filler] * 20 + [{"do": "take"}]
    assert len(other.descriptors) == 1
    close_all([read_end, *other.descriptors])
    left.close()
    right.close()


def test_who_does_not_read_is_dropped_not_waited_for(reactor: Any) -> None:
    left_end, right_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    heard = Heard()
    left = Peer(reactor, left_end, heard.received, heard.lost)
    for _index in range(QUEUE_COUNT_MAX + 1000):
        left.send({"n": 1})
    assert heard.is_lost
    assert not left.is_open
    right_end.close()


def test_of_what_waits_to_be_sent_there_is_a_bounded_number(reactor: Any) -> None:
    left_end, right_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    heard = Heard()
    left = Peer(reactor, left_end, heard.received, heard.lost)
    while not left._queue:
        left.send({"n": 1})
    for _ in range(QUEUE_COUNT_MAX - 1):
        left.send({"n": 1})
    assert left.is_open
    left.send({"n": 1})
    assert not left.is_open
    right_end.close()


def test_garbage_ends_the_connection_only(reactor: Any) -> None:
    left_end, right_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    heard = Heard()
    Peer(reactor, left_end, heard.received, heard.lost)
    right_end.send(b"\xff\xfe")
    reactor.turn()
    assert heard.is_lost
    right_end.close()


def test_last_words_are_heard_after_the_speaker_has_gone(reactor: Any) -> None:
    left, one, right, _other = pair(reactor)
    for index in range(200):
        right.send({"event": index})
    right.close()
    left.drain()
    assert [message["event"] for message in one.messages] == list(range(200))
    assert one.is_lost


def test_a_server_tells_subscribers_only(reactor: Any, tmp_path: Path) -> None:
    def handle(peer: Peer, message: Message, _descriptors: list[int]) -> None:
        peer.is_subscribed = message["do"] == "subscribe"

    server = ControlServer(reactor, listen(tmp_path / "a.sock"), handle)
    heard = [Heard(), Heard()]
    peers = [Peer(reactor, connect(tmp_path / "a.sock"), h.received, h.lost) for h in heard]
    assert not server.tell({"event": 0})
    peers[0].send({"do": "subscribe"})
    reactor.turn()
    assert server.tell({"event": 1})
    reactor.turn()
    assert heard[0].messages == [{"event": 1}]
    assert heard[1].messages == []
    server.close()
    reactor.turn()
    assert all(one.is_lost for one in heard)


class Narrow(ControlServer):
    """Has room for two."""

    PEER_COUNT_MAX = 2


def test_one_more_than_there_is_room_for_is_turned_away(reactor: Any, tmp_path: Path) -> None:
    server = Narrow(reactor, listen(tmp_path / "a.sock"), lambda *_: None)
    heard = [Heard() for _ in range(3)]
    for one in heard:
        Peer(reactor, connect(tmp_path / "a.sock"), one.received, one.lost)
        reactor.turn()
    assert [one.is_lost for one in heard] == [False, False, True]
    server.close()
    reactor.turn()


def test_who_waits_at_the_door_is_let_in_at_once(reactor: Any, tmp_path: Path) -> None:
    server = ControlServer(reactor, listen(tmp_path / "a.sock"), lambda *_: None)
    waiting = [connect(tmp_path / "a.sock") for _count in range(10)]
    next(iter(reactor.watched.values()))[1](READABLE)
    assert len(reactor.watched) == 1 + len(waiting)
    server.close()
    for one in waiting:
        one.close()
