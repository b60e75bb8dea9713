"""The listening sockets of a portal: what can't be had keeps no other from being served."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tierce import Address, Event
from tierce.node.ports import RETRY_S_MAX, RETRY_S_MIN, Ports
from tierce.process.listening import open_listener

NOT_HERE = "203.0.113.1:3260"


class Scene:
    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.events: list[Event] = []
        self.accepted: list[str] = []
        self.changes = 0
        self.ports = Ports(reactor, self)
        self.clients: list[socket.socket] = []

    def accept(self, frontend: str, listener: socket.socket) -> None:
        listener.accept()[0].close()
        self.accepted.append(frontend)

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def ports_changed(self) -> None:
        self.changes += 1

    def connect(self, address: str) -> None:
        where = Address.parse(address)
        self.clients.append(socket.create_connection((where.host, where.port), timeout=5))
        self.reactor.turn()

    def codes(self) -> list[str]:
        found = [event.code for event in self.events]
        self.events.clear()
        return found


@pytest.fixture
def scene(reactor: Any) -> Iterator[Scene]:
    made = Scene(reactor)
    yield made
    made.ports.close()
    for client in made.clients:
        client.close()


def taken() -> tuple[socket.socket, str]:
    listener = open_listener("127.0.0.1:0")
    return listener, f"127.0.0.1:{listener.getsockname()[1]}"


def test_one_missing_address_keeps_no_other_from_being_served(scene: Scene) -> None:
    scene.ports.use({"iscsi": [NOT_HERE, "127.0.0.1:0"]})
    scene.ports.open()
    assert scene.codes() == ["portal.address-missing"]
    facts = scene.ports.facts()
    assert list(facts["listening"]["iscsi"]) == ["127.0.0.1:0"]
    assert "no address of this machine now" in facts["missing"]["iscsi"][NOT_HERE]
    scene.connect(facts["listening"]["iscsi"]["127.0.0.1:0"])
    assert scene.accepted == ["iscsi"]


def test_what_is_missing_is_told_once_and_tried_again_more_and_more_rarely(scene: Scene) -> None:
    scene.ports.use({"iscsi": [NOT_HERE]})
    scene.ports.open()
    waits = []
    for _try in range(7):
        (timer,) = scene.reactor.timers
        waits.append(timer.due - scene.reactor.now())
        scene.reactor.advance(waits[-1])
    assert waits == [RETRY_S_MIN, 2.0, 4.0, 8.0, RETRY_S_MAX, RETRY_S_MAX, RETRY_S_MAX]
    assert scene.codes() == ["portal.address-missing"]


def test_an_address_is_served_as_soon_as_it_can_be_had(scene: Scene) -> None:
    holder, address = taken()
    scene.ports.use({"iscsi": [address]})
    scene.ports.open()
    assert "is taken by process" in scene.events[0].message
    holder.close()
    scene.reactor.advance(RETRY_S_MIN)
    assert scene.codes() == ["portal.address-missing", "portal.listening"]
    assert scene.ports.facts() == {"listening": {"iscsi": {address: address}}, "missing": {}}
    assert scene.changes == 1
    scene.connect(address)
    assert scene.accepted == ["iscsi"]


def test_nobody_is_accepted_before_the_portal_is_open(scene: Scene) -> None:
    holder, address = taken()
    scene.ports.use({"iscsi": ["127.0.0.1:0", address]})
    holder.close()
    scene.reactor.advance(RETRY_S_MIN)
    for where in scene.ports.facts()["listening"]["iscsi"].values():
        scene.connect(where)
    assert scene.accepted == []
    scene.ports.open()
    scene.reactor.turn()
    assert scene.accepted == ["iscsi", "iscsi"]


def test_another_trouble_is_told_too(scene: Scene) -> None:
    holder, address = taken()
    scene.ports.use({"iscsi": [address]})
    other, _address = taken()
    scene.ports._ports[0].address = NOT_HERE
    scene.reactor.advance(RETRY_S_MIN)
    assert scene.codes() == ["portal.address-missing"] * 2
    holder.close()
    other.close()


def test_other_addresses_are_taken_while_those_that_stay_go_on(scene: Scene) -> None:
    scene.ports.use({"iscsi": ["127.0.0.1:0", NOT_HERE]})
    scene.ports.open()
    stays = scene.ports.facts()["listening"]["iscsi"]["127.0.0.1:0"]
    holder, other = taken()
    holder.close()
    scene.ports.use({"iscsi": [other, "127.0.0.1:0"]})
    assert scene.ports.facts() == {
        "listening": {"iscsi": {"127.0.0.1:0": stays, other: other}},
        "missing": {},
    }
    assert all(timer.is_cancelled for timer in scene.reactor.timers)
    for address in (stays, other):
        scene.connect(address)
    assert scene.accepted == ["iscsi", "iscsi"]
    scene.ports.use({"iscsi": ["127.0.0.1:0"]})
    with pytest.raises(ConnectionRefusedError):
        scene.connect(other)


def test_what_one_front_end_leaves_another_takes(scene: Scene) -> None:
    holder, address = taken()
    holder.close()
    scene.ports.use({"first": [address], "second": []})
    scene.ports.open()
    scene.ports.use({"second": [address], "first": []})
    assert scene.codes() == []
    scene.connect(address)
    assert scene.accepted == ["second"]


def test_a_closed_portal_tries_no_more_and_keeps_nothing(scene: Scene) -> None:
    scene.ports.use({"iscsi": [NOT_HERE, "127.0.0.1:0"]})
    scene.ports.open()
    scene.ports.close()
    assert not scene.reactor.watched
    assert all(timer.is_cancelled for timer in scene.reactor.timers)


def test_a_socket_that_comes_after_the_end_is_closed(reactor: Any) -> None:
    class Later:
        """A loop whose worker has not finished yet."""

        finish: Callable[[], None]

        def __getattr__(self, name: str) -> Any:
            return getattr(reactor, name)

        def offload(self, work: Any, done: Any) -> None:
            self.finish = lambda: done(work(), None)

    loop = Later()
    scene = Scene(reactor)
    ports = Ports(loop, scene)
    holder, address = taken()
    ports.use({"iscsi": [address]})
    holder.close()
    reactor.advance(RETRY_S_MIN)
    ports.close()
    loop.finish()
    open_listener(address).close()
    assert scene.codes() == ["portal.address-missing"]
