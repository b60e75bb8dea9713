"""A mistake is told once, then each minute with a count, and shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, open_context, volume_spec
from tierce import Code, Event, Op, Request
from tierce.volume.blame import Blames, failure
from tierce.volume.recurring import TELL_AGAIN_S


class Scene:
    def __init__(self) -> None:
        self.reactor, self.events = FakeReactor(), list[Event]()
        self.shown: Mapping[str, Any] = {}
        page: Any = Tally()
        page.stage = None
        context = attrs.evolve(
            open_context(volume_spec(Path()), self.reactor, page),
            emit=self.events.append,
        )
        self.blames = Blames(context, self._publish)
        self.blame = self.blames.of("filter f", "plugin 'p' (package q)")

    def _publish(self, shown: Mapping[str, Any]) -> None:
        self.shown = shown


def test_the_first_is_told_with_its_traceback_and_shown(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    why = scene.blame.mistake("raised in submit", "1 request is lost", ValueError("no table"))
    assert why == "filter f raised in submit: ValueError: no table"
    (event,) = scene.events
    assert (event.code, event.subject, event.severity) == (
        *("volume.plugin-failed", "volume/model"),
        "error",
    )
    assert event.fields == {"part": "filter f", "count": 1}
    assert event.message == (
        "volume model: filter f (plugin 'p' (package q)) raised in submit: ValueError: no table; "
        "1 request is lost"
    )
    assert scene.shown["filter f"]["last"] == event.message.removeprefix("volume model: ")
    assert caplog.records[0].levelno == logging.ERROR
    assert caplog.records[0].exc_info is not None


def test_what_goes_on_is_told_each_minute_with_how_many_there_were() -> None:
    scene = Scene()
    for _ in range(5):
        scene.blame.mistake("raised in submit", "lost")
    assert len(scene.events) == 1
    scene.reactor.advance(TELL_AGAIN_S)
    assert scene.events[1].message.endswith("(4 more times since this was told)")
    assert scene.events[1].fields["count"] == 5
    assert scene.shown["filter f"]["count"] == 5


def test_what_has_ended_is_told_at_once_when_it_comes_again() -> None:
    scene = Scene()
    scene.blame.mistake("raised in submit", "lost")
    scene.reactor.advance(TELL_AGAIN_S)
    assert len(scene.events) == 1
    assert scene.reactor.timers == [], "an idle loop sleeps"
    scene.blame.mistake("raised in submit", "lost")
    assert len(scene.events) == 2


def test_each_kind_is_told_by_itself_and_each_part_is_shown() -> None:
    scene = Scene()
    other = scene.blames.of("engine e", "plugin 'e'")
    scene.blame.mistake("raised in submit", "lost")
    scene.blame.mistake("raised in close", "closed")
    other.mistake("does not answer", "waits")
    assert len(scene.events) == 3
    assert set(scene.shown) == {"filter f", "engine e"}


def test_what_was_not_told_yet_is_told_when_the_volume_closes() -> None:
    scene = Scene()
    scene.blame.mistake("raised in submit", "lost")
    scene.blame.mistake("raised in submit", "lost")
    scene.blames.close()
    assert "(1 more times" in scene.events[1].message
    scene.reactor.advance(TELL_AGAIN_S)
    assert len(scene.events) == 2


@pytest.mark.parametrize(("op", "code"), [(Op.READ, Code.READ_ERROR), (Op.WRITE, Code.WRITE_ERROR)])
def test_a_request_that_a_mistake_costs_says_why_and_where(op: Op, code: Code) -> None:
    status = failure(Request(op, 4096, 512), "filter f raised in submit")
    assert (status.code, status.reason, status.offset) == (code, "filter f raised in submit", 4096)
