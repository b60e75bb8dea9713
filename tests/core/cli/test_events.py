"""`tierce events` shows what has happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.cli.test_event_source import answer, row
from tierce.cli.events import Wanted, as_shown, line_of
from tierce.process.paths import Paths
from tierce.spec import Event
from tierce.state.store import StateStore

Tierce = Callable[..., Any]


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose server has ended."""
    paths = Paths(tmp_path / "data")
    paths.make()
    monkeypatch.setenv("TIERCE_DATA_DIR", str(paths.data))
    with StateStore(paths.state) as store:
        store.record(
            [
                Event("a.made", "it is made", "volume/demo", time_ns=1_500_000_000),
                Event("a.failed", "two\nlines", "volume/demo/replica-2", "warning", {"n": 1}),
                Event("a.other", "another", "volume/demo-2", "error"),
            ]
        )
    return paths.data


def test_events_are_lines_and_a_server_that_is_away_is_told(tierce: Tierce, left: Path) -> None:
    done = tierce("events")
    assert done.code == 0
    first, second, third = done.out.splitlines()
    assert first == "1970-01-01T00:00:01.500Z info    a.made volume/demo: it is made"
    assert second.endswith(" warning a.failed volume/demo/replica-2: two lines")
    assert third.endswith(" error   a.other volume/demo-2: another")
    assert done.err.startswith("tierce: no server runs")


def test_only_what_is_asked_for_is_shown(tierce: Tierce, left: Path) -> None:
    def codes(*arguments: str) -> list[str]:
        return [one["code"] for one in json.loads(tierce("events", *arguments).out)]

    json_output = ("--output", "json")
    assert codes(*json_output, "--volume", "demo") == ["a.made", "a.failed"]
    assert codes(*json_output, "--severity", "warning") == ["a.failed", "a.other"]
    assert codes(*json_output, "--since", "1h") == ["a.failed", "a.other"]
    assert codes(*json_output, "--count", "1") == ["a.other"]


def test_an_event_as_json_has_what_the_help_says(tierce: Tierce, left: Path) -> None:
    (one,) = json.loads(tierce("events", "--volume", "demo-2", "--output", "json").out)
    assert set(one) == {"sequence", "time", "severity", "code", "subject", "message", "fields"}
    assert one["sequence"] == 3
    (same,) = yaml.safe_load(tierce("events", "--volume", "demo-2", "--output", "yaml").out)
    assert same == one


def test_with_follow_each_event_is_a_line_of_json(
    tierce: Tierce, scripted: Callable[..., Any]
) -> None:
    rows = (row(1), row(2, "and this"))
    # The server ends with a question that it does not understand: who follows is told so.
    scripted(
        answer(2, *rows),
        answer(2, *rows),
        answer(3, row(3)),
        [{"error": "no more", "exit_code": 2}],
    )
    done = tierce("events", "--follow", "--output", "json")
    assert [json.loads(line)["sequence"] for line in done.out.splitlines()] == [1, 2, 3]
    assert (done.code, done.err) == (2, "tierce: error: no more\n")


def test_a_duration_that_is_none_is_refused(tierce: Tierce) -> None:
    done = tierce("events", "--since", "soon")
    assert done.code == 2
    assert "'soon'" in done.err


@pytest.mark.parametrize(
    ("subject", "is_wanted"),
    [
        ("volume/demo", True),
        ("volume/demo/replica-1", True),
        ("process/target.demo", True),
        ("process/member.demo.replica-1", True),
        ("volume/demo2", False),
        ("process/target.demo2", False),
        ("process/serve", False),
    ],
)
def test_what_is_about_a_volume(subject: str, is_wanted: bool) -> None:
    assert Wanted("demo", "info")(row(1, subject=subject)) is is_wanted


def test_what_a_stranger_said_in_a_message_gives_a_terminal_no_orders() -> None:
    line = line_of(as_shown({**row(1), "message": "go\x1b[2J away"}), is_coloured=False)
    assert line.endswith(": go\\x1b[2J away")


def test_colour_is_for_what_matters() -> None:
    shown = as_shown(row(1, severity="error"))
    assert "\x1b[31merror" in line_of(shown, is_coloured=True)
    assert "\x1b" not in line_of(shown, is_coloured=False)
    assert "\x1b" not in line_of(as_shown(row(1)), is_coloured=True)
