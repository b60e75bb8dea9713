"""A connection on the loop: bounds, back-pressure, ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from core.fake_reactor import FakeReactor
from tierce import Transport
from tierce.transport import FINISH_TIMEOUT_S


class Scene:
    def __init__(self, incoming: bytes = b"", unsent_bytes_max: int = 1 << 20) -> None:
        self.reactor = cast("Any", FakeReactor())
        self.client, server = socket.socketpair()
        for one in (self.client, server):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.client.settimeout(5)
        server.setblocking(False)
        self.taken = bytearray()
        self.takes = True
        self.drained = 0
        self.ends: list[str] = []
        self.transport = Transport(
            self.reactor,
            server,
            received=self.receive,
            ended=self.ends.append,
            drained=self.drain,
            incoming=incoming,
            incoming_bytes_max=64,
            unsent_bytes_max=unsent_bytes_max,
        )

    def receive(self, incoming: bytearray) -> None:
        if self.takes:
            self.taken += incoming
            incoming.clear()

    def drain(self) -> None:
        self.drained += 1

    def say(self, data: bytes) -> None:
        self.client.sendall(data)
        self.reactor.turn()

    def read(self, count: int) -> bytes:
        """Read so many bytes, the loop turning meanwhile."""
        found = b""
        while len(found) < count:
            found += self.client.recv(count - len(found))
            self.reactor.turn()
        return found


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.transport.close()
    made.client.close()


def test_what_arrives_is_kept_until_it_is_taken(scene: Scene) -> None:
    scene.takes = False
    scene.say(b"one ")
    scene.takes = True
    scene.say(b"two")
    assert scene.taken == b"one two"


def test_no_more_is_received_than_may_be_kept(scene: Scene) -> None:
    scene.takes = False
    scene.say(b"x" * 100)
    assert len(scene.transport._incoming) == 64
    scene.takes = True
    scene.transport.resume()
    scene.reactor.turn()
    assert scene.taken == b"x" * 100


def test_nothing_is_received_while_paused(scene: Scene) -> None:
    scene.transport.pause()
    scene.say(b"hello")
    assert not scene.taken
    scene.transport.resume()
    scene.reactor.turn()
    assert scene.taken == b"hello"


def test_what_came_before_is_offered_first() -> None:
    scene = Scene(b"before ")
    scene.say(b"after")
    assert scene.taken == b"before after"
    scene.transport.close()
    scene.client.close()


def test_who_does_not_read_its_answers_can_ask_no_more() -> None:
    scene = Scene(unsent_bytes_max=1000)
    while not scene.transport.is_full:
        scene.transport.send(b"x" * 100)
    scene.say(b"more?")
    assert (bytes(scene.taken), scene.drained) == (b"", 0)
    scene.read(1000)
    while scene.transport.unsent_count:
        scene.read(100)
    assert (bytes(scene.taken), scene.drained, scene.ends) == (b"more?", 1, [])
    scene.transport.close()
    scene.client.close()


def test_answers_that_nobody_reads_end_the_connection_at_twice_the_bound() -> None:
    scene = Scene(unsent_bytes_max=1000)
    while not scene.ends:
        assert scene.transport.unsent_count <= 2000
        scene.transport.send(b"x" * 100)
    assert scene.ends == ["it does not read its answers"]
    scene.transport.send(b"x")
    assert scene.transport.is_closed
    scene.client.close()


def test_an_orderly_end_sends_what_waits_and_then_closes(scene: Scene) -> None:
    scene.transport.send(b"x" * 50_000)
    scene.transport.finish("done")
    scene.transport.finish("again")
    scene.transport.send(b"too late")
    assert scene.read(50_000) == b"x" * 50_000
    assert scene.client.recv(1) == b""
    assert scene.ends == ["done"]
    assert not scene.reactor.watched


def test_an_orderly_end_does_not_wait_for_ever(scene: Scene) -> None:
    scene.transport.send(b"x" * 500_000)
    scene.transport.finish("done")
    scene.reactor.turn()
    assert scene.ends == []
    scene.reactor.advance(FINISH_TIMEOUT_S)
    assert scene.ends == ["done"]


def test_what_is_to_come_after_all_is_sent_comes_then(scene: Scene) -> None:
    sent: list[int] = []
    scene.transport.when_sent(lambda: sent.append(0))
    assert sent == [0]
    scene.transport.send(b"x" * 500_000)
    scene.transport.when_sent(lambda: sent.append(1))
    assert sent == [0]
    scene.read(500_000)
    assert sent == [0, 1]


@pytest.mark.parametrize("is_paused", [False, True])
def test_an_end_by_the_other_side_is_told_once(scene: Scene, is_paused: bool) -> None:
    if is_paused:
        scene.transport.pause()
    scene.client.close()
    scene.reactor.turn()
    scene.transport.close()
    assert scene.ends == ["it went away"]


def test_closing_tells_nobody_and_forgets_what_waits(scene: Scene) -> None:
    scene.transport.send(b"x" * 500_000)
    scene.transport.finish("done")
    scene.transport.close()
    scene.transport.close()
    scene.reactor.advance(FINISH_TIMEOUT_S)
    assert (scene.ends, scene.reactor.watched) == ([], {})
