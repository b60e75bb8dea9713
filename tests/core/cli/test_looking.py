"""Volumes are looked at through their pages; a server adds what only it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.volumes import Folder
from core.scripted_server import ScriptedServer
from tierce.cli.looking import Looker
from tierce.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path / "data", monkeypatch)
    made.count("demo", {"volume": (3, 1.0)})
    made.count("demo", {"replica.apply": (3, 0.5)}, "replica-1")
    made.count("other", {"volume": (1, 1.0)})
    return made


def test_pages_are_read_without_a_server(folder: Folder) -> None:
    look = Looker(folder.paths.data).look()
    assert sorted(look.volumes) == ["demo", "other"]
    assert not look.is_served
    demo = Looker(folder.paths.data, "demo").look().volumes["demo"]
    assert demo.target is not None
    assert demo.target.stages["volume"]["write"].count == 3
    assert list(demo.members) == ["replica-1"]
    assert demo.health == ""


def test_a_server_says_how_they_are_and_which_engine_they_have(folder: Folder) -> None:
    server = ScriptedServer(
        folder.paths.data,
        [{"row": {"health": {"demo": "degraded"}}}, {"ok": {}}],
        [{"row": {"name": "demo", "engine": "jiva"}}, {"ok": {}}],
    )
    looker = Looker(folder.paths.data, "demo")
    look = looker.look()
    assert (look.is_served, look.volumes["demo"].health) == (True, "degraded")
    assert looker.engine() == "jiva"
    server.close()
    assert looker.engine() == ""
    assert not looker.look().is_served


def test_a_server_that_does_not_answer_is_done_without_and_not_asked_at_once(
    folder: Folder,
) -> None:
    server = ScriptedServer(folder.paths.data)
    looker = Looker(folder.paths.data)
    assert not looker.look().is_served
    # Else this would wait as long again, and each look after it.
    assert not looker.look().is_served
    server.close()
    assert server.asked == []


def test_a_volume_of_which_nothing_runs_is_named_with_those_of_which_something_does(
    folder: Folder,
) -> None:
    with pytest.raises(UsageError, match=r"volume ghost: .* no server runs; there are demo, other"):
        Looker(folder.paths.data, "ghost").look()


def test_a_data_folder_without_pages_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Folder(tmp_path / "empty", monkeypatch)
    assert Looker(empty.paths.data).look().volumes == {}
    with pytest.raises(UsageError, match="there is none at all"):
        Looker(empty.paths.data, "demo").look()


def test_records_are_those_of_the_volume(folder: Folder) -> None:
    looker = Looker(folder.paths.data, "demo")
    assert looker.records() == ([], 0)
    folder.write_down("demo", 80, ("device", "", 79))
    records, following = looker.records()
    assert [one.elapsed_ns for one in records] == [80_000_000]
    assert looker.records(following) == ([], 1)
