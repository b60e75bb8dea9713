"""Sending over connections that come and go: ladders, and whole lives from a seed."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from exporters.forward.peer import KEY, Peer, ack, values
from tierce_exporters.forward.backlog import Backlog, Kind
from tierce_exporters.forward.messages import Secrets
from tierce_exporters.forward.sender import PAUSE_S, PAUSE_S_MAX, WINDOW, Conduct, Sender

ACK_S = 30.0
COUNT_MAX, BYTES_MAX = 2000, 2 << 20


def entry(number: int, size: int = 0) -> bytes:
    when = msgpack.ExtType(0, bytes(8))
    return msgpack.packb([when, {"n": number, "x": "x" * size}])  # type: ignore[no-any-return]


def sender(seed: int = 1, key: bytes = b"", *, is_compressed: bool = False) -> Sender:
    chance = random.Random(seed)
    conduct = Conduct(
        tags={kind: f"t.{kind.value}" for kind in Kind},
        host="here",
        secrets=Secrets(shared_key=key) if key else None,
        ack_s=ACK_S,
        is_compressed=is_compressed,
    )
    backlog = Backlog(COUNT_MAX, BYTES_MAX, chance.randbytes)
    return Sender(conduct, backlog, 0.0, chance, chance.randbytes)


def sent(one: Sender) -> list[Any]:
    data = b"".join(one.outgoing)
    one.sent(len(data))
    return values(data)


def chunks(one: Sender) -> list[str]:
    """Take what is to be sent; return the ids of its chunks."""
    return [message[2]["chunk"] for message in sent(one)]


def connect(one: Sender, now: float) -> None:
    assert one.step(now), "a connection is wanted"
    assert not one.step(now), "and wanted once"
    one.connected(now)


def test_a_connection_is_made_when_there_is_something_to_send() -> None:
    one = sender()
    assert not one.step(0.0)
    assert one.deadline is None
    one.backlog.add(Kind.RECORDS, [entry(1)])
    assert one.deadline == 0.0
    connect(one, 0.0)
    (message,) = sent(one)
    assert message[0] == "t.records"


def test_only_so_many_chunks_are_in_flight_and_each_ack_lets_the_next_one_go() -> None:
    one = sender()
    for number in range(WINDOW + 2):
        one.backlog.add(Kind.EVENTS, [entry(number)])
    connect(one, 0.0)
    first = chunks(one)
    assert len(first) == WINDOW
    one.receive(ack(first[0]), 1.0)
    assert len(chunks(one)) == 1
    assert one.backlog.counts[Kind.EVENTS] == WINDOW + 1


def test_what_was_not_acknowledged_is_sent_again_with_its_ids_when_the_peer_closes() -> None:
    one = sender()
    for number in range(3):
        one.backlog.add(Kind.EVENTS, [entry(number)])
    connect(one, 0.0)
    ids = chunks(one)
    one.receive(ack(ids[1]), 1.0)
    one.lost("the peer has closed the connection", 2.0)
    connect(one, 10.0)
    assert chunks(one) == [ids[0], ids[2]]
    one.receive(ack(ids[0]) + ack(ids[2]), 11.0)
    assert len(one.backlog) == 0


def test_a_peer_that_never_acknowledges_is_left_and_asked_more_and_more_seldom() -> None:
    one = sender()
    one.backlog.add(Kind.EVENTS, [entry(1)])
    now, pauses, ids = 0.0, [], set()
    for _round in range(12):
        connect(one, now)
        ids.update(chunks(one))
        assert one.deadline == now + ACK_S
        now += ACK_S
        one.step(now)
        assert not one.is_connected
        assert one.trouble == "nothing is acknowledged within 30 s"
        assert one.deadline is not None
        pauses.append(one.deadline - now)
        now = one.deadline
    assert len(ids) == 1, "it is one chunk, so that the peer can tell"
    assert pauses[0] <= PAUSE_S
    assert PAUSE_S_MAX / 2 <= pauses[-1] <= PAUSE_S_MAX
    assert len(one.backlog) == 1


def test_a_peer_that_acknowledges_wrongly_is_left_and_nothing_is_forgotten() -> None:
    one = sender()
    one.backlog.add(Kind.EVENTS, [entry(1)])
    connect(one, 0.0)
    chunks(one)
    one.receive(ack("of another"), 1.0)
    assert not one.is_connected
    assert "acknowledges 'of another', never sent" in one.trouble
    assert (len(one.backlog), one.backlog.in_flight_count) == (1, 0)


def test_a_peer_that_never_reads_is_left_when_its_time_is_over() -> None:
    one = sender()
    one.backlog.add(Kind.EVENTS, [entry(1)])
    connect(one, 0.0)
    one.sent(3)
    one.step(ACK_S)
    assert not one.is_connected
    assert not one.outgoing, "the rest of a chunk is not for the next connection"


def test_pauses_are_short_again_once_something_was_acknowledged() -> None:
    one = sender()
    one.backlog.add(Kind.EVENTS, [entry(1)])
    now = 0.0
    for _time in range(6):
        assert one.step(now)
        one.lost("refused", now)
        assert one.deadline is not None
        now = one.deadline
    connect(one, now)
    one.receive(ack(*chunks(one)), now)
    assert one.trouble == ""
    one.backlog.add(Kind.EVENTS, [entry(2)])
    one.step(now)
    one.lost("closed", now)
    assert one.deadline is not None
    assert one.deadline - now <= PAUSE_S


def test_a_peer_that_closes_a_connection_that_rests_is_no_trouble() -> None:
    one = sender()
    one.backlog.add(Kind.EVENTS, [entry(1)])
    connect(one, 0.0)
    one.receive(ack(*chunks(one)), 0.0)
    one.lost("the peer has closed the connection", 1.0)
    assert one.trouble == ""
    assert not one.step(100.0)


class Network:
    """A peer that is restarted, hangs, loses connections and acks, over a network that delivers in
    pieces: all as the seed has it, until `calm`."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.key = KEY if seed % 2 else b""
        self.sender = sender(seed, self.key, is_compressed=seed % 3 == 0)
        #: What the peer has, over its restarts.
        self.taken: dict[str, list[Any]] = {}
        self.now = 0.0
        self.peer: Peer | None = None
        self.to_peer, self.to_us = bytearray(), bytearray()
        self.is_calm = False
        self.is_wanted = False

    def happens(self, probability: float) -> bool:
        return not self.is_calm and self.chance.random() < probability

    def turn(self) -> None:
        one = self.sender
        self.now += self.chance.choice((0.01, 0.1, 1.0, 7.0))
        self.is_wanted |= one.step(self.now)
        if self.is_wanted and not self.happens(0.5):
            self.is_wanted = False
            if self.happens(0.3):
                one.lost("refused", self.now)
            else:
                self.connect()
        if self.peer is not None and self.happens(0.03):
            one.lost("reset", self.now)
        self.deliver()
        if not one.is_connected:
            self.peer = None

    def connect(self) -> None:
        key = b"of another" if self.key and self.happens(0.2) else self.key
        self.peer = Peer(self.taken, key, acks=not self.happens(0.2))
        self.to_peer, self.to_us = bytearray(), bytearray(self.peer.greeting())
        self.sender.connected(self.now)

    def deliver(self) -> None:
        one = self.sender
        while one.outgoing and not self.happens(0.3):
            count = self.chance.randint(1, len(one.outgoing[0]))
            self.to_peer += one.outgoing[0][:count]
            one.sent(count)
        if self.peer is not None and self.to_peer and not self.happens(0.2):
            count = self.chance.randint(1, len(self.to_peer))
            for answer in self.peer.receive(bytes(self.to_peer[:count])):
                if self.happens(0.02):
                    self.to_us += ack("of another")
                self.to_us += answer
            del self.to_peer[:count]
        if self.to_us and one.is_connected and not self.happens(0.2):
            count = self.chance.randint(1, min(len(self.to_us), 1000))
            one.receive(bytes(self.to_us[:count]), self.now)
            del self.to_us[:count]


@pytest.mark.parametrize("seed", range(60))
def test_every_event_arrives_whatever_the_network_does_and_memory_is_bounded(seed: int) -> None:
    network = Network(seed)
    backlog = network.sender.backlog
    number = 0
    for _turn in range(400):
        if not backlog.counts[Kind.EVENTS]:
            count = network.chance.randint(1, 256)
            size = network.chance.choice((0, 100, 2000))
            backlog.add(Kind.EVENTS, [entry(number + each, size) for each in range(count)])
            number += count
        backlog.add(Kind.RECORDS, [entry(-1, 1000)] * network.chance.randint(0, 120))
        network.turn()
        assert backlog.size <= BYTES_MAX
        assert sum(backlog.counts.values()) <= COUNT_MAX
        assert backlog.in_flight_count <= WINDOW
    network.is_calm = True
    for _turn in range(3000):
        network.turn()
        if not backlog:
            break
    assert len(backlog) == 0, network.sender.trouble
    found = [one[1]["n"] for each in network.taken.values() for one in each]
    numbers = [one for one in found if one >= 0]
    # Once each: those that were sent again had the ids that they had.
    assert sorted(numbers) == list(range(number))
    assert backlog.dropped[Kind.EVENTS] == 0
