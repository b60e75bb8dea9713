"""The portal without any process: routes, handovers, bounds."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from tierce import (
    ConnectionRouter,
    Event,
    FrontendDescription,
    Handover,
    Hangup,
    Route,
    Send,
    hookimpl,
    option,
)
from tierce.address import Address
from tierce.node.portal import UNROUTED_COUNT_MAX, Portal
from tierce.process.messages import receive
from tierce.process.paths import Paths, listen
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.registry import Registry


@attrs.frozen
class Section:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",), live=True)
    greeting: str = option(doc="What a stranger reads.", default="hello", live=True)
    depth: int = option(doc="A live one is checked with it.", default=1)


@attrs.frozen
class PerVolume:
    colour: str = option(doc="Any.", default="red")


LIVE = {"listen": ["127.0.0.1:0"], "greeting": "welcome"}


class Names(ConnectionRouter):
    """A connection router: a volume's name hands over, `?` lists, `!` can't even be built."""

    def __init__(self, options: Section, local: tuple[str, int], remote: tuple[str, int]) -> None:
        assert len(local) == len(remote) == 2, "an address and a port, of IPv6 too"
        self._greeting = options.greeting

    def receive(self, data: bytes, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        name = data.decode()
        if name == "who?":
            return [Send(self._greeting.encode())]
        if name == "?":
            rows = [f"{one.volume}:{one.options.colour}:{one.is_up}" for one in routes.values()]
            return [Send(",".join(rows).encode()), Hangup("told")]
        return [Handover(name, data)]

    def handover_failed(self) -> bytes:
        return b"try again"


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Lower the limit to what is open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Scene:
    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.paths = Paths(folder)
        self.paths.make()
        description = FrontendDescription(
            name="names",
            summary="Names.",
            factory="names_for_tests:Names",
            router="names_for_tests:Names",
            usage="names_for_tests:Names",
            identity="names_for_tests:Names",
            options=Section,
            volume_options=PerVolume,
            contract=2,
        )
        settings = {"frontends": {"names": {"depth": 2}}}
        self.shown: dict[str, Any] = {}
        self.logged: list[Event] = []
        process = SimpleNamespace(
            reactor=reactor,
            paths=self.paths,
            plan=Plan("portal", Role.PORTAL, settings=settings, live={"names": LIVE}),
            show=self.shown.update,
            emit=self.logged.append,
            log=self.logged.append,
        )
        plugin = SimpleNamespace(tierce_frontends=hookimpl(lambda: [description]))
        registry = Registry.build([("names", plugin, "tierce-names")])
        self.portal = Portal(cast("Process", process), registry)
        self.dial("127.0.0.1:0")
        self.clients: list[socket.socket] = []
        self.listeners: list[socket.socket] = []

    def dial(self, configured: str) -> None:
        """Come to this address from now on."""
        where = Address.parse(self.shown["listening"]["names"][configured])
        self.address = (where.host, where.port)

    def reconfigure(self, **changed: Any) -> None:
        self.tell(do="reconfigure", live={"names": {**LIVE, **changed}})

    def tell(self, **message: Any) -> None:
        # Whoever tells waits for an answer.
        assert isinstance(self.portal.commands[message["do"]](message, []), dict)

    def route(self, volume: str, *, is_up: bool = True, **options: str) -> None:
        self.tell(do="route", frontend="names", volume=volume, options=options, is_up=is_up)

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.address, timeout=5)
        self.clients.append(client)
        self.reactor.turn()
        return client

    def ask(self, text: str) -> bytes:
        client = self.connect()
        client.sendall(text.encode())
        self.reactor.turn()
        return client.recv(1000)

    def target(self, volume: str) -> socket.socket:
        listener = listen(self.paths.socket(f"target.{volume}"))
        self.listeners.append(listener)
        return listener

    def close(self) -> None:
        self.portal.close(lambda: None)
        for one in (*self.clients, *self.listeners):
            one.close()


@pytest.fixture
def scene(reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    # A description names its router by module; this one goes by no name otherwise.
    monkeypatch.setitem(sys.modules, "names_for_tests", sys.modules[__name__])
    made = Scene(reactor, tmp_path / "data")
    yield made
    made.close()


def test_nobody_is_accepted_before_all_routes_are_known(scene: Scene) -> None:
    client = scene.connect()
    client.sendall(b"?")
    scene.reactor.turn()
    scene.route("demo")
    scene.tell(do="open")
    scene.reactor.turn()
    assert client.recv(100) == b"demo:red:True"


def test_a_router_sees_routes_as_they_are_now(scene: Scene) -> None:
    scene.tell(do="open")
    assert scene.ask("?") == b""
    scene.route("demo", is_up=False, colour="blue")
    assert scene.ask("?") == b"demo:blue:False"
    scene.route("demo", colour="blue")
    assert scene.ask("?") == b"demo:blue:True"
    scene.tell(do="unroute", frontend="names", volume="demo")
    assert scene.ask("?") == b""


def test_a_connection_is_handed_over_with_what_was_read(scene: Scene) -> None:
    scene.tell(do="open")
    listener = scene.target("demo")
    client = scene.connect()
    client.sendall(b"demo")
    scene.reactor.turn()
    control, _address = listener.accept()
    packet = receive(control)
    control.close()
    assert packet is not None
    message, descriptors = packet
    assert message["do"] == "adopt-connection"
    assert base64.b64decode(message["handover"]) == b"demo"
    with socket.socket(fileno=descriptors[0]) as handed:
        handed.sendall(b"hello from the target")
        assert client.recv(100) == b"hello from the target"
        # The portal has let go of it.
        assert not scene.portal._unrouted
        client.sendall(b"more")
        scene.reactor.turn()
        assert handed.recv(100) == b"more"


def test_a_target_that_is_not_there_ends_the_connection_only(scene: Scene) -> None:
    scene.tell(do="open")
    assert scene.ask("demo") == b"try again"
    assert scene.ask("?") == b""


def test_a_target_that_takes_no_more_connections_costs_nobody_an_answer(scene: Scene) -> None:
    """It is busy: so many handovers as its socket holds wait for it already."""
    scene.tell(do="open")
    scene.target("demo").listen(0)
    answers = []
    for _ in range(3):
        client = scene.connect()
        client.sendall(b"demo")
        client.settimeout(0)
        scene.reactor.turn()
        try:
            answers.append(client.recv(100))
        except BlockingIOError:
            answers.append(b"handed over")
    assert answers == [b"handed over", b"try again", b"try again"]
    assert not scene.portal._unrouted


def test_the_newest_pushes_out_the_oldest(scene: Scene) -> None:
    scene.tell(do="open")
    clients = [scene.connect() for _index in range(UNROUTED_COUNT_MAX + 1)]
    assert clients[0].recv(1) == b""
    assert len(scene.portal._unrouted) == UNROUTED_COUNT_MAX
    scene.route("demo")
    clients[-1].sendall(b"?")
    scene.reactor.turn()
    assert clients[-1].recv(100) == b"demo:red:True"


def test_a_router_that_can_not_be_built_ends_its_own_connection(scene: Scene) -> None:
    class Broken:
        def __init__(self, *_ends: object) -> None:
            raise RuntimeError("no router")

    scene.tell(do="open")
    good = scene.portal._routers["names"]
    scene.portal._routers["names"] = Broken
    assert scene.connect().recv(1) == b""
    assert scene.logged[0].message.endswith("RuntimeError: no router")
    scene.portal._routers["names"] = good
    assert scene.ask("?") == b""


def test_without_descriptors_whoever_comes_is_turned_away_and_the_loop_rests(
    scene: Scene,
) -> None:
    scene.tell(do="open")
    client = socket.socket()
    scene.clients.append(client)
    client.connect(scene.address)
    with no_descriptors_left():
        # A connection that stayed in the queue would wake the loop for ever.
        scene.reactor.turn()
    client.settimeout(5)
    assert client.recv(1) == b""
    assert "can't accept" in scene.logged[0].message
    assert scene.ask("?") == b""


def test_a_closed_portal_accepts_and_keeps_nobody(scene: Scene) -> None:
    scene.tell(do="open")
    client = scene.connect()
    closed: list[bool] = []
    scene.portal.close(lambda: closed.append(True))
    assert closed == [True]
    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(scene.address)


def test_nothing_is_watched_after_close(scene: Scene) -> None:
    scene.tell(do="open")
    scene.connect()
    scene.portal.close(lambda: None)
    assert not scene.reactor.watched


def test_live_options_of_a_front_end_are_taken_and_who_is_there_stays(scene: Scene) -> None:
    scene.tell(do="open")
    before = scene.connect()
    assert scene.ask("who?") == b"welcome"
    scene.reconfigure(greeting="good evening")
    assert scene.ask("who?") == b"good evening"
    # It came when the other was in force.
    before.sendall(b"who?")
    scene.reactor.turn()
    assert before.recv(1000) == b"welcome"


def test_other_addresses_are_listened_at_by_the_same_portal(scene: Scene) -> None:
    scene.tell(do="open")
    scene.route("demo")
    before = scene.connect()
    scene.reconfigure(listen=["[::1]:0"])
    assert list(scene.shown["listening"]["names"]) == ["[::1]:0"]
    with pytest.raises(ConnectionRefusedError):
        scene.connect()
    scene.dial("[::1]:0")
    assert scene.ask("?") == b"demo:red:True"
    before.sendall(b"?")
    scene.reactor.turn()
    assert before.recv(1000) == b"demo:red:True"


def test_a_section_that_can_not_be_taken_is_told_and_the_old_one_stays(scene: Scene) -> None:
    scene.tell(do="open")
    scene.reconfigure(greeting=5)
    assert [event.code for event in scene.logged] == ["portal.frontend-failed"]
    assert "front end 'names' keeps its options: " in scene.logged[0].message
    assert scene.ask("who?") == b"welcome"
