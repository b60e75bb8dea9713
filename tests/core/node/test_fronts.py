"""Several front ends over one volume: a stranger's two beside iSCSI, in one target and a portal."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from core.fake_reactor import FakeReactor
from tierce import (
    Address,
    ConflictError,
    Event,
    FrontendStatus,
    Geometry,
    LocalVolume,
    Op,
    PluginError,
    ProtocolError,
    Request,
    SessionStatus,
)
from tierce.config import volume_from_mapping
from tierce.node.portal import Portal
from tierce.node.target import Target, read_snapshot
from tierce.process.messages import receive
from tierce.process.paths import Paths, listen
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.process.settings import TargetSettings
from tierce.registry import Registry
from tierce.volume.statistics import LATE_S

LINES = Path(__file__).resolve().parents[2] / "strangers" / "lines" / "tierce_lines.py"
EXPORTS = [
    {"frontend": "iscsi"},
    {"frontend": "lines", "access": "ro"},
    {"frontend": "lines-local", "access": "ro"},
]


class Scene:
    """A target and a portal on one loop that only turns when it is told to."""

    def __init__(self, folder: Path) -> None:
        names = ("tierce_engines.plugin", "tierce_iscsi.plugin", "tierce_lines")
        modules = [(name, importlib.import_module(name), "") for name in names]
        self.registry = Registry.build(modules)
        self.reactor: Any = FakeReactor()
        self.paths = Paths(folder / ("long" * 30))
        self.paths.make()
        self.events: list[Event] = []
        self.clients: list[socket.socket] = []
        self.target: Target | None = None
        #: What actions are asked of, by name.
        self.parts: dict[str, object] = {}

    def settings(self, exports: list[dict[str, Any]] | None = None) -> TargetSettings:
        mapping = {
            "name": "demo",
            "size": 1 << 20,
            "engine": "memory",
            "exports": EXPORTS if exports is None else exports,
        }
        config = volume_from_mapping(mapping, self.registry, base=self.paths.data, origin="test")
        sections = {
            one.frontend: self.registry.frontends[one.frontend].options() for one in config.exports
        }
        volume = LocalVolume.of(config, self.paths.volume(config.name), created=5.0)
        return TargetSettings(volume, (), sections)

    def process(self, plan: Plan) -> Process:
        self.shown: dict[str, Any] = {}
        made = SimpleNamespace(
            reactor=self.reactor,
            paths=self.paths,
            plan=plan,
            boot_id="boot",
            emit=self.events.append,
            log=self.events.append,
            show=self.shown.update,
            manager=SimpleNamespace(
                add=lambda name, part, _origin, _caller: self.parts.update({name: part})
            ),
        )
        return cast("Process", made)

    def open(self, settings: TargetSettings) -> Target:
        # There and back, as a target gets it.
        settings = TargetSettings.from_values(
            settings.fixed_values(), settings.live_values(), self.registry
        )
        plan = Plan("target.demo", Role.TARGET, "demo")
        self.target = target = Target(self.process(plan), self.registry, settings)
        return target

    def front(self, name: str) -> Any:
        return cast("Any", self.target)._fronts.of(name)

    def write(self, fill: bytes) -> None:
        """Write through the export that may."""
        request = Request(Op.WRITE, 0, 512, memoryview(fill * 512))
        self.front("iscsi")._context.device.submit([request], lambda _requests: None)
        self.reactor.turn()
        assert request.status is not None
        assert request.status.is_good

    def local(self) -> socket.socket:
        folder = os.open(self.front("lines-local").context.folder, os.O_PATH)
        client = socket.socket(socket.AF_UNIX)
        self.clients.append(client)
        client.settimeout(5)
        client.connect(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        self.reactor.turn()
        return client

    def ask(self, client: socket.socket, said: bytes) -> bytes:
        client.sendall(said)
        self.reactor.turn()
        return client.recv(4096)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    spec = importlib.util.spec_from_file_location("tierce_lines", LINES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tierce_lines", module)
    spec.loader.exec_module(module)
    made = Scene(tmp_path)
    yield made
    for client in made.clients:
        client.close()
    if made.target is not None and made.target._fronts is not None:
        made.target._fronts.abandon("the test is over")


def test_one_that_listens_itself_serves_at_a_unix_socket_beside_the_writer(scene: Scene) -> None:
    scene.open(scene.settings())
    client = scene.local()
    assert client.recv(100) == b"ready 1048576\n"
    scene.write(b"A")
    assert scene.ask(client, b"READ 0 512\n") == b"ok 512\n" + b"A" * 512
    scene.write(b"B")
    assert scene.ask(client, b"READ 0 512\n") == b"ok 512\n" + b"B" * 512


def test_a_read_only_export_refuses_changes_and_its_device_says_so(scene: Scene) -> None:
    scene.open(scene.settings())
    client = scene.local()
    client.recv(100)
    assert scene.ask(client, b"WRITE 0 512\n" + b"X" * 512).startswith(b"no this export of the")
    assert scene.front("lines").context.device.capabilities.read_only
    assert not scene.front("iscsi")._context.device.capabilities.read_only
    assert scene.ask(client, b"READ 0 512\n") == b"ok 512\n" + bytes(512)


def test_a_server_that_speaks_first_asks_at_the_portal_and_goes_on_at_the_target(
    scene: Scene,
) -> None:
    target = scene.open(scene.settings())
    plan = Plan(
        "portal", Role.PORTAL, settings={"frontends": {"lines": {"listen": ["127.0.0.1:0"]}}}
    )
    portal = Portal(scene.process(plan), scene.registry)
    route = {"do": "route", "frontend": "lines", "volume": "demo", "options": {}, "is_up": True}
    portal.commands["route"](route, [])
    portal.commands["open"]({}, [])
    listener = listen(scene.paths.socket("target.demo"))
    where = Address.parse(scene.shown["listening"]["lines"]["127.0.0.1:0"])
    client = socket.create_connection((where.host, where.port), timeout=5)
    scene.clients.append(client)
    scene.reactor.turn()
    # It has said nothing yet.
    assert client.recv(100) == b"which volume? demo\n"
    client.sendall(b"demo\nREAD 0 512\n")
    scene.reactor.turn()
    control, _address = listener.accept()
    packet = receive(control)
    assert packet is not None
    message, descriptors = packet
    assert message["frontend"] == "lines"
    target.commands["adopt-connection"](message, descriptors)
    scene.reactor.turn()
    stream = client.makefile("rb")
    assert stream.read(21 + 512) == b"ready 1048576\nok 512\n" + bytes(512)
    stream.close()
    portal.close(lambda: None)
    for one in (listener, control):
        one.close()


def test_all_exports_are_counted_together_and_published_by_themselves(scene: Scene) -> None:
    scene.open(scene.settings())
    client = scene.local()
    client.recv(100)
    scene.ask(client, b"READ 0 512\n")
    scene.front("lines-local").context.publish(
        FrontendStatus(sessions=(SessionStatus(initiator="one"),))
    )
    scene.reactor.advance(LATE_S)
    page = read_snapshot(scene.paths.page("demo"))
    counts = {
        stage: operations.get("read", operations.get("READ", {})).get("count", 0)
        for stage, operations in page["stages"].items()
    }
    # iSCSI counts what it does itself, and did nothing; core counts for the others.
    assert counts == {"device": 1, "volume": 1, "frontend.send": 0}
    assert page["published"] == {"lines-local-sessions": [{"initiator": "one"}]}


def test_each_front_end_has_a_folder_and_a_logger_of_its_own(scene: Scene) -> None:
    scene.open(scene.settings())
    logger = scene.front("lines-local").context.logger
    assert logger.name == "tierce.frontend.lines-local"
    folders = [scene.front(name).context.folder.name for name in ("lines", "lines-local")]
    assert folders == ["frontend.lines", "frontend.lines-local"]


def test_each_is_asked_for_its_actions_by_its_own_name(scene: Scene) -> None:
    scene.open(scene.settings())
    fronts = {name: part for name, part in scene.parts.items() if name.startswith("frontend.")}
    names = ("iscsi", "lines", "lines-local")
    assert fronts == {f"frontend.{name}": scene.front(name) for name in names}


def test_all_hear_of_another_shape(scene: Scene) -> None:
    scene.open(scene.settings())
    client = scene.local()
    client.recv(100)
    for hear in cast("Any", scene.target)._pipeline.resized:
        hear(Geometry(2 << 20))
    assert client.recv(100) == b"resized 2097152\n"


def test_the_end_waits_for_every_front_end(scene: Scene) -> None:
    target, closed = scene.open(scene.settings()), list[bool]()
    client = scene.local()
    client.recv(100)
    target.close(lambda: closed.append(True))
    scene.reactor.turn()
    assert closed == [True]
    assert client.recv(10) == b""


def test_one_that_fails_to_close_keeps_the_volume_from_closing_no_more_than_another(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, closed = scene.open(scene.settings()), list[bool]()

    def fail(_closed: object) -> None:
        raise RuntimeError("no way out")

    monkeypatch.setattr(scene.front("lines-local"), "close", fail)
    target.close(lambda: closed.append(True))
    scene.reactor.turn()
    assert closed == [True]
    assert "no way out" in scene.events[-1].message


def test_all_are_abandoned_when_the_volume_is_fenced(scene: Scene) -> None:
    scene.open(scene.settings())
    client = scene.local()
    client.recv(100)
    cast("Any", scene.target)._fronts.abandon("another target has it")
    assert client.recv(10) == b""
    with pytest.raises(ConnectionRefusedError):
        scene.local()


def test_a_connection_for_a_front_end_that_does_not_serve_the_volume_is_refused(
    scene: Scene,
) -> None:
    scene.open(scene.settings([{"frontend": "iscsi"}]))
    ours, theirs = socket.socketpair()
    with pytest.raises(ProtocolError, match="no export of this volume is by 'lines'"):
        cast("Any", scene.target)._fronts.adopt("lines", theirs, b"")
    ours.close()
    theirs.close()


def test_two_exports_that_write_are_refused_where_they_are_opened_too(scene: Scene) -> None:
    settings = scene.settings()
    exports = tuple(
        attrs.evolve(one, access=settings.volume.exports[0].access)
        for one in settings.volume.exports
    )
    volume = attrs.evolve(settings.volume, exports=exports)
    process = scene.process(Plan("target.demo", Role.TARGET, "demo"))
    with pytest.raises(ConflictError, match="'lines' would write, and 'iscsi' does"):
        Target(process, scene.registry, attrs.evolve(settings, volume=volume))


def test_a_front_end_that_is_not_enabled_is_named(scene: Scene) -> None:
    settings = scene.settings()
    del cast("Any", scene.registry.frontends)["lines"]
    process = scene.process(Plan("target.demo", Role.TARGET, "demo"))
    with pytest.raises(PluginError, match="no front end 'lines' is enabled"):
        Target(process, scene.registry, settings)
