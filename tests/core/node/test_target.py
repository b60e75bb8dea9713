"""A target: pipeline and front end, handovers, fencing; in a process that is not there."""

from __future__ import annotations

import base64
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from recorded_disk import RecordedDisk
from tierce import (
    Concurrency,
    ConfigError,
    EngineDescription,
    Event,
    FrontendContext,
    FrontendDescription,
    OpenContext,
    ProtocolError,
    hookimpl,
    option,
)
from tierce.config import volume_from_mapping
from tierce.node.layout import Layout
from tierce.node.plan import EXIT_FENCED, Plan, Role
from tierce.node.process import Process
from tierce.node.settings import TargetSettings, spec_of
from tierce.node.target import Target, read_snapshot, start_target
from tierce.registry import Registry

MODULE = "targets_for_tests"


@attrs.frozen
class Section:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",))
    greeting: str = option(doc="Any.", default="hello")


@attrs.frozen
class PerVolume:
    colour: str = option(doc="Any.", default="red")


class Bytes:
    """An engine that notes its context."""

    contexts: list[OpenContext] = []  # noqa: RUF012 - cleared by the fixture

    def __init__(self, context: OpenContext) -> None:
        Bytes.contexts.append(context)
        self.data = bytearray(context.volume.size_bytes)

    def read(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.data[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        self.data[offset : offset + len(data)] = data


class Front:
    """A front end that notes what it is asked for."""

    def __init__(self, context: FrontendContext) -> None:
        self.context = context
        self.log: list[str] = []
        self.connections: list[socket.socket] = []

    def adopt(self, connection: socket.socket, handover: bytes) -> None:
        if handover == b"bug":
            raise RuntimeError("a bug")
        self.connections.append(connection)
        self.log.append(f"adopt {handover!r}")

    def reconfigure(self, options: Section) -> None:
        self.log.append(f"greets with {options.greeting}")

    def close(self, closed: Callable[[], None]) -> None:
        self.log.append("close")
        self.drop()
        closed()

    def abandon(self, reason: str) -> None:
        self.log.append(f"abandon {reason}")
        self.drop()

    def drop(self) -> None:
        for connection in self.connections:
            connection.close()


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    how = Concurrency.INLINE
    return [EngineDescription("bytes", "Bytes.", f"{MODULE}:Bytes", concurrency=how)]


@hookimpl
def tierce_frontends() -> list[FrontendDescription]:
    front = f"{MODULE}:Front"
    return [FrontendDescription("front", "Front.", front, front, front, front, Section, PerVolume)]


class Scene:
    def __init__(self, reactor: Any, folder: Path) -> None:
        registry = Registry.build([("tests", sys.modules[__name__], "")])
        self.layout = Layout(folder)
        self.layout.make()
        mapping = {
            "name": "demo",
            "size": 1 << 20,
            "engine": "bytes",
            "frontend": "front",
            "frontend_options": {"colour": "blue"},
        }
        config = volume_from_mapping(mapping, registry, base=folder, origin="test")
        spec = spec_of(config, "0" * 32, 5.0, self.layout)
        settings = TargetSettings(spec, (), Section(greeting="hi"))
        self.spec = spec
        self.events: list[Event] = []
        self.exit_codes: list[int] = []
        self.shown: dict[str, Any] = {}
        process = SimpleNamespace(
            reactor=reactor,
            layout=self.layout,
            plan=Plan(
                *("target.demo", Role.TARGET, "demo"),
                settings.to_json(config),
                settings.section_to_json(),
            ),
            boot_id="boot",
            emit=self.events.append,
            show=self.shown.update,
            end=self.exit_codes.append,
        )
        self.target: Target = start_target(cast("Process", process), registry)
        self.front = cast("Front", self.target._frontend)

    def hand_over(self, handover: bytes) -> socket.socket:
        ours, theirs = socket.socketpair()
        message = {"handover": base64.b64encode(handover).decode()}
        descriptor = theirs.detach()
        try:
            self.target.commands["adopt-connection"](message, [descriptor])
        except BaseException:
            ours.close()
            raise
        return ours


@pytest.fixture
def scene(reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    Bytes.contexts.clear()
    return Scene(reactor, tmp_path)


def test_engine_and_front_end_get_the_volume_as_it_was_planned(scene: Scene) -> None:
    engine, front = Bytes.contexts[0], scene.front.context
    assert engine.volume == front.volume == scene.spec
    assert (engine.boot_id, engine.members) == ("boot", ())
    assert front.options == Section(greeting="hi")
    assert front.volume_options == PerVolume(colour="blue")
    assert front.device.geometry.size_bytes == 1 << 20


def test_what_is_published_and_counted_is_seen_by_others(scene: Scene) -> None:
    scene.front.context.publish({"sessions": ["one"]})
    scene.front.context.stage("frontend").add(0, 1, 512, 1000)
    snapshot = read_snapshot(scene.layout.page("demo"))
    assert snapshot["published"] == {"sessions": ["one"]}
    assert snapshot["stages"]["frontend"]["read"]["count"] == 1


def test_a_handover_is_the_front_ends(scene: Scene) -> None:
    with scene.hand_over(b"login") as client:
        assert scene.front.log == ["adopt b'login'"]
        scene.front.connections[0].sendall(b"hello")
        assert client.recv(10) == b"hello"
        assert not scene.front.connections[0].getblocking()
        scene.front.drop()


def test_a_handover_that_the_front_end_fails_on_ends_that_connection_only(scene: Scene) -> None:
    with pytest.raises(ProtocolError, match="a bug"):
        scene.hand_over(b"bug")
    with scene.hand_over(b"login"):
        scene.front.drop()


@pytest.mark.parametrize("message", [{}, {"handover": 3}, {"handover": "*"}])
def test_what_is_no_handover_is_refused(scene: Scene, message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="not a handover"):
        scene.target.commands["adopt-connection"](message, [])
    with pytest.raises(ProtocolError, match="brings one connection"):
        scene.target.commands["adopt-connection"]({"handover": ""}, [])


def test_sessions_end_before_the_pipeline_and_nobody_is_taken_afterwards(scene: Scene) -> None:
    closed: list[bool] = []
    scene.target.close(lambda: closed.append(True))
    assert (scene.front.log, closed) == (["close"], [True])
    with pytest.raises(ProtocolError, match="open target"):
        scene.hand_over(b"late")


def test_a_fenced_target_drops_its_sessions_and_says_why_for_good(scene: Scene) -> None:
    with scene.hand_over(b"login") as client:
        Bytes.contexts[0].fenced("ballot 9 is elsewhere")
        assert client.recv(1) == b""
    assert scene.front.log[-1] == "abandon ballot 9 is elsewhere"
    assert scene.exit_codes == [EXIT_FENCED]
    assert scene.events[0].code == "volume.fenced"
    assert scene.layout.ended("target.demo").read_text() == "ballot 9 is elsewhere"
    Bytes.contexts[0].fenced("again")
    assert scene.exit_codes == [EXIT_FENCED]


def test_a_fenced_target_stays_down_though_that_can_not_be_noted(scene: Scene) -> None:
    # As on a disk that is full, or has become read-only.
    scene.layout.ended("target.demo").mkdir()
    Bytes.contexts[0].fenced("ballot 9 is elsewhere")
    assert scene.shown == {"fenced": "ballot 9 is elsewhere"}
    assert scene.exit_codes == [EXIT_FENCED]
    assert "which can't be noted: " in scene.events[0].message


def test_a_volume_without_a_page_reads_as_empty(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path / "none.stats") == {
        "stages": {},
        "published": {},
        "start_ns": 0,
    }


def test_a_front_end_takes_other_options_of_its_section_while_it_serves(scene: Scene) -> None:
    reconfigure = scene.target.commands["reconfigure"]
    assert reconfigure({"live": {"frontend_section": {"greeting": "welcome"}}}, []) == {}
    assert scene.front.log == ["greets with welcome"]
    wrongs: list[dict[str, Any]] = [{}, {"live": []}]
    wrongs.append({"live": {"frontend_section": {"greting": "x"}}})
    for wrong in wrongs:
        with pytest.raises((ProtocolError, ConfigError)):
            reconfigure(wrong, [])
    assert len(scene.front.log) == 1


def test_a_front_end_that_takes_none_says_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Front, "reconfigure")
    with pytest.raises(ProtocolError, match="takes no other options"):
        scene.target.commands["reconfigure"]({"live": {"frontend_section": {}}}, [])


def test_that_it_must_stay_down_survives_loss_of_power(scene: Scene) -> None:
    disk = RecordedDisk(scene.layout.data)
    with disk:
        Bytes.contexts[0].fenced("ballot 9 is elsewhere")
    ended = scene.layout.ended("target.demo")
    disk.leave(len(disk.log), 0.0, Random(0))
    assert ended.read_text() == "ballot 9 is elsewhere"
