"""Events come from the running server, or from the state that one has left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.scripted_server import ScriptedServer
from tierce.cli.event_source import PORTION, EventSource, Look, following
from tierce.errors import TemporaryError, UsageError
from tierce.process.paths import Paths
from tierce.spec import Event
from tierce.state.store import StateStore

Scripted = Callable[..., ScriptedServer]


def row(sequence: int, message: str = "it happened", **more: Any) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "time": 1000.0 + sequence,
        "severity": "info",
        "code": "a.b",
        "subject": "volume/demo",
        "message": message,
        "fields": {},
        **more,
    }


def answer(last: int, *rows: dict[str, Any]) -> list[dict[str, Any] | bytes]:
    return [{"row": {"events": list(rows)}}, {"ok": {"last": last}}]


def everything(_event: dict[str, Any]) -> bool:
    return True


class FakeSource(EventSource):
    """Gives prepared looks one after the other, and then ends."""

    def __init__(self, *looks: Look | Exception) -> None:
        self._looks = list(looks)
        self.asked: list[int] = []
        self.is_over = False

    def after(self, sequence: int) -> Look:
        self.asked.append(sequence)
        if not self._looks:
            self.is_over = True
            raise KeyboardInterrupt
        look = self._looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look


def follow(source: FakeSource, look: Look) -> tuple[list[int], list[str]]:
    notes: list[str] = []
    found: list[int] = []
    events = following(source, look, notes.append, lambda _seconds: None)
    with contextlib.suppress(KeyboardInterrupt):
        found.extend(event["sequence"] for event in events)
    assert source.is_over
    return found, notes


def test_a_running_server_is_asked(tmp_path: Path) -> None:
    server = ScriptedServer(tmp_path / "data", answer(7, row(6), row(7)))
    look = EventSource(tmp_path / "data").after(5)
    server.close()
    assert ([one["sequence"] for one in look.events], look.last) == ([6, 7], 7)
    assert look.is_served
    assert server.asked[0]["after"] == 5


def test_without_a_server_the_state_is_read_that_one_has_left(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    with StateStore(paths.state) as store:
        store.record([Event("a.b", f"number {n}", "volume/demo") for n in (1, 2, 3)])
    look = EventSource(tmp_path).after(1)
    assert [one["message"] for one in look.events] == ["number 2", "number 3"]
    assert (look.last, look.is_served) == (3, False)


def test_a_data_folder_without_a_state_has_no_events(tmp_path: Path) -> None:
    assert EventSource(tmp_path).after(0) == Look((), 0, is_served=False)


def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no data folder"):
        EventSource(tmp_path / "nothing").after(0)


def test_a_server_that_does_not_answer_is_no_reason_to_read_its_state(tmp_path: Path) -> None:
    server = ScriptedServer(tmp_path / "data", [], [])
    with pytest.raises(TemporaryError, match="ended before it had answered"):
        EventSource(tmp_path / "data").after(0)
    server.close()


def test_the_newest_are_found_from_the_end(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    with StateStore(paths.state) as store:
        store.record([Event("a.b", f"{n}", "volume/demo") for n in range(1, 3 * PORTION)])
    source = EventSource(tmp_path)
    messages = [one["message"] for one in source.newest(3, everything, 0.0).events]
    assert messages == ["765", "766", "767"]
    assert source.newest(0, everything, 0.0).events == ()
    many = source.newest(PORTION + 5, everything, 0.0)
    assert [one["sequence"] for one in many.events] == list(range(507, 768))
    assert many.missing == 0

    def is_first(event: dict[str, Any]) -> bool:
        return bool(event["sequence"] == 1)

    assert len(source.newest(3, is_first, 0.0).events) == 1


def test_the_newest_end_where_it_is_too_long_ago_and_tell_what_is_missing(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    with StateStore(paths.state) as store:
        store.record([Event("a.b", "old", "volume/demo", time_ns=10**9)])
        store.record([Event("a.b", "new", "volume/demo", time_ns=10**10)], skipped=4)
    look = EventSource(tmp_path).newest(100, everything, 5.0)
    assert [one["message"] for one in look.events] == ["new"]
    assert look.missing == 4


def test_following_goes_on_where_it_was_and_tells_gaps() -> None:
    source = FakeSource(
        Look((row(4), row(5)), 5, is_served=True),
        Look((), 5, is_served=True),
        Look((row(9),), 9, is_served=True),
    )
    found, notes = follow(source, Look((), 3, is_served=True))
    assert found == [4, 5, 9]
    assert notes == ["3 events are missing before number 9"]
    assert source.asked == [3, 5, 5, 9]


def test_following_goes_on_over_a_restart_of_the_server() -> None:
    hangs = TemporaryError("the server has not answered for 5 s")
    source = FakeSource(
        Look((row(4),), 4, is_served=False),
        hangs,
        hangs,
        Look((row(5),), 5, is_served=True),
    )
    found, notes = follow(source, Look((), 3, is_served=True))
    assert found == [4, 5]
    assert notes == ["no server runs; waiting for one", str(hangs), "a server runs again"]


def test_following_begins_anew_with_a_state_that_was_made_anew() -> None:
    source = FakeSource(Look((), 2, is_served=True), Look((row(1), row(2)), 2, is_served=True))
    found, notes = follow(source, Look((), 90, is_served=True))
    assert found == [1, 2]
    assert notes == ["the state was made anew: its events begin with number 1"]
