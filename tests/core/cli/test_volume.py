"""What `tierce volume ...` asks of the server, and what it shows of the answer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OK: dict[str, Any] = {"ok": {}}
ROW = {
    "health": "healthy",
    "name": "demo",
    "size": 1 << 30,
    "engine": "jiva",
    "state": "up",
    "since": "2026-01-01 00:00:00Z",
    "owner": "state",
    "url": "iscsi://here/demo/0",
    "why": "",
    "todo": "",
    "wanted": True,
}
ILL = {
    **ROW,
    "name": "ill",
    "health": "degraded",
    "why": "one replica is away",
    "todo": "wait for it",
    "size": None,
}

Tierce = Callable[..., Any]
Scripted = Callable[..., Any]


def test_create_asks_for_a_volume_of_the_state_with_its_options(
    tierce: Tierce, scripted: Scripted, tmp_path: Path
) -> None:
    server = scripted([{"ok": {"name": "new", "url": "iscsi://here"}}])
    done = tierce(
        *("volume", "create", "new", "--size", "1GiB", "--engine", "file"),
        *("--option", "path=./new.img", "--option", '{"depth": 4}', "--option", "count=7"),
        *("--frontend-option", "name=7up", "--output", "json"),
    )
    assert (done.code, json.loads(done.out)["name"]) == (0, "new")
    (asked,) = server.asked
    assert asked["base"] == str(tmp_path)
    volume = asked["volume"]
    assert (volume["name"], volume["size"], volume["engine"]) == ("new", "1GiB", "file")
    assert volume["options"] == {"path": "./new.img", "depth": 4, "count": 7}
    assert volume["frontend_options"] == {"name": "7up"}


def test_a_size_of_digits_is_a_number_of_bytes(tierce: Tierce, scripted: Scripted) -> None:
    server = scripted([OK])
    tierce("volume", "create", "new", "--size", "4096", "--engine", "memory")
    assert server.asked[0]["volume"]["size"] == 4096


def test_list_shows_sizes_and_reasons_as_people_read_them(
    tierce: Tierce, scripted: Scripted
) -> None:
    scripted([{"row": ROW}, {"row": ILL}, OK])
    done = tierce("volume", "list")
    assert done.code == 0
    _head, first, second = done.out.splitlines()
    assert "1 GiB" in first
    assert "one replica is away; wait for it" in second


def test_list_as_json_keeps_numbers(tierce: Tierce, scripted: Scripted) -> None:
    scripted([{"row": ROW}, OK])
    assert json.loads(tierce("volume", "list", "--output", "json").out) == [ROW]


def test_check_ends_with_8_and_names_who_is_wanted_and_not_healthy(
    tierce: Tierce, scripted: Scripted
) -> None:
    unwanted = {**ILL, "name": "old", "wanted": False}
    scripted([{"row": ROW}, {"row": ILL}, {"row": unwanted}, OK], [{"row": ROW}, OK])
    done = tierce("volume", "list", "--check")
    assert done.code == 8
    assert done.err == "tierce: 1 of 3 volumes not healthy: ill (degraded)\n"
    assert tierce("volume", "list", "--check").code == 0


def test_show_shows_what_the_server_knows(tierce: Tierce, scripted: Scripted) -> None:
    server = scripted([{"ok": {"name": "demo", "uuid": "5"}}])
    done = tierce("volume", "show", "demo", "--output", "json")
    assert json.loads(done.out) == {"name": "demo", "uuid": "5"}
    assert (server.asked[0]["do"], server.asked[0]["name"]) == ("show", "demo")


def test_delete_asks_before_it_deletes(
    tierce: Tierce, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scripted([OK])
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert tierce("volume", "delete", "demo").code != 0
    assert server.asked == []
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    done = tierce("volume", "delete", "demo", "--without", "replica-2")
    assert "volume demo is deleted" in done.out
    assert (server.asked[0]["do"], server.asked[0]["without"]) == ("delete", ["replica-2"])


def test_a_deletion_is_taken_back_as_a_whole(tierce: Tierce, scripted: Scripted) -> None:
    server = scripted([OK])
    done = tierce("volume", "delete", "demo", "--cancel", "--without", "replica-2")
    assert (done.code, server.asked) == (2, [])
    assert tierce("volume", "delete", "demo", "--cancel").out == "volume demo is kept\n"
    assert server.asked[0]["do"] == "cancel-delete"


def test_a_loss_is_said_before_it_is_accepted(
    tierce: Tierce, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = {"ok": {"loss": "all but replica-1 may be lost"}}
    server = scripted([loss], [loss], [OK])
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = tierce("volume", "accept-loss", "demo", "--keep", "replica-1")
    assert done.out.startswith("all but replica-1 may be lost\n")
    assert [one["do"] for one in server.asked] == ["loss"]
    done = tierce("volume", "accept-loss", "demo", "--keep", "replica-1", "--yes")
    assert done.out.endswith("volume demo goes on\n")
    assert server.asked[-1] == {"do": "accept-loss", "name": "demo", "keep": "replica-1", "id": 1}


def test_claim_says_that_it_is_served_again(tierce: Tierce, scripted: Scripted) -> None:
    server = scripted([OK])
    assert tierce("volume", "claim", "demo").out == "volume demo is served here again\n"
    assert server.asked == [{"do": "claim", "name": "demo", "id": 1}]


def test_adopt_asks_the_server_that_runs(
    tierce: Tierce, scripted: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    # The first connection only finds out whether there is a server.
    server = scripted([], [{"ok": {"name": "demo", "url": "iscsi://here"}}])
    done = tierce("volume", "adopt", "one", "--without", "replica-3")
    assert done.out == "volume demo is adopted and served: iscsi://here\n"
    (asked,) = server.asked
    assert (asked["do"], asked["without"]) == ("adopt", ["replica-3"])
    assert asked["folders"] == [str(tmp_path / "one")]


def test_without_a_server_adopt_looks_itself(
    tierce: Tierce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERCE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "one").mkdir()
    done = tierce("volume", "adopt", str(tmp_path / "one"))
    assert done.code != 0
    assert done.err.startswith("tierce: error: ")


def test_a_refusal_is_the_server_s_word_with_its_code(tierce: Tierce, scripted: Scripted) -> None:
    scripted([{"error": "volume demo is busy", "exit_code": 6}])
    done = tierce("volume", "show", "demo")
    assert (done.code, done.err) == (6, "tierce: error: volume demo is busy\n")


ACTION = {
    "part": "engine",
    "action": "resize",
    "summary": "Makes it larger.",
    "arguments": {
        "properties": {"size": {}, "wait": {"default": False}, "by": {}},
        "required": ["size"],
    },
    "result": {"properties": {"size": {}}},
}


def test_actions_are_listed_by_part_with_what_may_be_left_out_in_brackets(
    tierce: Tierce, scripted: Scripted
) -> None:
    hold = {**ACTION, "part": "a", "action": "hold", "arguments": {"properties": {}}}
    scripted([{"row": ACTION}, {"row": hold}, {"ok": {"missing": ["replica-2"]}}])
    done = tierce("volume", "actions", "demo")
    _head, first, second = done.out.splitlines()
    assert "hold" in first
    assert "size=... [wait=False] [by=...]" in second
    assert done.err == "tierce: replica-2 is not running: its actions are not listed\n"


def test_an_action_s_progress_is_told_and_its_answer_shown(
    tierce: Tierce, scripted: Scripted, tmp_path: Path
) -> None:
    rows = [
        {"row": {"fraction": 0, "text": ""}},
        {"row": {"fraction": 0.5, "text": "half\nway"}},
        {"row": {"fraction": 1.0, "text": ""}},
    ]
    server = scripted([*rows, {"ok": {"size": 5}}], [OK])
    done = tierce(*("volume", "act", "demo", "engine", "resize", "size=5", '{"wait": true}'))
    assert done.err == "tierce: 50% half way\ntierce: 100%\n"
    assert "5" in done.out
    (asked,) = server.asked
    assert (asked["words"], asked["arguments"]) == ({"size": "5"}, {"wait": True})
    assert asked["base"] == str(tmp_path)
    done = tierce("volume", "act", "demo", "engine", "resize")
    assert done.out == "volume demo: engine: resize: done\n"


def test_an_action_is_asked_below_the_span_that_its_script_runs_in(
    tierce: Tierce, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    server = scripted([OK], [OK])
    for text in (span, "none of W3C's"):
        monkeypatch.setenv("TRACEPARENT", text)
        tierce("volume", "act", "demo", "engine", "resize")
    assert [asked["traceparent"] for asked in server.asked] == [span, ""]
