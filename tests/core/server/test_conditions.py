"""How every volume is, and since when."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tierce import Event, Export, Listens
from tierce.health import Health
from tierce.process.paths import Paths
from tierce.server.conditions import Conditions
from tierce.server.node import Node
from tierce.server.routing import Router
from tierce.state import Owner, Phase, VolumeRecord
from tierce.volume.statistics import StatisticsPage


class Scene:
    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.record = VolumeRecord("demo", "0" * 32, 0.0, Owner.STATE, Phase.READY, {})
        self.now = 1000.0
        self.events: list[Event] = []
        self.target = SimpleNamespace(
            phase="up",
            is_adopted=False,
            failures=SimpleNamespace(reason=""),
            pulse=SimpleNamespace(is_told=False),
            plan=SimpleNamespace(name="target.demo"),
        )
        served = SimpleNamespace(
            volume=SimpleNamespace(exports=(Export(frontend="iscsi", options=None),)), members=()
        )
        registry = SimpleNamespace(frontends={"iscsi": SimpleNamespace(listens=Listens.PORTAL)})
        inventory = SimpleNamespace(
            served={"demo": served},
            unserved_why=lambda _record: "",
            config=SimpleNamespace(frontends={"iscsi": None}, registry=registry),
        )
        node = SimpleNamespace(
            paths=self.paths,
            inventory=inventory,
            children=SimpleNamespace(get=lambda _name: self.target),
            target=lambda _volume: self.target,
            emit=self.events.append,
        )
        router = SimpleNamespace(unreachable_why=lambda _frontend: "")
        self.page = StatisticsPage.create(self.paths.page("demo"))
        self.conditions = Conditions(cast("Node", node), cast("Router", router), lambda: self.now)

    def publish(self, state: str, **more: Any) -> None:
        self.page.publish("engine", {"state": state, **more})

    def look(self) -> tuple[Health, float]:
        found = self.conditions.look([self.record])["demo"]
        return found.health, found.since


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_condition_is_as_old_as_its_health(scene: Scene) -> None:
    scene.publish("serving")
    assert scene.look() == (Health.HEALTHY, 1000.0)
    scene.now = 1010.0
    assert scene.look() == (Health.HEALTHY, 1000.0)
    scene.publish("degraded", members=[{"name": "replica-1", "state": "down"}])
    assert scene.look() == (Health.DEGRADED, 1010.0)
    scene.now = 1020.0
    # Another replica is another reason, and the same health.
    scene.publish("degraded", members=[{"name": "replica-2", "state": "down"}])
    assert scene.look() == (Health.DEGRADED, 1010.0)


def test_each_change_of_health_is_one_event_in_the_log(scene: Scene) -> None:
    scene.publish("serving")
    scene.look()
    scene.look()
    scene.publish("stopped", trouble="too few replicas answer")
    scene.look()
    scene.look()
    assert [(event.code, event.severity, event.message) for event in scene.events] == [
        ("volume.health", "info", "volume demo is healthy"),
        (
            "volume.health",
            "info",
            "volume demo is stalled, was healthy: too few replicas answer",
        ),
    ]


def test_a_target_that_is_silent_stalls_its_volume(scene: Scene) -> None:
    scene.publish("serving")
    scene.target.pulse.is_told = True
    assert scene.look()[0] is Health.STALLED


def test_a_page_that_is_gone_makes_the_health_unknown(scene: Scene) -> None:
    scene.paths.page("demo").unlink()
    assert scene.look()[0] is Health.UNKNOWN
    scene.paths.page("demo").write_bytes(b"no page")
    assert scene.look()[0] is Health.UNKNOWN


def test_a_page_of_another_version_is_told_of_a_target_that_was_taken_over(scene: Scene) -> None:
    scene.target.is_adopted = True
    # As the version before the present one showed itself: one object for all.
    scene.page.publish("state", {"serving": True})
    found = scene.conditions.look([scene.record])["demo"]
    assert found.health is Health.UNKNOWN
    assert "another version" in found.why


def test_a_volume_that_is_gone_is_forgotten(scene: Scene) -> None:
    scene.publish("serving")
    scene.look()
    scene.conditions.look([])
    scene.now = 2000.0
    assert scene.look() == (Health.HEALTHY, 2000.0)
