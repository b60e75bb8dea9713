"""The process that does works: one after the other, whatever comes of them; without any it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from core.fake_process import FakeProcess
from core.fake_reactor import FakeReactor
from core.scenes import FolderLifecycle, Scene, note, volume
from tierce import ConflictError, LocalVolume, PluginError
from tierce.config import volume_from_mapping
from tierce.node.working import IDLE_S, WorkingProcess, start_working, work_off
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.process.works import Call, error_of, work_for

PLAN = Plan("work.1", Role.WORK)


@pytest.fixture
def process(reactor: FakeReactor, tmp_path: Path) -> FakeProcess:
    return FakeProcess(reactor, tmp_path / "data", PLAN)


@pytest.fixture
def working(process: FakeProcess, scene: Scene) -> WorkingProcess:
    return start_working(cast("Process", process), scene.registry)


@pytest.fixture
def wanted(scene: Scene) -> LocalVolume:
    parsed = volume_from_mapping(volume(), scene.registry, base=scene.folder, origin="here")
    return LocalVolume.of(parsed, scene.paths.volume("demo"), uuid="ab" * 16, created=5.0)


def message(call: Call, volume: LocalVolume) -> dict[str, Any]:
    return {"do": "work", "work": work_for(call, volume).to_values()}


def test_it_does_what_it_is_given_and_says_what_comes_of_it(
    working: WorkingProcess, wanted: LocalVolume, scene: Scene
) -> None:
    assert working.commands["work"](message(Call.CREATE, wanted), []) == {"result": None}
    assert json.loads(note(scene).read_text())["uuid"] == wanted.uuid
    found = working.commands["work"](message(Call.IDENTIFY, wanted), [])
    assert found["result"]["found"]["name"] == "demo"


def test_a_work_that_fails_is_told_as_what_it_failed_by_and_the_next_one_is_done(
    working: WorkingProcess, wanted: LocalVolume
) -> None:
    FolderLifecycle.faults["create"] = ConflictError("another volume lies there")
    answer = working.commands["work"](message(Call.CREATE, wanted), [])
    error = error_of(answer["failure"])
    assert (type(error), str(error)) == (ConflictError, "another volume lies there")
    FolderLifecycle.faults["create"] = SystemExit(3)
    answer = working.commands["work"](message(Call.CREATE, wanted), [])
    assert isinstance(error_of(answer["failure"]), PluginError)
    FolderLifecycle.faults.clear()
    assert working.commands["work"](message(Call.CREATE, wanted), []) == {"result": None}


def test_an_answer_that_fits_no_message_is_a_failure(
    scene: Scene, wanted: LocalVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderLifecycle, "loss", lambda *_any: "x" * (1 << 20))
    answer = work_off(scene.registry, message(Call.LOSS, wanted))
    assert "bytes; 131072 are allowed" in str(error_of(answer["failure"]))


def test_without_work_it_ends_by_itself(
    working: WorkingProcess, process: FakeProcess, wanted: LocalVolume, reactor: FakeReactor
) -> None:
    reactor.advance(IDLE_S - 1)
    working.commands["work"](message(Call.CREATE, wanted), [])
    reactor.advance(IDLE_S - 1)
    assert not process.is_closed
    reactor.advance(1)
    assert process.is_closed


def test_it_ends_at_once_when_it_is_asked_to(
    working: WorkingProcess, process: FakeProcess, reactor: FakeReactor
) -> None:
    closed: list[None] = []
    working.close(lambda: closed.append(None))
    assert closed == [None]
    reactor.advance(IDLE_S)
    assert not process.is_closed
