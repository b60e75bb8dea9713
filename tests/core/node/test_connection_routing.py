"""One connection at the portal, with a connection router of a line protocol."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tierce import ConnectionRouter, Handover, Hangup, Route, Send
from tierce.node.connection_routing import (
    READ_BYTES_MAX,
    ROUTING_TIMEOUT_S,
    SEND_BYTES_MAX,
    LogBudget,
    UnroutedConnection,
)


class LineRouter(ConnectionRouter):
    """`name?` lists, `go NAME` hands over, `bye` hangs up, `raise` is a bug, `flood N` answers."""

    def receive(self, data: bytes, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        word, _space, rest = data.decode().partition(" ")
        match word:
            case "list":
                return [Send(",".join(routes).encode())]
            case "go":
                return [Send(b"ok"), Handover(rest, data)]
            case "bye":
                return [Send(b"bye"), Hangup("it said bye")]
            case "raise":
                raise RuntimeError("a bug")
            case "flood":
                return [Send(b"x" * int(rest))]
        return []

    def handover_failed(self) -> bytes:
        return b"later"


class Host:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.handed: list[tuple[str, bytes]] = []

    def hang_up(self, _unrouted: UnroutedConnection, reason: str) -> None:
        self.reasons.append(reason)

    def hand_over(self, _unrouted: UnroutedConnection, volume: str, state: bytes) -> bool:
        self.handed.append((volume, state))
        return volume != "busy"


class Scene:
    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.host = Host()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname())
            server, _remote = listener.accept()
        server.setblocking(False)
        self.client.settimeout(5)
        routes = {"demo": Route("demo", None)}
        self.unrouted = UnroutedConnection(
            *(
                reactor,
                server,
                "lines",
                "plugin 'lines'",
                "a client",
                LineRouter(),
                routes,
                self.host,
            )
        )
        self.unrouted.start()

    def say(self, data: bytes) -> None:
        self.client.sendall(data)
        self.reactor.turn()

    def is_closed(self) -> bool:
        return self.unrouted.connection.fileno() < 0 and not self.reactor.watched


@pytest.fixture
def scene(reactor: Any) -> Iterator[Scene]:
    made = Scene(reactor)
    yield made
    made.unrouted.close()
    made.client.close()


def test_what_needs_no_volume_is_answered(scene: Scene) -> None:
    scene.say(b"list")
    assert scene.client.recv(100) == b"demo"
    scene.say(b"list")
    assert scene.client.recv(100) == b"demo"
    assert not scene.is_closed()


def test_a_handover_comes_after_the_answer_was_sent(scene: Scene) -> None:
    scene.say(b"go demo")
    assert scene.client.recv(100) == b"ok"
    assert scene.host.handed == [("demo", b"go demo")]
    assert scene.is_closed()


def test_a_handover_that_fails_is_answered_by_the_router(scene: Scene) -> None:
    scene.say(b"go busy")
    assert scene.client.recv(100) == b"oklater"
    assert scene.client.recv(100) == b""
    assert scene.host.reasons == ["its volume's target could not take it"]
    assert scene.is_closed()


def test_a_hangup_comes_after_the_answer_was_sent(scene: Scene) -> None:
    scene.say(b"bye")
    assert scene.client.recv(100) == b"bye"
    assert scene.client.recv(100) == b""
    assert scene.host.reasons == ["it said bye"]


def test_a_silent_connection_is_dropped_in_time(scene: Scene) -> None:
    scene.reactor.advance(ROUTING_TIMEOUT_S - 1)
    assert not scene.is_closed()
    scene.reactor.advance(1)
    assert scene.is_closed()
    assert "no login" in scene.host.reasons[0]


def test_talking_does_not_extend_the_time(scene: Scene) -> None:
    scene.reactor.advance(ROUTING_TIMEOUT_S - 1)
    scene.say(b"list")
    scene.reactor.advance(1)
    assert scene.is_closed()


def test_a_connection_that_goes_away_is_forgotten(scene: Scene) -> None:
    scene.client.close()
    scene.reactor.turn()
    assert scene.is_closed()
    assert scene.host.reasons == ["it went away"]


def test_a_bug_in_a_router_ends_its_connection_only(scene: Scene) -> None:
    scene.say(b"raise")
    assert scene.is_closed()
    assert "a bug" in scene.host.reasons[0]


def test_answers_that_nobody_reads_are_bounded(scene: Scene) -> None:
    scene.say(b"flood %d" % (SEND_BYTES_MAX + 1))
    assert scene.is_closed()
    assert scene.host.reasons == ["it does not read its answers"]


def test_what_is_said_in_all_is_bounded(scene: Scene) -> None:
    scene.unrouted._read_count = READ_BYTES_MAX
    scene.say(b"list")
    assert scene.host.reasons == ["it sent too much"]


def test_a_long_answer_arrives_whole(scene: Scene) -> None:
    scene.say(b"flood %d" % SEND_BYTES_MAX)
    count = 0
    while count < SEND_BYTES_MAX:
        count += len(scene.client.recv(1 << 20))
        scene.reactor.turn()
    assert count == SEND_BYTES_MAX
    assert not scene.is_closed()


def test_a_log_budget_counts_what_it_leaves_out() -> None:
    budget = LogBudget()
    spent = [budget.spend(0.0) for _index in range(LogBudget.LINE_COUNT + 5)]
    assert spent == [0] * LogBudget.LINE_COUNT + [None] * 5
    assert budget.spend(LogBudget.WINDOW_S) == 5
    assert budget.spend(LogBudget.WINDOW_S) == 0
