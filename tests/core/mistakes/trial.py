"""Where a stranger's mistakes are made: each part as a server has it, without the server."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import attrs
import pytest

from core.fake_process import FakeProcess
from core.fake_reactor import FakeReactor
from core.in_place import advance, begin_delete
from core.scenes import InPlace
from tierce import (
    ConfigError,
    EngineDescription,
    Event,
    LocalVolume,
    Op,
    Request,
    TierceError,
    hookimpl,
    when_quiet,
)
from tierce.config import config_from_bytes, load_config, volume_from_mapping
from tierce.inventory.preflight import examine
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.node import connection_routing, policies
from tierce.node.member import start_member
from tierce.node.policies import PoliciesProcess
from tierce.node.portal import Portal
from tierce.node.servicing import start_service
from tierce.node.target import Target
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process, failure_of
from tierce.process.settings import TargetSettings
from tierce.registry import Candidate, Registry, culprit, missing
from tierce.registry.factories import IMPORT_S_MAX
from tierce.server.listeners import WAITING_COUNT_MAX, Listeners
from tierce.state.store import StateStore
from tierce.volume.stalls import STALL_S

STRANGER = Path(__file__).parents[2] / "strangers" / "mistaken" / "tierce_mistaken.py"
PACKAGE = "tierce-mistaken"
ORIGIN = f"plugin 'mistaken' (package {PACKAGE})"
SIZE, BLOCK = 1 << 20, 512
EVENT = Event("a.b", "it was", "x")
#: What has a limit of seconds is not waited for as long here.
QUICK_S = 0.05
#: A volume that every mistake must leave alone.
GOOD_ONE = {"name": "good", "size": SIZE, "engine": "memory", "frontend": "iscsi"}


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(lambda module: monkeypatch.setitem(sys.modules, "tierce_mistaken", module))


class Asker:
    """The other end of a control connection, which hears nothing."""

    def send(self, message: Any) -> None: ...


def options_of_export(mistake: str) -> dict[str, Any]:
    """The front end's options of a volume."""
    return {"frontend_options": {"mistake": mistake}}


def load(register: Callable[[ModuleType], None]) -> ModuleType:
    """Import the stranger from where it lies."""
    spec = importlib.util.spec_from_file_location("tierce_mistaken", STRANGER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    register(module)
    spec.loader.exec_module(module)
    return module


@attrs.define(eq=False)
class Trial:
    """One data folder, and the stranger beside our own plugins.

    Attributes:
        folder: Where everything lies.
        module: The stranger.
    """

    folder: Path
    module: ModuleType
    registry: Registry = attrs.field(init=False)
    reactor: Any = attrs.field(factory=FakeReactor)
    events: list[Event] = attrs.field(factory=list)
    clients: list[socket.socket] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        ours = ("tierce_engines.plugin", "tierce_jiva.plugin", "tierce_iscsi.plugin")
        plugins = [(name, importlib.import_module(name), "tierce") for name in ours]
        self.registry = Registry.build([*plugins, ("mistaken", self.module, PACKAGE)])
        assert all(one.state == "enabled" for one in self.registry.plugins)

    # -- what it brings ----------------------------------------------------------------------------

    def declared(self, **hooks: Any) -> str:
        """Return what is told of a plugin with these hooks: functions, or what they return."""
        module = ModuleType("tierce_mistaken")
        for name, hook in hooks.items():
            module.__dict__[f"tierce_{name}"] = hook
        return self._left_out(Registry.build([("mistaken", module, PACKAGE)]))

    def imported(self, error: BaseException) -> str:
        """Return what is told of a plugin whose module raises this when it is imported."""

        def fail() -> object:
            raise error

        return self._left_out(Registry([Candidate("mistaken", PACKAGE, "1.0", fail)]))

    def imports(self, reference: str, seconds: float = IMPORT_S_MAX) -> str:
        """Return what is told of an engine whose factory this is."""
        engine = EngineDescription(name="e", summary="E.", factory=reference, contract=2)
        module = ModuleType("tierce_mistaken")
        module.__dict__["tierce_engines"] = hookimpl(lambda: [engine])
        registry = Registry.build([("mistaken", module, PACKAGE)])
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(self.folder))
            (only,) = missing(registry, seconds=seconds)
        return str(only).replace(f"{seconds:g} s", f"{IMPORT_S_MAX:g} s")

    def _left_out(self, registry: Registry) -> str:
        (record,) = registry.plugins
        assert record.state == "broken", "the mistake is not found"
        return f"{record.origin} is left out: {record.reason}"

    # -- the config file ---------------------------------------------------------------------------

    def checked(self, **volume: Any) -> str:
        """Return what `tierce config check` says of a file with this volume."""
        text = json.dumps({"data_dir": "./data", "volumes": [self.mapping(**volume)]})
        try:
            config = config_from_bytes(text.encode(), self.folder / "tierce.yaml", self.registry)
            examine(config).check_all()
        except ConfigError as error:
            return str(error)
        raise AssertionError("the mistake is not found")

    def mapping(self, mistake: str = "", **volume: Any) -> dict[str, Any]:
        """A volume as the config file has it; `mistake` is its engine's."""
        engine = {"engine": "mistaken", "options": {"mistake": mistake}}
        given = {"name": "demo", "size": SIZE, "frontend": "iscsi", **engine, **volume}
        if given["engine"] == "memory":
            del given["options"]
        return given

    def inventory(self, **volume: Any) -> VolumeInventory:
        """A server's volumes, after it has read a config file."""
        paths = self.process(Plan("serve", Role.PORTAL)).paths
        worker = InPlace(self.registry)
        inventory = VolumeInventory(paths, StateStore(paths.state), self.events.append, worker)
        text = json.dumps({"data_dir": "./data", "volumes": [self.mapping(**volume), GOOD_ONE]})
        file = self.folder / "tierce.yaml"
        file.write_text(text)
        config = load_config(file, self.registry, is_lenient=True)
        inventory.apply(config)
        assert "good" in inventory.served, "one bad volume keeps the others down"
        return inventory

    def refused(self, **volume: Any) -> str:
        """Return what a server that reads the config file says of the volume."""
        inventory = self.inventory(**volume)
        assert "demo" not in inventory.served
        return self.last()

    def deleted(self, **volume: Any) -> str:
        """Return what is told when the volume is deleted again."""
        inventory = self.inventory(**volume)
        file = self.folder / "tierce.yaml"
        file.write_text(json.dumps({"data_dir": "./data", "volumes": [GOOD_ONE]}))
        inventory.apply(load_config(file, self.registry))
        begin_delete(inventory, "demo")
        outcome = advance(inventory, "demo")
        return str(outcome.error or outcome.waits_for)

    def changed(self, **volume: Any) -> str:
        """Return what is told when the engine's options change to those with the mistake."""
        inventory = self.inventory()
        file = self.folder / "tierce.yaml"
        mapping = {"data_dir": "./data", "volumes": [self.mapping(**volume), GOOD_ONE]}
        file.write_text(json.dumps(mapping))
        inventory.apply(load_config(file, self.registry, is_lenient=True))
        assert "demo" in inventory.served, "it does not keep the settings that it had"
        return self.last()

    # -- processes ---------------------------------------------------------------------------------

    def process(self, plan: Plan) -> FakeProcess:
        """A process of a role, whose events are ours."""
        process = FakeProcess(self.reactor, self.folder / "data", plan)
        process.events = self.events
        return process

    def target(self, **volume: Any) -> Target:
        """A volume's target."""
        config = volume_from_mapping(
            self.mapping(**volume), self.registry, base=self.folder, origin="tierce.yaml"
        )
        paths = self.process(Plan("serve", Role.PORTAL)).paths
        sections = {
            one.frontend: self.registry.frontends[one.frontend].options() for one in config.exports
        }
        volume_of = LocalVolume.of(config, paths.volume(config.name), created=5.0)
        settings = TargetSettings(volume_of, (), sections)
        plan = Plan("target.demo", Role.TARGET, "demo")
        process = cast("Process", self.process(plan))
        return Target(process, self.registry, settings)

    def started(self, plan: Plan, start: Callable[[], object]) -> str:
        """Return what is told of a process that fails, as every process tells it."""
        try:
            start()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is tried
            return failure_of(plan, error, culprit(self.registry, error)).message
        raise AssertionError("nothing failed")

    def opened(self, **volume: Any) -> str:
        """Return what is told when the volume can't be opened."""
        plan = Plan("target.demo", Role.TARGET, "demo")
        return self.started(plan, lambda: self.target(**volume))

    # -- I/O ---------------------------------------------------------------------------------------

    def told(self, op: Op = Op.READ, **volume: Any) -> str:
        """Return what is told when the volume is asked for something."""
        target = self.target(**volume)
        self.ask(target, op)
        return self.last()

    def ask(self, target: Target, op: Op = Op.READ) -> Request:
        """Ask for something; it is answered, whatever the plugin does."""
        has_data = op in (Op.READ, Op.WRITE)
        buffer = memoryview(bytearray(BLOCK)) if has_data else None
        length = 0 if op is Op.FLUSH else BLOCK
        request = Request(op, 0, length, buffer)
        target._pipeline.device.submit([request], lambda _requests: None)
        self.reactor.turn()
        return request

    def hung(self, **volume: Any) -> str:
        """Return what is told of a request that is never answered."""
        target = self.target(**volume)
        self.ask(target)
        for boundary in target._pipeline.boundaries:
            boundary.stalls.clock = lambda: 1 << 62
        self.reactor.advance(STALL_S)
        return re.sub(r"waits for \d+ s", "waits for 10 s", self.last())

    def late(self, mistake: str) -> str:
        """Return what is told of an engine that reports again what it has answered."""
        target = self.target(engine="mistaken-batches", options={"mistake": mistake})
        self.ask(target)
        cast("Any", target._pipeline.engine).again()
        return self.last()

    def unquiet(self, mistake: str) -> str:
        """Return what is told when the engine is asked whether it is quiet."""
        target = self.target(engine="mistaken-batches", options={"mistake": mistake})
        when_quiet(target._pipeline.device, lambda: None)
        return self.last()

    def fenced(self, **volume: Any) -> str:
        """Return what is told first when the target is fenced."""
        target = self.target(**volume)
        target._fence("ballot 9 is elsewhere")
        return self.events[0].message

    def closed(self, **volume: Any) -> str:
        """Return what is told when the target ends."""
        target = self.target(**volume)
        done: list[None] = []
        target.close(lambda: done.append(None))
        self.reactor.advance(10)
        return self.last()

    def adopted(self, mistake: str) -> str:
        """Return the line in the target's log about a connection that is handed to it."""
        target = self.target(engine="memory", frontend="mistaken", **options_of_export(mistake))
        ours, theirs = socket.socketpair()
        self.clients.append(theirs)
        with pytest.raises(TierceError) as caught:
            target.commands["adopt-connection"]({"handover": ""}, [ours.detach()])
        return str(caught.value)

    def grown(self, **volume: Any) -> str:
        """Return what is told when the engine says that it has another shape."""
        target = self.target(engine="mistaken-batches", **volume)
        engine = cast("Any", target._pipeline.engine)
        engine.geometry = attrs.evolve(engine.geometry, size_bytes=2 * SIZE)
        engine.grow()
        return self.last()

    def reconfigured(self, key: str, name: str, **volume: Any) -> str:
        """Return what is told when a live option of a part changes."""
        target = self.target(**volume)
        live = {key: {"of": name, "values": {"live": "new"}}}
        target.commands["reconfigure"]({"live": live}, [])
        self.reactor.turn()
        return self.last()

    def undeclared(self, mistake: str) -> str:
        """Return what is told of a part that declares its actions wrongly."""
        self.target(engine="mistaken-batches", options={"mistake": mistake})
        return self.last()

    def acted(self, mistake: str, engine: str = "mistaken-batches") -> str:
        """Return what is told when the engine is asked for its action."""
        target = self.target(engine=engine, options={"mistake": mistake})
        peer = cast("Any", Asker())
        message = {"do": "act", "id": 1, "part": "engine", "action": "copy"}
        target._process.manager.act(peer, message)
        self.reactor.turn()
        return self.last()

    def last(self) -> str:
        """Return the last event that tells of something wrong."""
        wrong = [event for event in self.events if event.severity != "info"]
        wrong = [event for event in wrong if event.code != "volume.close-failed"]
        assert wrong, "nothing is told"
        return wrong[-1].message

    def member(self, mistake: str) -> str:
        """Return what is told of a member's process."""
        of_it = {"name": "one", "folder": str(self.folder), "settings": {"mistake": mistake}}
        settings = {
            "volume": "demo",
            "uuid": "0" * 32,
            "size_bytes": SIZE,
            "block_size": BLOCK,
            "engine": "mistaken-member",
            "member": {"address": "127.0.0.1:0", **of_it},
        }
        plan = Plan("member.demo.one", Role.MEMBER, "demo", settings)
        process = cast("Process", self.process(plan))

        def start() -> None:
            start_member(process, self.registry)
            self.reactor.turn()

        return self.started(plan, start)

    # -- the portal --------------------------------------------------------------------------------

    def routed(self, mistake: str) -> str:
        """Return the line in the portal's log about a connection that the router fails on."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection_routing, "ROUTER_S_MAX", QUICK_S)
            told = self._routed(mistake)
        return told.replace(f"{QUICK_S:g} s", f"{connection_routing.ROUTER_S_MAX:g} s")

    def _routed(self, mistake: str) -> str:
        section = {"listen": ["127.0.0.1:0"], "mistake": mistake}
        plan = Plan("portal", Role.PORTAL, settings={"frontends": {"mistaken": section}})
        process = self.process(plan)
        shown: dict[str, Any] = {}
        process.show = cast("Any", shown.update)  # type: ignore[method-assign]
        portal = Portal(cast("Process", process), self.registry)
        options = {"mistake": "", "live": ""}
        route = {"frontend": "mistaken", "volume": "demo", "options": options, "is_up": True}
        portal.commands["route"](route, [])
        portal.commands["open"]({}, [])
        host, _, port = shown["listening"]["mistaken"]["127.0.0.1:0"].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"hello")
            self.reactor.turn()
        portal.close(lambda: None)
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", self.events[-1].message)

    # -- services and policies ---------------------------------------------------------------------

    def served(self, mistake: str, volume: str = "") -> str:
        """Return what is told of a service, or of its process for a volume."""
        settings = {"service": "mistaken", "options": {"mistake": mistake}}
        name = "service.mistaken" + (f".{volume}" if volume else "")
        plan = Plan(name, Role.SERVICE, volume, settings)
        process = self.process(plan)
        try:
            start_service(cast("Process", process), self.registry)
            self.reactor.turn()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as every process does
            return failure_of(plan, error, culprit(self.registry, error)).message
        return self.last()

    def evaluated(self, mistake: str) -> str:
        """Return what is told of a policy document."""
        self.evaluate(mistake)
        return self.last().replace(f"{QUICK_S:g} s", f"{policies.TIME_BOX_S:g} s")

    def evaluate(self, mistake: str) -> None:
        """Have a document evaluated."""
        process = self.process(Plan("policies", Role.POLICIES))
        parameters = {"mistake": mistake}
        nightly = {"kind": "mistaken", "name": "nightly", "parameters": parameters}
        documents = [{**nightly, "volumes": {"demo": {}}}]
        process.paths.policies.write_text(json.dumps(documents))
        ask = cast("Any", lambda _message, _answered: None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(policies, "TIME_BOX_S", QUICK_S)
            PoliciesProcess(cast("Process", process), self.registry, ask, self.reactor.now)
            self.reactor.turn()

    # -- listeners ---------------------------------------------------------------------------------

    def unheard(self) -> str:
        """Return what is told of a listener that hangs in the first of too many events."""
        hangs, go_on = threading.Event(), threading.Event()

        def hear(event: Event) -> None:
            hangs.set()
            go_on.wait(30)

        listeners = self._listeners(hear)
        listeners.hear(EVENT)
        assert hangs.wait(30)
        for _event in range(WAITING_COUNT_MAX + 1):
            listeners.hear(EVENT)
        go_on.set()
        return self.last()

    def heard(self, hear: Callable[[Event], Any]) -> str:
        """Return what is told of a listener that is given an event."""
        self._listeners(hear).hear(EVENT)
        for _round in range(10_000):
            self.reactor.turn()
            if self.events:
                break
            threading.Event().wait(0.001)
        return self.last()

    def _listeners(self, hear: Callable[[Event], Any]) -> Listeners:
        module = ModuleType("tierce_mistaken")
        module.__dict__["tierce_event"] = hookimpl(hear)
        registry = Registry.build([("mistaken", module, PACKAGE)])
        listeners = Listeners(self.reactor, self.events.append)
        assert registry.plugins[0].state == "enabled", registry.plugins[0].reason
        listeners.use(registry)
        return listeners

    # -- the end -----------------------------------------------------------------------------------

    def plain(self, text: str) -> str:
        """Return a text without the place that the trial lies in."""
        return text.replace(f"{self.folder}/", "").replace(str(self.folder), ".")

    def close(self) -> None:
        """Let go of everything."""
        for client in self.clients:
            client.close()
