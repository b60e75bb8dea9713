"""The shell over a real socket, whose other end the test holds."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from exporters.forward.peer import Peer, values
from exporters.forward.test_sender import entry, sender
from tierce import TemporaryError
from tierce_exporters.forward.backlog import Kind
from tierce_exporters.forward.pump import Pump

WAIT_S = 60.0


class Scene:
    """A pump whose connections the test makes, and whose time it is."""

    def __init__(self) -> None:
        self.sender = sender()
        self.now = 0.0
        self.peers: list[socket.socket] = []
        self.refusal = ""
        #: Each look at the clock takes so long.
        self.tick_s = 0.0
        self.pump = Pump(self.sender, self.connect, self.clock)

    def clock(self) -> float:
        self.now += self.tick_s
        return self.now

    def connect(self) -> socket.socket:
        if self.refusal:
            raise TemporaryError(self.refusal)
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        peer.settimeout(WAIT_S)
        self.peers.append(peer)
        return ours

    def turn_until_connected(self) -> socket.socket:
        while not self.sender.is_connected:
            self.pump.turn(WAIT_S)
        return self.peers[-1]

    def close(self) -> None:
        self.pump.close()
        for one in self.peers:
            one.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


def test_what_is_large_goes_in_pieces_and_its_acks_come_back(scene: Scene) -> None:
    for number in range(5):
        scene.sender.backlog.add(Kind.EVENTS, [entry(number, 200_000)])
    theirs = scene.turn_until_connected()
    peer = Peer({})
    theirs.setblocking(False)
    while scene.sender.backlog:
        scene.pump.turn(0.001)
        try:
            data = theirs.recv(50_000)
        except BlockingIOError:
            continue
        for answer in peer.receive(data):
            theirs.sendall(answer)
    assert [one[0][1]["n"] for one in peer.taken.values()] == list(range(5))


def test_a_peer_that_closes_in_the_middle_of_a_chunk_is_connected_to_anew(scene: Scene) -> None:
    scene.sender.backlog.add(Kind.EVENTS, [entry(1)])
    first = scene.turn_until_connected()
    scene.pump.turn(WAIT_S)
    first.recv(5)
    first.close()
    while scene.sender.is_connected:
        scene.pump.turn(WAIT_S)
    assert scene.sender.trouble
    scene.now += 1.0
    second = scene.turn_until_connected()
    scene.pump.turn(WAIT_S)
    (message,) = values(second.recv(10_000))
    assert message[0] == "t.events"


def test_a_connection_that_can_not_be_made_is_tried_again_after_a_pause(scene: Scene) -> None:
    scene.refusal = "can't connect to nowhere"
    scene.sender.backlog.add(Kind.EVENTS, [entry(1)])
    while not scene.sender.trouble:
        scene.pump.turn(WAIT_S)
    assert scene.sender.trouble == "can't connect to nowhere"
    scene.pump.turn(0.0)
    scene.refusal = ""
    scene.now += 1.0
    scene.turn_until_connected()
    assert len(scene.peers) == 1


def test_it_is_tried_again_whenever_in_a_turn_the_pause_is_over(scene: Scene) -> None:
    scene.refusal = "can't connect to nowhere"
    scene.sender.backlog.add(Kind.EVENTS, [entry(1)])
    scene.tick_s = 0.07
    for _turn in range(200):
        scene.pump.turn(0.001)
    scene.refusal = ""
    while not scene.sender.is_connected:
        scene.pump.turn(0.001)


def test_a_peer_that_never_reads_is_left_when_its_time_is_over(scene: Scene) -> None:
    for number in range(8):
        scene.sender.backlog.add(Kind.EVENTS, [entry(number, 200_000)])
    theirs = scene.turn_until_connected()
    scene.pump.turn(0.0)
    assert scene.sender.outgoing
    scene.now += 30.0
    scene.pump.turn(0.0)
    assert not scene.sender.is_connected
    # It is closed here too: what was sent can be read, and then the end.
    while theirs.recv(1 << 20):
        pass


def test_what_is_no_answer_ends_the_connection(scene: Scene) -> None:
    scene.sender.backlog.add(Kind.EVENTS, [entry(1)])
    theirs = scene.turn_until_connected()
    theirs.sendall(random.Random(1).randbytes(100_000))
    while scene.sender.is_connected:
        scene.pump.turn(WAIT_S)
    assert "does not speak the forward protocol" in scene.sender.trouble


def test_a_turn_ends_when_somebody_wakes_it(scene: Scene) -> None:
    scene.pump.wake()
    scene.pump.turn(WAIT_S)
