"""A stranger's filter whose delay is changed under load: no session is dropped."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.node.test_target import MODULE, Front, Section
from tierce import GOOD, Event, FrontendDescription, LocalVolume, Op, Request, hookimpl
from tierce.config import volume_from_mapping
from tierce.node.target import Target, read_snapshot, start_target
from tierce.process.managing import Manager
from tierce.process.paths import Paths
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process, log_story
from tierce.process.settings import TargetSettings
from tierce.registry import Registry

PACE = Path(__file__).resolve().parents[2] / "strangers" / "pace" / "tierce_pace.py"


class Brings:
    """What brings the front end."""

    @hookimpl
    def tierce_frontends(self) -> list[FrontendDescription]:
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
                contract=2,
            )
        ]


class Scene:
    """A target of memory under the filter, and a session at its front end."""

    def __init__(self, reactor: Any, folder: Path, pace: object) -> None:
        engines = importlib.import_module("tierce_engines.plugin")
        self.registry = Registry.build(
            [("engines", engines, ""), ("pace", pace, ""), ("front", Brings(), "")]
        )
        self.reactor = reactor
        self.folder = folder
        self.paths = Paths(folder)
        self.paths.make()
        self.events: list[Event] = []
        self.shown: dict[str, Any] = {}
        plan = self.plan(delay_s=1.0)
        process = SimpleNamespace(
            reactor=reactor,
            paths=self.paths,
            plan=plan,
            boot_id="boot",
            emit=self.events.append,
            show=self.shown.update,
            manager=Manager("volume/demo", reactor, self.events.append, log_story),
        )
        self.target: Target = start_target(cast("Process", process), self.registry)
        self.front = cast("Front", cast("Any", self.target._fronts).of("front"))

    def plan(self, **options: Any) -> Plan:
        """What the target is started with, or told."""
        mapping = {
            "name": "demo",
            "size": 1 << 20,
            "engine": "memory",
            "frontend": "front",
            "filters": [{"name": "pace", **options}],
        }
        config = volume_from_mapping(mapping, self.registry, base=self.folder, origin="test")
        volume = LocalVolume.of(config, self.paths.volume(config.name), created=5.0)
        settings = TargetSettings(volume, (), {"front": Section()})
        return Plan(
            *("target.demo", Role.TARGET, "demo"), settings.fixed_values(), settings.live_values()
        )

    def reload(self, **options: Any) -> None:
        before, after = self.plan(delay_s=1.0), self.plan(**options)
        assert after.digest == before.digest, "it would be restarted"
        self.target.commands["reconfigure"]({"live": after.live}, [])

    def write(self, fill: int) -> Request:
        request = Request(Op.WRITE, 0, 512, memoryview(bytes([fill]) * 512))
        self.front.context.device.submit([request], lambda _done: None)
        return request

    def read(self) -> bytes:
        buffer = bytearray(512)
        request = Request(Op.READ, 0, 512, memoryview(buffer))
        self.front.context.device.submit([request], lambda _done: None)
        self.reactor.advance(10.0)
        assert request.status is GOOD
        return bytes(buffer)

    def published(self) -> dict[str, Any]:
        return dict(read_snapshot(self.paths.page("demo"))["published"])


@pytest.fixture
def scene(reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    spec = importlib.util.spec_from_file_location("tierce_pace", PACE)
    assert spec is not None
    assert spec.loader is not None
    pace = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tierce_pace", pace)
    spec.loader.exec_module(pace)
    monkeypatch.setitem(sys.modules, MODULE, importlib.import_module("core.node.test_target"))
    return Scene(reactor, tmp_path, pace)


def test_a_filter_takes_another_delay_under_load_and_nothing_under_way_is_lost(
    scene: Scene,
) -> None:
    first = scene.write(1)
    scene.reload(delay_s=0.25)
    assert scene.published() == {"pace": {"delay_s": 0.25}}
    scene.reactor.advance(0.5)
    assert first.status is None, "what was under way keeps its delay"
    scene.reactor.advance(0.5)
    assert first.status is GOOD
    second = scene.write(2)
    assert second.status is None
    scene.reactor.advance(0.25)
    assert second.status is GOOD
    assert scene.read() == bytes([2]) * 512
    assert scene.front.log == [], "no session was touched"
    assert [event.message for event in scene.events] == [
        "volume demo: filters[0] (pace) has taken delay_s"
    ]


def test_a_delay_that_the_filter_refuses_is_told_and_the_old_one_goes_on(scene: Scene) -> None:
    scene.reload(delay_s=1.25)
    (told,) = scene.events
    assert told.message == (
        "volume demo: filters[0] (pace), of the plugin pace, keeps the old filters[0].delay_s "
        "until its next start: ValueError: 1.25 s is out of step"
    )
    assert scene.published() == {"pace": {"delay_s": 1.0}}
    assert "of step" in scene.shown["kept_options"]["filters[0]"]
    request = scene.write(1)
    scene.reactor.advance(1.0)
    assert request.status is GOOD


def test_another_option_of_the_filter_restarts_the_target(scene: Scene) -> None:
    before = scene.plan(delay_s=1.0)
    assert scene.plan(delay_s=1.0, label="other").digest != before.digest
