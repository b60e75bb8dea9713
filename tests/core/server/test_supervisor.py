"""A supervisor that reloads: every limit holds from then on, and what is refused as a whole."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tierce import Event
from tierce.config import Config, Limits, config_from_bytes, load_config
from tierce.inventory.preflight import Findings
from tierce.process.paths import Paths
from tierce.process.plan import Plan, Role
from tierce.process.refusals import RefusedError
from tierce.server.event_log import Console
from tierce.server.reloading import foretell
from tierce.server.supervisor import Supervisor
from tierce.state.store import StateStore
from tierce.supervision.child import Child

#: Below every default, so that what still holds the default fails.
LOWER = Limits(
    restart_delay_s_max=0.5,
    stop_timeout_s=0.25,
    silence_told_s=2.0,
    silence_killed_s=3.0,
    event_count_max=100,
)


class Scene:
    """A supervisor that was started with other limits; nothing runs but what a test puts there."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        paths = Paths(folder / "data")
        paths.make()
        self.reactor = reactor
        self.file = folder / "tierce.yaml"
        self.store = StateStore(paths.state)
        before = self.config(Limits())
        self.supervisor = Supervisor(paths, before, self.store, reactor, Console(io.StringIO()))
        self.supervisor.inventory.apply(before)
        self.supervisor.watchdog.start()
        self.child = Child(Plan("target.demo", Role.TARGET, "demo"), "")
        self.supervisor.children._children["target.demo"] = self.child

    def config(self, limits: Limits) -> Config:
        config = config_from_bytes(b"data_dir: ./data\n", self.file)
        return attrs.evolve(config, limits=limits)

    def reload(self) -> None:
        self.supervisor.use(self.config(LOWER), Findings(), lambda: None)

    def close(self) -> None:
        self.supervisor.event_log.close()
        self.store.close()


@pytest.fixture
def scene(reactor: Any, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(reactor, tmp_path)
    yield made
    made.close()


def restart_delay_s_max(scene: Scene) -> None:
    scene.child.phase = "down"
    scene.child.start_at = scene.reactor.now() + 30.0
    scene.reload()
    assert scene.child.observe().start_at == scene.reactor.now() + 0.5
    assert scene.supervisor.children.restart_delay_s_max == 0.5


def stop_timeout_s(scene: Scene) -> None:
    scene.reload()
    scene.supervisor.stop()
    out = scene.supervisor._console._out
    assert isinstance(out, io.StringIO)
    assert out.getvalue().endswith("each process has 0.25 s to end orderly\n")


def silence_told_s(scene: Scene) -> None:
    scene.reload()
    # Half of it lies between two looks, from now on and not from the next look on.
    (due,) = [timer.due for timer in scene.reactor.timers if not timer.is_cancelled]
    assert due == scene.reactor.now() + 1.0
    assert scene.supervisor.watchdog.limits.silence_told_s == 2.0


def silence_killed_s(scene: Scene) -> None:
    scene.reload()
    assert scene.supervisor.watchdog.limits.silence_killed_s == 3.0


def event_count_max(scene: Scene) -> None:
    def record(count: int) -> None:
        scene.store.record([Event("a.b", "c", "d")] * count)

    record(150)
    scene.reload()
    record(1)
    assert len(scene.store.events(1000)) == 100


REACHES: dict[str, Callable[[Scene], None]] = {
    "restart_delay_s_max": restart_delay_s_max,
    "stop_timeout_s": stop_timeout_s,
    "silence_told_s": silence_told_s,
    "silence_killed_s": silence_killed_s,
    "event_count_max": event_count_max,
}


def test_every_limit_has_a_proof_that_it_reaches_a_running_server() -> None:
    assert {field.name for field in attrs.fields(Limits)} == set(REACHES)
    changed = attrs.asdict(LOWER)
    assert all(changed[name] < value for name, value in attrs.asdict(Limits()).items())


@pytest.mark.parametrize("limit", REACHES)
def test_a_limit_holds_from_a_reload_on(scene: Scene, limit: str) -> None:
    REACHES[limit](scene)


def test_a_file_without_a_plugin_that_a_running_volume_needs_is_refused_as_a_whole(
    scene: Scene,
) -> None:
    text = "volumes: [{name: other, size: 1 MiB, engine: memory, frontend: iscsi}]\n"
    scene.file.write_text("data_dir: ./data\n" + text)
    scene.supervisor.config = load_config(scene.file)
    scene.supervisor.inventory.apply(scene.supervisor.config)
    told: list[Any] = []
    foretell(scene.supervisor.node, scene.file, lambda *what: told.append(what))
    ((volume, *_others), _error) = told[0]
    assert (volume.what, volume.text) == ("volume other", "nothing")
    scene.file.write_text("data_dir: ./data\nplugins: {enable: [iscsi]}\n" + text)
    with pytest.raises(RefusedError, match="no enabled plugin brings the engine 'memory'"):
        foretell(scene.supervisor.node, scene.file, lambda *_told: None)
