"""Why an I/O failed is told once, by the part that it comes from, then each minute with a count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, open_context, volume_spec
from core.volume.scripted import Scripted, requests
from tierce import Code, Device, Event, Filter, Op, OpenContext, Request, Status
from tierce.volume.blame import Blames
from tierce.volume.boundary import Boundary
from tierce.volume.recurring import TELL_AGAIN_S

WORN = Status(Code.WRITE_ERROR, "the disk is worn out", 0)


class Scene:
    """An engine that answers writes with a status, and a filter on it."""

    def __init__(self, status: Status = WORN) -> None:
        self.reactor, self.events = FakeReactor(), list[Event]()
        page: Any = Tally()
        page.stage = None
        context = open_context(volume_spec(Path()), self.reactor, page)
        self.context: OpenContext = attrs.evolve(context, emit=self.events.append)
        self.blames = Blames(self.context, lambda _shown: None)
        self.engine = self.over(Scripted(status), "engine e", None)
        self.top = self.over(Filter(None, self.engine), "filter f", self.engine)

    def over(self, device: Device, part: str, below: Boundary | None) -> Boundary:
        blame = self.blames.of(part, "plugin 'p'")
        return Boundary(device, Tally(), blame, self.reactor, below=below)

    def write(self, count: int = 1) -> list[Request]:
        batch = requests(Op.WRITE, count)
        self.top.submit(batch, lambda _requests: None)
        return batch


def test_the_reason_of_an_io_that_failed_is_told_once_by_the_part_that_it_comes_from() -> None:
    scene = Scene()
    scene.write(3)
    (event,) = scene.events
    assert (event.code, event.severity) == ("volume.io-failed", "error")
    assert (event.subject, event.fields) == ("volume/model", {"code": "write error"})
    assert event.message == (
        "volume model: engine e: WRITE of 512 bytes at 0 failed: the disk is worn out"
    )


def test_what_goes_on_failing_is_told_each_minute_with_how_many_there_were() -> None:
    scene = Scene()
    for _ in range(5):
        scene.write()
    scene.reactor.advance(TELL_AGAIN_S)
    assert scene.events[1].message.endswith("worn out (4 more since this was told)")
    scene.reactor.advance(TELL_AGAIN_S)
    assert len(scene.events) == 2
    assert scene.reactor.timers == [], "an idle loop sleeps"
    scene.write()
    assert len(scene.events) == 3


def test_each_kind_of_failure_is_told_by_itself() -> None:
    scene = Scene()
    scene.write()
    scene.engine._device.status = Status(Code.NO_SPACE, "full")  # type: ignore[attr-defined]
    scene.write()
    assert [event.fields["code"] for event in scene.events] == ["write error", "no space"]


@pytest.mark.parametrize("code", [Code.MISCOMPARE, Code.OUT_OF_RANGE, Code.UNSUPPORTED])
def test_what_the_caller_asked_amiss_is_for_the_caller_alone(code: Code) -> None:
    scene = Scene(Status(code, "no"))
    scene.write()
    assert scene.events == []


def test_what_a_filter_makes_of_it_is_the_filters() -> None:
    class Refuses(Filter):
        def submit(self, batch: list[Request], completed: Callable[..., None]) -> None:
            for request in batch:
                request.status = Status(Code.READ_ERROR, "a checksum is wrong")

    scene = Scene()
    top = scene.over(Refuses(None, scene.engine), "filter sum", scene.engine)
    top.submit(requests(Op.READ, 1), lambda _requests: None)
    assert scene.events[0].message.startswith("volume model: filter sum: READ of 512 bytes")


def test_a_plugins_mistake_is_told_as_one_and_not_as_a_failure_of_the_medium() -> None:
    class Raises(Filter):
        def submit(self, batch: list[Request], completed: Callable[..., None]) -> None:
            raise ValueError

    scene = Scene()
    top = scene.over(Raises(None, scene.engine), "filter bad", scene.engine)
    top.submit(requests(Op.READ, 1), lambda _requests: None)
    assert [event.code for event in scene.events] == ["volume.plugin-failed"]


def test_what_was_not_told_yet_is_told_when_the_volume_closes() -> None:
    scene = Scene()
    scene.write(2)
    scene.blames.close()
    assert scene.events[1].message.endswith("(1 more since this was told)")
    scene.reactor.advance(TELL_AGAIN_S)
    assert len(scene.events) == 2


def test_what_is_remembered_of_failures_is_bounded() -> None:
    scene = Scene()
    failures = scene.blames.of("engine x", "")
    for _ in range(1000):
        failures.failures.excuse(Status(Code.READ_ERROR, "gone"))
    assert len(failures.failures._known) <= 256
