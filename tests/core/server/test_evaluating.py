"""When the process of the policies runs, with processes that are not there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from tierce.process.paths import Paths
from tierce.process.plan import Plan
from tierce.server.evaluating import AGAIN_S, STOP_S, Evaluating
from tierce.supervision.child import Child


@attrs.frozen
class Nothing:
    pass


class Children:
    """Notes what is asked for."""

    def __init__(self) -> None:
        self.child: Child | None = None
        self.said: list[str] = []
        self.sent: list[dict[str, Any]] = []

    def get(self, _name: str) -> Child | None:
        return self.child

    def start(self, plan: Plan) -> None:
        self.said.append("start")
        self.child = Child(plan, plan.digest, pid=len(self.said))

    def stop(self, _name: str) -> None:
        assert self.child is not None
        self.child.stop_asked_at = 0.0
        self.said.append("stop")

    def kill_silent(self, _child: Child) -> None:
        self.said.append("kill")


class Scene:
    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.paths = Paths(folder)
        self.paths.make()
        self.children = Children()
        self.plugins = ["one"]
        self.documents = [
            SimpleNamespace(kind="do", name="p", parameters=Nothing(), volumes=("demo",))
        ]
        self.events: list[Any] = []
        self.policies = Evaluating(cast("Any", self), self.look, reactor.now)

    def emit(self, event: Any) -> None:
        self.events.append(event)

    @property
    def inventory(self) -> Any:
        plugins = [SimpleNamespace(name=name, state="enabled") for name in self.plugins]
        registry = SimpleNamespace(plugins=plugins)
        config = SimpleNamespace(registry=registry, policies=self.documents)
        return SimpleNamespace(config=config, served={})

    def look(self) -> None:
        self.policies.look()

    def come_up(self) -> None:
        """The process has started and has read what lies there."""
        child = self.child
        child.phase = "up"
        child.peer = cast("Any", SimpleNamespace(send=self.children.sent.append))
        self.paths.policies.unlink()

    def end(self, **facts: Any) -> None:
        """It shows this, and ends."""
        child = self.child
        child.facts = facts
        self.policies.heard(child)
        child.facts, child.phase, child.pid = {}, "down", 0
        self.policies.heard(child)

    @property
    def child(self) -> Child:
        assert self.children.child is not None
        return self.children.child


@pytest.fixture
def scene(reactor: Any, tmp_path: Path) -> Scene:
    return Scene(reactor, tmp_path)


def test_nothing_is_started_where_there_are_no_documents(scene: Scene) -> None:
    scene.documents = []
    scene.paths.policies.write_text("of a former server")
    scene.look()
    scene.look()
    assert scene.children.said == []
    assert not scene.paths.policies.exists()


def test_the_documents_are_evaluated_once_after_each_change(scene: Scene) -> None:
    scene.look()
    assert scene.children.said == ["start"]
    (document,) = json.loads(scene.paths.policies.read_text())
    assert (document["kind"], document["name"]) == ("do", "p")
    scene.come_up()
    scene.look()
    scene.end(is_done=True, next_at=None)
    scene.look()
    assert scene.children.said == ["start"]
    scene.policies.changed()
    scene.look()
    assert scene.children.said == ["start", "start"]


def test_a_process_that_is_there_is_told_once(scene: Scene) -> None:
    scene.look()
    scene.come_up()
    scene.policies.changed()
    scene.look()
    scene.look()
    assert scene.children.said == ["start"]
    assert scene.children.sent == [{"do": "evaluate"}]


def test_what_it_did_not_read_before_it_ended_is_read_by_the_next(scene: Scene) -> None:
    scene.look()
    scene.come_up()
    scene.policies.changed()
    scene.look()
    scene.end(is_done=True, next_at=None)
    scene.look()
    assert scene.children.said == ["start", "start"]


def test_a_document_that_is_due_later_is_waited_for(scene: Scene) -> None:
    scene.look()
    scene.come_up()
    scene.end(is_done=True, next_at=scene.reactor.now() + 150)
    # The wall clock may be set meanwhile: it is looked at each minute.
    for _minute in range(2):
        scene.reactor.advance(60)
        assert scene.children.said == ["start"]
    scene.reactor.advance(60)
    assert scene.children.said == ["start", "start"]
    assert scene.paths.policies.exists()


def test_a_process_that_ends_before_it_is_done_is_started_again_after_a_pause(
    scene: Scene,
) -> None:
    scene.look()
    scene.come_up()
    scene.end()
    scene.policies.changed()
    scene.look()
    assert scene.children.said == ["start"]
    scene.reactor.advance(AGAIN_S)
    assert scene.children.said == ["start", "start"]


def test_a_process_of_other_plugins_is_replaced_and_killed_where_it_hangs(scene: Scene) -> None:
    scene.look()
    scene.come_up()
    scene.plugins = ["one", "two"]
    scene.policies.changed()
    scene.look()
    scene.look()
    assert scene.children.said == ["start", "stop"]
    scene.reactor.advance(STOP_S)
    assert scene.children.said == ["start", "stop", "kill"]
    scene.end()
    scene.look()
    assert scene.children.said == ["start", "stop", "kill", "start"]


def test_a_disk_that_is_full_is_told_and_the_next_change_tries_again(scene: Scene) -> None:
    # As on a disk that is full.
    scene.paths.policies.mkdir()
    (scene.paths.policies / "x").touch()
    scene.look()
    assert [event.code for event in scene.events] == ["policy.failed"]
    assert "policies wait for the next change" in scene.events[0].message
    assert scene.children.said == []
