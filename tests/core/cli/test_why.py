"""`tierce volume why` watches, and says what it found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cli.volumes import Folder

Tierce = Callable[..., Any]
TRIP = "jiva.replica/replica-"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A volume of three replicas that is used whenever somebody waits: the second one is late."""
    made = Folder(tmp_path / "data", monkeypatch)
    made.count("demo", {"volume": (1000, 0.1)})

    def use(_seconds: float) -> None:
        made.count("demo", {"volume": (100, 80.6), "device": (100, 80.4)})
        for number, each_ms in ((1, 0.4), (2, 80.2), (3, 0.4)):
            made.count("demo", {f"{TRIP}{number}": (100, each_ms)})
            made.count("demo", {"replica.apply": (100, 0.1)}, f"replica-{number}")
        made.last("demo", f"{TRIP}2", 100)
        made.write_down("demo", 80.6, ("device", "", 80.4), ("jiva.replica", "replica-2", 80.2))

    monkeypatch.setattr(time, "sleep", use)
    return made


def test_why_says_in_a_sentence_what_dominates_then_what_to_do_and_what_proves_it(
    tierce: Tierce, folder: Folder
) -> None:
    done = tierce("volume", "why", "demo", "--for", "2s")
    assert done.code == 0
    first, todo, note, _empty, head, share, *rest = done.out.splitlines()
    assert first.endswith(
        " write time is the link to replica-2 or its process, not its disk (80.1 ms of each); "
        "the others answer in 0.4 ms."
    )
    assert first.startswith("99 % of the last ")
    assert todo.startswith("What to do: look whether the process of replica-2 gets CPU")
    assert note.startswith(
        "Note: the slowest write took 80.6 ms, 100 % of it the link to replica-2"
    )
    assert head.startswith("100 writes, 80.6 ms each, 99 in a hundred within ")
    assert share.split()[:2] == ["99", "%"]
    proof = rest[rest.index("The I/Os that took longest:") :]
    assert proof[1].endswith(
        "WRITE of 4096 bytes at 8192 took 80.6 ms: device 80.4 ms, jiva.replica/replica-2 80.2 ms"
    )
    # The slowest is drawn, as `trace` does.
    assert proof[3] == "The slowest of them:"
    assert any(line.lstrip().startswith("jiva.replica/replica-2 ") for line in proof[4:])
    assert max(map(len, proof[5:])) <= 100
    assert done.err.startswith("tierce: no server runs")


def test_why_as_json_has_what_the_help_says(tierce: Tierce, folder: Folder) -> None:
    said = json.loads(tierce("volume", "why", "demo", "--output", "json").out)
    assert list(said) == [
        *("volume", "verdict", "sentence", "todo", "seconds", "is_served", "notes", "operations"),
        "slow",
    ]
    assert (said["volume"], said["verdict"], said["seconds"]) == ("demo", "slow", 10.0)
    (write,) = said["operations"]
    assert list(write) == ["operation", "count", "mean_ns", "p99_ns", "is_slow", "causes"]
    first = write["causes"][0]
    assert list(first) == ["cause", "name", "label", "share", "mean_ns"]
    assert (first["cause"], first["name"]) == ("link", "replica-2")
    assert sum(one["share"] for one in write["causes"]) == pytest.approx(1, abs=1e-3)
    assert [one["elapsed_ns"] for one in said["slow"]] == [80_600_000]


def test_what_is_kept_is_told_without_watching(
    tierce: Tierce, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_seconds: float) -> None:
        raise AssertionError("nobody watches")

    for _ in range(7):
        folder.write_down("demo", 90, ("device", "", 89))
    monkeypatch.setattr(time, "sleep", refuse)
    done = tierce("volume", "why", "demo", "--records")
    assert "99 % of the time of the 7 slow writes that are kept is the engine" in done.out
    assert "The I/Os that took longest (2 more are not shown):" in done.out


def test_without_io_that_is_said(
    tierce: Tierce, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    done = tierce("volume", "why", "demo")
    assert done.out.startswith("No I/O was seen in the last ")
    assert "What to do: watch while the volume is used: `tierce volume why demo --for 1min`" in (
        done.out
    )


def test_to_watch_for_no_time_is_refused(tierce: Tierce, folder: Folder) -> None:
    done = tierce("volume", "why", "demo", "--for", "0s")
    assert done.code == 2
    assert "expected more than 0 s; what is kept is told by --records" in done.err


def test_a_volume_that_is_not_there_is_the_callers_mistake(tierce: Tierce, folder: Folder) -> None:
    done = tierce("volume", "why", "ghost")
    assert done.code == 2
    assert "volume ghost: nothing of it runs or has run here" in done.err
