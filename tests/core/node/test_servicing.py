"""A service in a process that is not there."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import attrs
import pytest

from core.fake_process import FakeProcess
from tierce import (
    Action,
    Code,
    ConflictError,
    Event,
    Job,
    MemberStatus,
    PluginError,
    Service,
    ServiceContext,
    ServiceDescription,
    TemporaryError,
    hookimpl,
    option,
)
from tierce.node.observing import read_statistics
from tierce.node.servicing import start_service
from tierce.process.plan import EXIT_FAILED, Plan, Role
from tierce.process.process_loop import Process
from tierce.registry import Registry
from tierce.volume.statistics import StatisticsPage

MODULE = "services_for_tests"


@attrs.frozen
class Options:
    word: str = option(doc="What it does.", default="hello")


class Recorder(Service):
    """Does what its option says, once."""

    made: ClassVar[list[ServiceContext]] = []
    work: ClassVar[Callable[[ServiceContext], None]]

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        Recorder.made.append(context)

    def run(self) -> None:
        Recorder.work(self.context)


def runless(_context: ServiceContext) -> object:
    return SimpleNamespace(walk=None)


@hookimpl
def tierce_services() -> list[ServiceDescription]:
    return [
        ServiceDescription(
            name=name, summary="Records.", factory=f"{MODULE}:{what}", options=Options, contract=2
        )
        for name, what in (("recorder", "Recorder"), ("runless", "runless"))
    ]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    Recorder.made.clear()
    built = Registry.build([("strange", sys.modules[__name__], "")])
    assert built.plugins[0].state == "enabled", built.plugins[0].reason
    return built


def run(
    reactor: Any,
    folder: Path,
    registry: Registry,
    work: Callable[[ServiceContext], None],
    volume: str = "",
) -> FakeProcess:
    """Let a service do this: the fake loop's workers are the loop itself."""
    Recorder.work = work
    settings = {"service": "recorder", "options": {"word": "here"}}
    name = "service.recorder" + (f".{volume}" if volume else "")
    process = FakeProcess(reactor, folder, Plan(name, Role.SERVICE, volume, settings))
    start_service(cast("Process", process), registry)
    reactor.turn()
    return process


def test_a_service_knows_its_name_and_options(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    run(reactor, tmp_path, registry, lambda _context: None)
    (context,) = Recorder.made
    assert (context.name, context.options.word) == ("recorder", "here")


@pytest.mark.parametrize("how", ["raises", "returns"])
def test_a_service_that_ends_by_itself_is_a_failure_that_names_its_plugin(
    reactor: Any, tmp_path: Path, registry: Registry, how: str
) -> None:
    def work(_context: ServiceContext) -> None:
        if how == "raises":
            raise RuntimeError("no sink")

    process = run(reactor, tmp_path, registry, work)
    assert process.exit_code == EXIT_FAILED
    expected = {"raises": "no sink", "returns": "it returned before it was told to"}[how]
    assert expected in process.events[-1].message
    assert process.events[-1].message.endswith("(a service of plugin 'strange')")


def test_what_a_factory_makes_must_have_run(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    settings: dict[str, Any] = {"service": "runless", "options": {}}
    plan = Plan("service.runless", Role.SERVICE, "", settings)
    with pytest.raises(PluginError, match=r"plugin 'strange': service runless: .*no run\(\)"):
        start_service(cast("Process", FakeProcess(reactor, tmp_path, plan)), registry)


def test_waiting_ends_when_the_service_is_to_stop(tmp_path: Path, registry: Registry) -> None:
    class Pending:
        """Offloaded work that ends when the test says so."""

        def watch(self, *_arguments: Any) -> None: ...

        def unwatch(self, _descriptor: int) -> None: ...

        def offload(self, _work: Any, done: Callable[[Any, Any], None]) -> None:
            self.done = done

    pending = Pending()
    settings: dict[str, Any] = {"service": "recorder", "options": {}}
    plan = Plan("service.recorder", Role.SERVICE, "", settings)
    process = FakeProcess(pending, tmp_path, plan)
    body = start_service(cast("Process", process), registry)
    (context,) = Recorder.made
    assert context.wait(0)
    closed: list[bool] = []
    body.close(lambda: closed.append(True))
    # An hour that ends at once.
    assert not context.wait(3600)
    assert closed == []
    pending.done(None, None)
    assert closed == [True]
    assert process.events == []


def test_a_volumes_statistics_have_the_labels_that_the_server_tells(tmp_path: Path) -> None:
    paths = process_layout(tmp_path)
    StatisticsPage.create(paths.page("demo")).close()
    rows: list[Any] = [
        {"health": {"demo": "healthy", "other": "down"}},
        {"labels": {"demo": {"team": "billing"}}},
    ]
    found = read_statistics(paths, lambda _asked: rows)
    assert (found["demo"].labels, found["other"].labels) == ({"team": "billing"}, {})


def test_statistics_say_which_volume_it_is_and_how_its_target_and_members_are(
    tmp_path: Path,
) -> None:
    paths = process_layout(tmp_path)
    page = StatisticsPage.create(paths.page("demo"), "ab" * 16)
    page.stage("volume").fail(1, 2, Code.NO_SPACE)
    page.stage("volume").slow(1)
    page.close()
    page = StatisticsPage.create(paths.page("demo", "replica-1"), "ab" * 16)
    page.stage("replica.sync").add(2, 1, 0, 1000)
    page.publish("member", {"name": "replica-1", "state": "up", "used_bytes": 9})
    page.close()
    member = {"name": "member.demo.replica-1", "state": "closing", "facts": {"b": 2}, "pid": 8}
    shape = {"engine": "jiva", "frontends": ["iscsi", "nbd"], "size_bytes": 4096, "block_size": 512}
    rows: list[Any] = [
        {"processes": [{"name": "target.demo", "state": "up", "facts": {"a": 1}, "pid": 7}]},
        {"processes": [member]},
        {"volumes": {"demo": {"uuid": "ab" * 16, **shape}, "new": {"uuid": "cd" * 16, **shape}}},
        {"health": {"demo": "healthy", "new": "down"}},
    ]
    found = read_statistics(paths, lambda _asked: rows)
    demo, new = found["demo"], found["new"]
    replica = demo.members["replica-1"]
    assert (replica.name, replica.role) == ("member.demo.replica-1", "member")
    assert (replica.state, dict(replica.facts), replica.pid) == ("closing", {"b": 2}, 8)
    assert replica.stages["replica.sync"]["flush"].count == 1
    assert replica.published.member == MemberStatus(name="replica-1", state="up", used_bytes=9)
    assert replica.started_ns >= replica.start_ns > 0
    assert (demo.uuid, demo.engine, demo.frontends) == ("ab" * 16, "jiva", ("iscsi", "nbd"))
    assert (new.uuid, new.size_bytes, new.block_size, new.target) == ("cd" * 16, 4096, 512, None)
    assert demo.target is not None
    assert (demo.target.pid, dict(demo.target.facts)) == (7, {"a": 1})
    assert demo.target.failures == {"write": {"no space": 2}}
    assert demo.target.slow == {"write": 1}
    without = read_statistics(paths, lambda _asked: [])["demo"]
    assert (without.uuid, without.engine, without.size_bytes) == ("ab" * 16, "", 0)
    assert without.target is not None
    assert without.target.pid == 0


def test_statistics_are_those_of_volumes_and_members_and_go_on_over_their_restarts(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    seen: list[Any] = []

    def work(context: ServiceContext) -> None:
        paths = process_layout(tmp_path)
        for count in (3, 1):
            for member in ("", "replica-1"):
                page = StatisticsPage.create(paths.page("demo", member))
                page.stage("volume").add(1, count, 512, 1000)
                page.stage("volume").size(1, count, 512)
                since_ns = time.monotonic_ns() - 10**9
                page.stage("device").show(dict.fromkeys(range(count), since_ns))
                page.stage("device").parked()
                page.publish("engine", {"state": member or "serving"})
                page.close()
            seen.append(context.statistics())

    run(reactor, tmp_path, registry, work)
    first, second = (one["demo"] for one in seen)
    assert first.target.role == "target"
    assert first.target.published.volume.state == "serving"
    assert first.members["replica-1"].name == "member.demo.replica-1"
    assert first.target.stages["volume"]["write"].count == 3
    # No server runs: that is no reason not to see what does.
    assert (first.health, first.target.state) == ("", "unknown")
    assert second.target.stages["volume"]["write"].count == 4
    assert second.target.start_ns == first.target.start_ns > 0
    assert second.target.started_ns > first.target.started_ns >= first.target.start_ns
    assert (first.target.starts, second.target.starts) == (1, 2)
    assert second.target.sizes["write"][9] == 4
    parked = second.target.parked["device"]
    assert parked.count == 1
    assert 1 <= parked.oldest_s < 60


def test_one_of_a_volume_knows_it_and_sees_it_alone(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    for volume in ("demo", "other"):
        page = StatisticsPage.create(process_layout(tmp_path).page(volume))
        page.publish("engine", {"state": "serving"})
        page.close()
    seen: list[Any] = []

    def work(context: ServiceContext) -> None:
        seen.append(context.statistics())
        context.logger.warning("a line")

    process = run(reactor, tmp_path, registry, work, "demo")
    (context,) = Recorder.made
    assert (context.name, context.volume) == ("recorder", "demo")
    assert list(seen[0]) == ["demo"]
    assert process.events[0].subject == "service/recorder/demo"
    peer = Peer()
    message = {"id": 1, "part": "service.recorder", "action": "tick"}
    process.manager.act(cast("Any", peer), message)
    assert peer.said[0]["error"] == "service.recorder has no actions"


def process_layout(folder: Path) -> Any:
    return FakeProcess(None, folder, Plan("x", Role.SERVICE)).paths


def test_a_page_that_is_damaged_is_left_out(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    process_layout(tmp_path).page("demo").write_bytes(b"no page")
    seen: list[Any] = []
    run(reactor, tmp_path, registry, lambda context: seen.append(context.statistics()))
    assert seen == [{}]


def test_no_event_comes_while_no_server_answers(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    seen: list[Any] = []
    run(reactor, tmp_path, registry, lambda context: seen.append(context.events()))
    assert (seen[0].items, seen[0].lost) == ((), 0)


def test_what_a_service_logs_and_reports_is_carried_on_by_the_loop(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    def work(context: ServiceContext) -> None:
        context.emit(Event("sink.full", "the sink is full", "service/recorder", "warning"))
        try:
            json.loads("{")
        except ValueError:
            context.logger.exception("a line of %s", "mine")

    process = run(reactor, tmp_path, registry, work)
    told, logged, _end = process.events
    assert told.code == "sink.full"
    assert (logged.message, logged.subject) == ("a line of mine", "service/recorder")
    assert (logged.code, logged.severity) == ("log", "error")
    assert "JSONDecodeError" in logged.fields["traceback"]


def test_a_published_socket_is_found_by_name_until_its_service_ends(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    def work(context: ServiceContext) -> None:
        with context.publish_socket("blobs") as listener:
            with context.find_service("blobs") as client:
                client.sendall(b"hello")
                accepted, _ = listener.accept()
                with accepted:
                    assert accepted.recv(5) == b"hello"
            with pytest.raises(ConflictError, match="'blobs' already"):
                context.publish_socket("blobs")

    process = run(reactor, tmp_path, registry, work)
    assert "it returned" in process.events[-1].message
    with pytest.raises(TemporaryError, match="no service listens under the name 'blobs' now"):
        Recorder.made[0].find_service("blobs")


class Peer:
    """Who has asked for an action, and what came back."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.said.append(message)


def test_a_service_carries_out_its_actions_and_answers_from_its_own_thread(
    reactor: Any, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def manage(self: Recorder, _action: str, _arguments: Any, job: Job) -> None:
        # As `run` would, from its own thread.
        self.context.call_soon(job.done)

    tick = Action(name="tick", summary="Ticks.")
    monkeypatch.setattr(Recorder, "actions", lambda _self: (tick,))
    monkeypatch.setattr(Recorder, "manage", manage)
    peer = Peer()

    def work(_context: ServiceContext) -> None:
        process.manager.act(cast("Any", peer), {"id": 1, "part": "service", "action": "tick"})

    settings: dict[str, Any] = {"service": "recorder", "options": {}}
    plan = Plan("service.recorder", Role.SERVICE, "", settings)
    process = FakeProcess(reactor, tmp_path, plan)
    Recorder.work = work
    start_service(cast("Process", process), registry)
    reactor.turn()
    assert peer.said == [{"id": 1, "ok": {}}]


def test_a_service_without_actions_says_so(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    process = run(reactor, tmp_path, registry, lambda _context: None)
    peer = Peer()
    process.manager.act(cast("Any", peer), {"id": 1, "part": "service", "action": "tick"})
    assert peer.said[0]["error"] == "service has no actions"
