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

from core.fake_reactor import FakeReactor
from recorded_disk import RecordedDisk
from tierce import (
    GOOD,
    Completed,
    Concurrency,
    Device,
    EngineDescription,
    Event,
    FilterDescription,
    FrontendContext,
    FrontendDescription,
    FrontendStatus,
    LocalVolume,
    Op,
    OpenContext,
    ProtocolError,
    Request,
    Status,
    TracedStage,
    hookimpl,
    option,
    span_id_of,
)
from tierce.config import volume_from_mapping
from tierce.node.target import Target, read_snapshot, start_target
from tierce.node.trace_following import TraceFollower
from tierce.process.managing import Manager
from tierce.process.paths import Paths
from tierce.process.plan import EXIT_FENCED, Plan, Role
from tierce.process.process_loop import Process, log_story
from tierce.process.settings import TargetSettings
from tierce.registry import Registry
from tierce.trace_limits import TraceLimits
from tierce.volume.statistics import LATE_S

MODULE = "targets_for_tests"


@attrs.frozen
class Section:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",))
    greeting: str = option(doc="Any.", default="hello", live=True)


@attrs.frozen
class PerVolume:
    colour: str = option(doc="Any.", default="red", live=True)
    shape: str = option(doc="Any.", default="round")


@attrs.frozen
class BytesOptions:
    rate: int = option(doc="Any.", default=1, live=True)
    path: str = option(doc="Any.", default="here")
    key: str | None = option(doc="A secret.", default=None, live=True, secret=True)

    def check(self) -> str | None:
        return "too fast" if self.rate > 1000 else None


@attrs.frozen
class SlowOptions:
    delay_ms: int = option(doc="Any.", default=0, live=True)


class Slow:
    """A filter that notes its delay."""

    made: list[Slow] = []  # noqa: RUF012 - cleared by the fixture

    def __init__(self, context: OpenContext, below: Device) -> None:
        self.below, self.options = below, context.options
        self.geometry, self.capabilities = below.geometry, below.capabilities
        Slow.made.insert(0, self)

    def reconfigure(self, options: SlowOptions) -> None:
        self.options = options

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.below.submit(batch, completed)

    def close(self, closed: Callable[[Status], None]) -> None:
        self.below.close(closed)


class Deaf(Slow):
    """One that takes no other options."""

    reconfigure = None  # type: ignore[assignment]


class Bytes:
    """An engine that notes its context."""

    contexts: list[OpenContext] = []  # noqa: RUF012 - cleared by the fixture

    def __init__(self, context: OpenContext) -> None:
        Bytes.contexts.append(context)
        self.options = context.options
        self.data = bytearray(context.volume.size_bytes)

    def reconfigure(self, options: BytesOptions) -> None:
        if options.rate == 13:
            raise OSError("13 is unlucky")
        self.options = options

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

    def reconfigure_volume(self, options: PerVolume) -> None:
        self.log.append(f"is {options.colour}")

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
    return [
        EngineDescription(
            name=name,
            summary="Bytes.",
            factory=f"{MODULE}:Bytes",
            concurrency=how,
            options=BytesOptions,
            contract=2,
        )
        for name, how in (("bytes", Concurrency.INLINE), ("turns", Concurrency.SERIAL))
    ]


@hookimpl
def tierce_filters() -> list[FilterDescription]:
    known = frozenset({"READ", "WRITE", "FLUSH"})
    return [
        FilterDescription(
            name=name,
            summary="Slow.",
            factory=f"{MODULE}:{name.capitalize()}",
            operations=known,
            options=SlowOptions,
            contract=2,
        )
        for name in ("slow", "deaf")
    ]


@hookimpl
def tierce_frontends() -> list[FrontendDescription]:
    front = f"{MODULE}:Front"
    return [
        FrontendDescription(
            name="front",
            summary="Front.",
            factory=front,
            router=front,
            usage=front,
            identity=front,
            options=Section,
            volume_options=PerVolume,
            contract=2,
        )
    ]


class Scene:
    def __init__(self, reactor: Any, folder: Path, engine: str = "bytes") -> None:
        registry = Registry.build([("tests", sys.modules[__name__], "")])
        self.paths = Paths(folder)
        self.paths.make()
        mapping = {
            "name": "demo",
            "size": 1 << 20,
            "engine": engine,
            "frontend": "front",
            "frontend_options": {"colour": "blue"},
            "filters": [{"name": "slow", "delay_ms": 3}, {"name": "slow"}, {"name": "deaf"}],
        }
        config = volume_from_mapping(mapping, registry, base=folder, origin="test")
        spec = LocalVolume.of(config, self.paths.volume(config.name), created=5.0)
        settings = TargetSettings(spec, (), {"front": Section(greeting="hi")})
        self.spec = spec
        self.live = settings.live_values()
        self.events: list[Event] = []
        self.exit_codes: list[int] = []
        self.shown: dict[str, Any] = {}
        process = SimpleNamespace(
            reactor=reactor,
            paths=self.paths,
            plan=Plan(
                *("target.demo", Role.TARGET, "demo"),
                settings.fixed_values(),
                settings.live_values(),
            ),
            boot_id="boot",
            emit=self.events.append,
            show=self.shown.update,
            end=self.exit_codes.append,
            manager=Manager("volume/demo", reactor, self.events.append, log_story),
        )
        self.target: Target = start_target(cast("Process", process), registry)
        self.front = cast("Front", cast("Any", self.target._fronts).of("front"))

    def reconfigure(self, **parts: Any) -> None:
        """Tell it live options, by the keys of the parts that have other ones."""
        live = {**self.live, **parts}
        self.target.commands["reconfigure"]({"live": live}, [])

    def told(self) -> list[tuple[str, str]]:
        found = [(event.severity.value, event.message) for event in self.events]
        self.events.clear()
        return found

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
    Slow.made.clear()
    return Scene(reactor, tmp_path)


def test_engine_and_front_end_get_the_volume_as_it_was_planned(scene: Scene) -> None:
    engine, front = Bytes.contexts[0], scene.front.context
    assert engine.volume == front.volume == scene.spec
    assert (engine.boot_id, engine.members) == ("boot", ())
    assert front.options == Section(greeting="hi")
    assert front.volume_options == PerVolume(colour="blue")
    assert front.device.geometry.size_bytes == 1 << 20


def test_what_is_published_and_counted_is_seen_by_others(scene: Scene, reactor: Any) -> None:
    scene.front.context.publish(FrontendStatus(details={"colour": "blue"}))
    scene.front.context.stage("volume").add(0, 1, 512, 1000)
    reactor.advance(LATE_S)
    snapshot = read_snapshot(scene.paths.page("demo"))
    assert snapshot["published"] == {"colour": "blue"}
    assert snapshot["stages"]["volume"]["read"]["count"] == 1


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
    assert scene.paths.ended("target.demo").read_text() == "ballot 9 is elsewhere"
    Bytes.contexts[0].fenced("again")
    assert scene.exit_codes == [EXIT_FENCED]


def test_a_fenced_target_stays_down_though_that_can_not_be_noted(scene: Scene) -> None:
    # As on a disk that is full, or has become read-only.
    scene.paths.ended("target.demo").mkdir()
    Bytes.contexts[0].fenced("ballot 9 is elsewhere")
    assert scene.shown == {"fenced": "ballot 9 is elsewhere"}
    assert scene.exit_codes == [EXIT_FENCED]
    assert "which can't be noted: " in scene.events[0].message


def test_what_takes_too_long_is_written_down_for_services(scene: Scene) -> None:
    follower = TraceFollower(scene.paths, scene.paths.run / "kept")
    assert follower.traces().items == ()
    engine, front = Bytes.contexts[0], scene.front.context
    request = Request(Op.READ, 512, 512)
    request.status = GOOD
    engine.tracer.note([request], "device", 1000, 10**9)
    front.tracer.answered([request], 1000, 10**9 + 64)
    (record,) = follower.traces().items
    assert (record.volume, record.offset, record.elapsed_ns) == ("demo", 512, 10**9 + 64)
    assert record.stages == (
        TracedStage(
            *("device", "", 0, 10**9, 0),
            span_id_of(bytes.fromhex(record.span_id), "device").hex(),
        ),
    )


class Asker:
    """Who asks for an action, as a process sees it."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.told.append(message)


def test_ios_are_followed_as_asked_until_the_target_closes(scene: Scene) -> None:
    asker = Asker()
    asked = {"part": "tracer", "action": "follow", "arguments": {"every": 1}}
    cast("Any", scene.target)._process.manager.act(asker, {"id": 1, **asked})
    tracer = scene.front.context.tracer
    assert tracer is Bytes.contexts[0].tracer
    assert tracer.limits.every == 1
    scene.target.close(lambda: None)
    assert "followed no more" in asker.told[-1]["error"]
    assert tracer.limits == TraceLimits()


def test_a_volume_without_a_page_reads_as_empty(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path / "none.stats") == {
        "stages": {},
        "published": {},
    }


def of(name: str, **values: Any) -> dict[str, Any]:
    return {"of": name, "values": values}


def engine(scene: Scene) -> Bytes:
    return cast("Bytes", scene.target._pipeline.engine)


def test_each_part_takes_its_live_options_while_it_serves(scene: Scene) -> None:
    scene.reconfigure(
        **{
            "options": of("bytes", rate=5, key=None),
            "filters[1]": of("slow", delay_ms=7),
            "frontend_options": of("front", colour="green"),
            "frontends.front": of("front", greeting="welcome"),
        }
    )
    assert engine(scene).options == BytesOptions(rate=5)
    assert [one.options.delay_ms for one in Slow.made] == [3, 7, 0]
    assert scene.front.log == ["is green", "greets with welcome"]
    assert scene.told() == [
        ("info", "volume demo: options (bytes) has taken rate"),
        ("info", "volume demo: filters[1] (slow) has taken delay_ms"),
        ("info", "volume demo: frontend_options (front) has taken colour"),
        ("info", "volume demo: frontends.front (front) has taken greeting"),
    ]


def test_what_has_not_changed_is_not_told_anew(scene: Scene) -> None:
    scene.reconfigure()
    assert (scene.front.log, scene.events, scene.shown) == ([], [], {})


def test_a_part_that_refuses_goes_on_as_it_was_and_the_others_take_theirs(scene: Scene) -> None:
    refusals = {"options": of("bytes", rate=13, key="hidden")}
    scene.reconfigure(**refusals, **{"filters[0]": of("slow", delay_ms=7)})
    assert engine(scene).options == BytesOptions()
    assert Slow.made[0].options.delay_ms == 7
    (severity, message), _taken = scene.told()
    assert (severity, message) == (
        "error",
        "volume demo: options (bytes), of the plugin tests, keeps the old options.rate, "
        "options.key until its next start: OSError: 13 is unlucky",
    )
    assert scene.shown["kept_options"] == {
        "options": "options.rate, options.key: the plugin tests refused: OSError: 13 is unlucky"
    }
    # Taken back, or taken at last: nothing is left to say.
    scene.reconfigure(**{"filters[0]": of("slow", delay_ms=7)})
    assert scene.shown["kept_options"] == {}


@pytest.mark.parametrize(
    ("part", "values", "why"),
    [
        ("filters[2]", of("deaf", delay_ms=1), "it has no method `reconfigure`"),
        ("options", of("bytes", rate=2000, key=None), "too fast"),
        ("options", of("bytes", rat=1), "unknown option 'rat'"),
    ],
)
def test_what_can_not_be_taken_is_refused_by_name(
    scene: Scene, part: str, values: dict[str, Any], why: str
) -> None:
    scene.reconfigure(**{part: values})
    ((severity, message),) = scene.told()
    assert (severity, why in message) == ("error", True)
    assert why in scene.shown["kept_options"][part]


def test_options_of_a_part_that_waits_for_the_next_start_are_no_others(scene: Scene) -> None:
    scene.reconfigure(
        **{"filters[0]": of("deaf", delay_ms=9), "filters[7]": of("slow", delay_ms=9)}
    )
    assert (scene.events, Slow.made[0].options.delay_ms) == ([], 3)


@pytest.mark.parametrize("live", [None, [], {"options": 3}, {"options": {"of": "bytes"}}])
def test_what_are_no_live_options_are_refused(scene: Scene, live: Any) -> None:
    with pytest.raises(ProtocolError, match="not live options"):
        scene.target.commands["reconfigure"]({"live": live}, [])


def test_a_target_that_is_over_takes_nothing(scene: Scene) -> None:
    scene.target.close(lambda: None)
    scene.reconfigure(options=of("bytes", rate=5, key=None))
    assert engine(scene).options == BytesOptions()


def test_that_it_must_stay_down_survives_loss_of_power(scene: Scene) -> None:
    disk = RecordedDisk(scene.paths.data)
    with disk:
        Bytes.contexts[0].fenced("ballot 9 is elsewhere")
    ended = scene.paths.ended("target.demo")
    disk.leave(len(disk.log), 0.0, Random(0))
    assert ended.read_text() == "ballot 9 is elsewhere"


@pytest.fixture
def in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A target whose engine has a thread of its own, where the test does what is due."""
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    Bytes.contexts.clear()
    Slow.made.clear()
    return Scene(FakeReactor(by_hand=True), tmp_path, "turns")


def work_off(scene: Scene) -> None:
    cast("FakeReactor", scene.target._process.reactor).work_off()


def test_an_engine_on_a_thread_of_its_own_takes_options_there_in_its_turn(in_turns: Scene) -> None:
    in_turns.reconfigure(options=of("turns", rate=5, key=None))
    in_turns.reconfigure(options=of("turns", rate=5, key=None))
    assert (engine(in_turns).options.rate, in_turns.told()) == (1, [])
    # What is wanted meanwhile comes after it, also what it had before.
    in_turns.reconfigure(options=of("turns", rate=1, key=None))
    work_off(in_turns)
    assert engine(in_turns).options.rate == 5
    work_off(in_turns)
    assert engine(in_turns).options.rate == 1
    taken = ("info", "volume demo: options (turns) has taken rate")
    assert in_turns.told() == [taken, taken]


def test_what_an_engine_refuses_on_its_own_thread_is_told_and_shown_when_it_has(
    in_turns: Scene,
) -> None:
    in_turns.reconfigure(options=of("turns", rate=13, key=None))
    assert (in_turns.told(), in_turns.shown) == ([], {})
    work_off(in_turns)
    ((severity, message),) = in_turns.told()
    assert severity == "error"
    assert "keeps the old options.rate until its next start: OSError: 13 is unlucky" in message
    assert "13 is unlucky" in in_turns.shown["kept_options"]["options"]
    # It is asked anew, since it may take it now.
    in_turns.reconfigure(options=of("turns", rate=13, key=None))
    work_off(in_turns)
    assert len(in_turns.told()) == 1
    in_turns.reconfigure()
    assert in_turns.shown["kept_options"] == {}


def test_a_reconfigure_that_is_an_async_def_is_refused(scene: Scene) -> None:
    async def reconfigure(_options: Any) -> None: ...

    running = cast("Any", scene.target._live)._running["options"]
    running.reconfigure = reconfigure
    scene.reconfigure(options=of("bytes", rate=5, key=None))
    ((_severity, message),) = scene.told()
    assert "its `reconfigure` is an `async def`" in message
