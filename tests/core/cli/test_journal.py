"""`tierce volume journal` shows what is pending, and what was written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cli.volumes import Folder
from core.scripted_server import ScriptedServer

Tierce = Callable[..., Any]
PENDING = {
    "operation": "write",
    "offset": 8192,
    "length": 4096,
    "age_s": 12.25,
    "stage": "device",
    "waits_for": ["replica-2", "replica-3"],
    "why": "a majority is away",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path / "data", monkeypatch)
    made.count("demo", {"volume": (3, 1.0)})
    made.write_down("demo", 80, ("device", "", 79), ("jiva.replica", "replica-2", 78))
    made.write_down("demo", 90, ("device", "", 89))
    return made


def served(folder: Folder, *answer: dict[str, Any]) -> ScriptedServer:
    return ScriptedServer(
        folder.paths.data, [{"row": {"health": {"demo": "stalled"}}}, {"ok": {}}], list(answer)
    )


def test_what_is_pending_is_told_with_what_it_waits_for(tierce: Tierce, folder: Folder) -> None:
    server = served(folder, {"ok": {"count": 1, "items": [PENDING]}})
    done = tierce("volume", "journal", "demo")
    server.close()
    asked = server.asked[1]
    assert (asked["do"], asked["volume"], asked["part"], asked["action"]) == (
        *("act", "demo", "target", "pending"),
    )
    head, columns, row, _empty, recent, first, second = done.out.splitlines()
    assert head == "1 I/O pending:"
    assert columns.split() == ["AGE", "OPERATION", "OFFSET", "LENGTH", "STAGE", "WAITS_FOR", "WHY"]
    assert row.split("  ")[0] == "12.2 s"
    assert "replica-2, replica-3" in row
    assert recent == "Last written down:"
    assert first.startswith("   slow  ")
    assert "took 80.0 ms: device 79.0 ms, jiva.replica/replica-2 78.0 ms" in first
    assert "took 90.0 ms" in second


def test_more_than_are_named_are_counted_and_nothing_is_said_as_such(
    tierce: Tierce, folder: Folder
) -> None:
    server = served(folder, {"ok": {"count": 300, "items": [PENDING]}})
    assert "300 I/Os pending, the oldest 1 are:" in tierce("volume", "journal", "demo").out
    server.close()
    server = served(folder, {"ok": {"count": 0, "items": []}})
    assert tierce("volume", "journal", "demo").out.startswith("Nothing is pending.\n")
    server.close()


def test_without_a_server_what_is_pending_is_counted(tierce: Tierce, folder: Folder) -> None:
    done = tierce("volume", "journal", "demo")
    assert done.err == "tierce: no server runs: what is pending is only counted\n"
    assert done.out.startswith("Nothing is pending.\n")
    folder.page("demo").stage("device").show({1: 1, 2: 1})
    folder.page("demo").stage("device").parked()
    assert tierce("volume", "journal", "demo").out.startswith("device: 2 I/Os pending, the oldest")


def test_a_target_that_can_not_be_asked_is_no_reason_to_say_nothing(
    tierce: Tierce, folder: Folder
) -> None:
    server = served(folder, {"error": "target.demo is not running", "exit_code": 6})
    done = tierce("volume", "journal", "demo")
    server.close()
    assert done.code == 0
    assert done.err == ("tierce: what is pending is only counted: target.demo is not running\n")
    assert "Last written down:" in done.out


def test_journal_as_json_has_what_the_help_says(tierce: Tierce, folder: Folder) -> None:
    server = served(folder, {"ok": {"count": 1, "items": [PENDING]}})
    said = json.loads(tierce("volume", "journal", "demo", "--count", "1", "--output", "json").out)
    server.close()
    assert list(said) == [
        *("volume", "is_served", "parked", "pending_count", "pending", "trouble", "recent"),
    ]
    assert (said["is_served"], said["pending"]) == (True, [PENDING])
    assert [one["elapsed_ns"] for one in said["recent"]] == [90_000_000]


def test_where_nothing_was_written_down_that_is_said(
    tierce: Tierce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(tmp_path / "other", monkeypatch).count("demo", {"volume": (3, 1.0)})
    assert "No I/O was written down yet." in tierce("volume", "journal", "demo").out
