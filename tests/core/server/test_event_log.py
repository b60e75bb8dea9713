"""Events to the state, the log, the listeners and the screen."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tierce import Event
from tierce.process.paths import Paths
from tierce.server.event_log import PENDING_COUNT_MAX, Console, EventLog
from tierce.state.store import StateStore


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


class Scene:
    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.store = StateStore(self.paths.state)
        self.soon: list[Callable[[], None]] = []
        self.screen = io.StringIO()
        self.heard: list[Event] = []
        # Who listens is told where it is tried: tierce.server.listeners.
        hearing = SimpleNamespace(hear=self.heard.append, close=lambda: None)
        self.event_log = EventLog(self.paths, self.store, Console(self.screen), self.soon.append)
        self.event_log.listeners = hearing


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.event_log.close()
    made.store.close()


def test_an_event_is_carried_on_later_once_and_in_order(scene: Scene) -> None:
    scene.event_log.emit(Event("a", "first", "x"))
    scene.event_log.emit(Event("b", "second", "x", "warning"))
    assert scene.store.events(9) == []
    assert len(scene.soon) == 1
    scene.soon[0]()
    assert [event["code"] for event in scene.store.events(9)] == ["a", "b"]
    lines = scene.paths.log("serve").read_text().splitlines()
    assert [json.loads(line)["code"] for line in lines] == ["a", "b"]
    # An operator sees what may need him.
    assert scene.screen.getvalue() == "warning: second\n"


def test_what_a_stranger_said_in_a_message_gives_the_screen_no_orders(scene: Scene) -> None:
    scene.event_log.emit(Event("b", "go\x1b[2J away", "x", "warning"))
    scene.soon[0]()
    assert scene.screen.getvalue() == "warning: go\\x1b[2J away\n"


def test_listeners_hear_every_event(scene: Scene) -> None:
    scene.event_log.emit(Event("a", "first", "x"))
    scene.event_log.flush()
    assert [event.code for event in scene.heard] == ["a"]


def test_a_flood_of_events_is_cut_short(scene: Scene) -> None:
    for _index in range(PENDING_COUNT_MAX + 10):
        scene.event_log.emit(Event("a", "again", "x"))
    scene.event_log.flush()
    *told, last = scene.store.events(PENDING_COUNT_MAX * 2)
    assert len(told) == PENDING_COUNT_MAX
    # That something is missing is said.
    assert last["message"] == "10 events came too fast and were left out"


def test_a_live_line_is_written_over_on_a_terminal_and_cut_to_its_width() -> None:
    out = Terminal()
    console = Console(out)
    console.live("x" * 200)
    console.live("short")
    console.say("line")
    assert out.getvalue() == f"\r\x1b[K{'x' * 79}\r\x1b[Kshort\r\x1b[Kline\n"


def test_a_live_line_is_a_line_elsewhere() -> None:
    out = io.StringIO()
    console = Console(out)
    console.live("x" * 200)
    assert out.getvalue() == "x" * 200 + "\n"


def test_a_screen_that_goes_away_ends_nothing() -> None:
    console = Console(Broken())
    console.say("one")
    console.live("two")


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals as Linux has them")
def test_a_terminal_that_was_closed_ends_nothing() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as out:
        console = Console(out)
        assert console.is_terminal
        os.close(ours)
        console.live("one")
        console.say("two")
