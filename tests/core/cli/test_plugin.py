"""`tierce plugin ...` says what is installed, and why something is not enabled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tierce.yaml"
    path.write_text("plugins: {enable: [iscsi, engines]}\n")
    return path


def test_list_names_every_plugin_with_its_package(tierce: Run) -> None:
    rows = {
        row["name"]: row for row in json.loads(tierce("plugin", "list", "--output", "json").out)
    }
    assert rows["jiva"]["package"] == "tierce"
    assert rows["jiva"]["state"] == "enabled"
    assert "engine jiva" in rows["jiva"]["provides"]
    assert tierce("plugin", "list").out.splitlines()[0].split()[:2] == ["NAME", "STATE"]


def test_list_knows_what_a_config_file_enables(tierce: Run, file: Path) -> None:
    out = tierce("plugin", "list", "--config", file, "--output", "json").out
    states = {row["name"]: row["state"] for row in json.loads(out)}
    assert (states["jiva"], states["iscsi"]) == ("disabled", "enabled")


def test_show_lists_every_option(tierce: Run) -> None:
    answer = json.loads(tierce("plugin", "show", "iscsi", "--output", "json").out)
    (frontend,) = answer["provides"]
    assert frontend["is"] == "front end"
    options = {row["name"]: row for row in frontend["options"]}
    assert options["listen"]["type"] == "list of HOST:PORT"
    assert {row["name"] for row in frontend["volume_options"]} >= {"iqn"}


def test_show_lists_nested_options(tierce: Run) -> None:
    answer = json.loads(tierce("plugin", "show", "jiva", "--output", "json").out)
    engine = next(one for one in answer["provides"] if one["is"] == "engine")
    assert engine["replicator"] == "jiva"
    assert "replicas[].folder" in {row["name"] for row in engine["options"]}


def test_an_unknown_plugin_is_an_error_that_names_the_nearest(tierce: Run) -> None:
    for command in ("show", "explain"):
        done = tierce("plugin", command, "jvia")
        assert done.code == 4
        assert done.err.startswith("tierce: error: plugin 'jvia': ")
        assert "the nearest is 'jiva'" in done.err


def test_explain_says_why_something_is_not_enabled(tierce: Run, file: Path) -> None:
    done = tierce("plugin", "explain", "jiva", "--config", file)
    assert done.code == 0
    assert "plugin 'jiva' (package tierce) is disabled" in done.out
    assert "engine jiva is not enabled" in done.out
    assert "plugins.enable" in done.out


def test_every_shipped_plugin_names_what_can_be_imported(tierce: Run) -> None:
    done = tierce("plugin", "check")
    assert (done.code, done.err) == (0, "")
    assert done.out == "engines, exporters, iscsi, jiva: ok\n"
    assert tierce("plugin", "check", "jiva").out == "jiva: ok\n"


def test_a_plugin_that_is_not_there_can_not_be_checked(tierce: Run) -> None:
    done = tierce("plugin", "check", "jivaa")
    assert done.code == 4
    assert "the nearest is 'jiva'" in done.err
