"""Ladders of one connection: what is sent, what comes, and what ends it."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from exporters.forward.peer import KEY, SALT_OF_USER, ack, entries, helo, pong, values
from tierce import ProtocolError
from tierce_exporters.forward.backlog import Chunk, Kind
from tierce_exporters.forward.messages import Secrets
from tierce_exporters.forward.session import HANDSHAKE_S, Phase, Session

ACK_S = 30.0
SECRETS = Secrets(shared_key=KEY)
ENTRY: bytes = msgpack.packb([msgpack.ExtType(0, bytes(8)), {"n": 1}])


def session(secrets: Secrets | None = None) -> Session:
    return Session(0.0, "here", secrets, ACK_S, lambda count: b"s" * count)


def sent(one: Session) -> list[Any]:
    """Take what is to be sent, in pieces, and read it."""
    data = b""
    while one.outgoing:
        piece = bytes(one.outgoing[0][:7])
        one.sent(len(piece))
        data += piece
    return values(data)


def chunk(name: str) -> Chunk:
    return Chunk(Kind.EVENTS, name, 1, ENTRY)


def send(one: Session, name: str, now: float = 0.0) -> None:
    one.send("tag", chunk(name), now, is_compressed=False)


def test_without_a_key_chunks_are_sent_at_once_and_acknowledged() -> None:
    one = session()
    send(one, "a")
    send(one, "b")
    first, second = sent(one)
    assert (first[0], first[2]["chunk"], second[2]["chunk"]) == ("tag", "a", "b")
    assert entries(first) == [[0, {"n": 1}]]
    assert one.receive(ack("a")) == ["a"]
    assert one.receive(ack("b")) == ["b"]
    assert one.deadline is None


def test_with_a_key_nothing_is_sent_before_both_have_proved_it() -> None:
    one = session(SECRETS)
    phases = [one.phase]
    assert sent(one) == []
    one.receive(helo())
    (ping,) = sent(one)
    assert ping[:2] == ["PING", "here"]
    phases.append(one.phase)
    one.receive(pong(ping))
    phases.append(one.phase)
    assert phases == [Phase.GREETING, Phase.KNOCKING, Phase.OPEN]


def test_acks_that_come_in_pieces_and_together_are_all_taken() -> None:
    one = session()
    for name in "abc":
        send(one, name)
    data = ack("a") + ack("b") + ack("c")
    assert [*one.receive(data[:3]), *one.receive(data[3:])] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["never sent", "a"])
def test_an_ack_of_what_is_not_in_flight_ends_it(name: str) -> None:
    one = session()
    send(one, "a")
    one.receive(ack("a"))
    with pytest.raises(ProtocolError, match=r"acknowledges .*, never sent"):
        one.receive(ack(name))


def test_who_asks_for_a_key_that_is_not_known_is_told_apart() -> None:
    with pytest.raises(ProtocolError, match="shared_key_file"):
        session().receive(helo())
    with pytest.raises(ProtocolError, match=r"user.*password_file"):
        session(SECRETS).receive(helo(auth=SALT_OF_USER))


def test_a_handshake_in_the_wrong_order_ends_it() -> None:
    with pytest.raises(ProtocolError, match="not asked for"):
        session(SECRETS).receive(pong(["PING", "here", b"", "", "", ""]))
    one = session(SECRETS)
    one.receive(helo())
    with pytest.raises(ProtocolError, match="second HELO"):
        one.receive(helo())


def test_a_peer_that_says_nothing_has_its_time_and_no_more() -> None:
    one = session(SECRETS)
    assert one.deadline == HANDSHAKE_S
    one.check_time(HANDSHAKE_S - 0.1)
    with pytest.raises(ProtocolError, match="no HELO within 10 s"):
        one.check_time(HANDSHAKE_S)
    one.receive(helo())
    with pytest.raises(ProtocolError, match="no PONG within 10 s"):
        one.check_time(HANDSHAKE_S)


def test_each_chunk_has_its_own_time_to_be_acknowledged() -> None:
    one = session()
    one.check_time(1e9)
    send(one, "a", 0.0)
    send(one, "b", 10.0)
    assert one.deadline == ACK_S
    one.receive(ack("a"))
    assert one.deadline == ACK_S + 10.0
    with pytest.raises(ProtocolError, match="nothing is acknowledged within 30 s"):
        one.check_time(ACK_S + 10.0)
