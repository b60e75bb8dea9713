"""A service's place in the events, against a real state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tierce import Event, TemporaryError
from tierce.node.following import Follower
from tierce.state.store import StateStore


class Server:
    """Answers from a state, as the supervisor does; or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = StateStore(folder, event_count_max=4)
        self.is_there = True

    def ask(self, message: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        if not self.is_there:
            raise TemporaryError("no server runs")
        rows = []
        if "after" in message:
            rows = [{"events": [one]} for one in self.store.events_after(message["after"], 3)]
        return rows, {"last": self.store.last_event()}

    def happens(self, *codes: str) -> None:
        self.store.record([Event(code, code, "x") for code in codes])

    def restarts(self) -> None:
        self.store.close()
        self.store = StateStore(self.folder, event_count_max=4)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "state")
    yield made
    made.store.close()


@pytest.fixture
def follower(server: Server, tmp_path: Path) -> Follower:
    server.happens("before")
    made = Follower(tmp_path / "place", server.ask)
    assert given(made) == ([], 0)
    return made


def given(follower: Follower) -> tuple[list[str], int]:
    events = follower.events()
    return [one.event.code for one in events.items], events.lost


def test_each_event_comes_once_and_in_order(server: Server, follower: Follower) -> None:
    server.happens("a", "b")
    assert given(follower) == (["a", "b"], 0)
    assert given(follower) == ([], 0)
    server.happens("c")
    assert given(follower) == (["c"], 0)


def test_what_does_not_fit_one_answer_comes_with_the_next(
    server: Server, follower: Follower
) -> None:
    server.happens("a", "b", "c", "d")
    assert given(follower) == (["a", "b", "c"], 0)
    assert given(follower) == (["d"], 0)


def test_events_that_are_no_longer_kept_are_counted(server: Server, follower: Follower) -> None:
    server.happens("a", "b", "c", "d", "e", "f")
    assert given(follower) == (["c", "d", "e"], 2)
    assert given(follower) == (["f"], 0)


def test_events_that_could_not_be_recorded_are_counted(server: Server, follower: Follower) -> None:
    server.happens("a")
    server.store.record([Event("d", "d", "x")], skipped=2)
    assert given(follower) == (["a", "d"], 2)


def test_a_place_holds_over_restarts_of_the_server(server: Server, follower: Follower) -> None:
    server.happens("a")
    assert given(follower) == (["a"], 0)
    server.is_there = False
    assert given(follower) == ([], 0)
    server.restarts()
    server.happens("b")
    server.is_there = True
    assert given(follower) == (["b"], 0)


def test_a_service_that_is_started_anew_goes_on_and_is_given_the_last_ones_again(
    server: Server, follower: Follower, tmp_path: Path
) -> None:
    server.happens("a")
    assert given(follower) == (["a"], 0)
    server.happens("b")
    assert given(follower) == (["b"], 0)
    server.happens("c")
    # It ended before it could say that it had dealt with "b".
    assert given(Follower(tmp_path / "place", server.ask)) == (["b", "c"], 0)


def test_a_state_that_was_made_anew_is_read_from_its_beginning(
    server: Server, follower: Follower, tmp_path: Path
) -> None:
    server.happens("a", "b")
    assert given(follower) == (["a", "b"], 0)
    server.store.close()
    server.store = StateStore(tmp_path / "other", event_count_max=4)
    server.happens("new")
    assert given(follower) == (["new"], 0)


def test_a_place_that_is_damaged_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "place").write_bytes(b"\xff")
    server.happens("a")
    assert given(Follower(tmp_path / "place", server.ask)) == ([], 0)
