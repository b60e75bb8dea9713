"""What a device does not answer in time is told where it lies, once, and once when it is over."""

from __future__ import annotations

from typing import Any

import attrs

from core.fake_reactor import FakeReactor
from core.volume.model import blame
from tierce import GOOD, BaseDevice, Code, Event, Op, Request, Status
from tierce.volume.blame import Blame
from tierce.volume.stalls import AGAIN_S, CLOSE_TOLD_S, LATE_S, STALL_S, Stalls

NS = 1_000_000_000
MINUTE_S = 60


class Replicated(BaseDevice):
    """A device of replicas."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def waits_for(self) -> list[str]:
        return list(self.names)


class Confused(BaseDevice):
    def waits_for(self) -> list[str]:
        raise ValueError("whom?")


@attrs.define(eq=False)
class Scene:
    """One device's stage over a clock that goes with the loop's."""

    device: BaseDevice = attrs.field(factory=BaseDevice)
    trouble: str | None = None
    reactor: FakeReactor = attrs.field(factory=FakeReactor)
    events: list[Event] = attrs.field(factory=list)
    began: dict[Request, int] = attrs.field(factory=dict)
    blame: Blame = attrs.field(init=False)
    stalls: Stalls = attrs.field(init=False)
    below: Scene | None = None

    def __attrs_post_init__(self) -> None:
        if self.below is not None:
            self.reactor, self.events = self.below.reactor, self.below.events
        part = "engine bad" if self.below is None else "filter gate"
        self.blame = blame(self.reactor, self.events, part)
        self.stalls = Stalls(
            *(self.began, self.blame, self.reactor, self.clock, "device", self.device),
            trouble=lambda: self.trouble,
            below=None if self.below is None else self.below.stalls,
        )

    def clock(self) -> int:
        return int(self.reactor.time * NS)

    def submit(self, offset: int = 0) -> Request:
        request = Request(Op.WRITE, offset, 512)
        self.began[request] = self.clock()
        if not self.stalls.is_watching:
            self.stalls.watch()
        return request

    def answer(self, request: Request, status: Status | None = GOOD) -> None:
        request.status = status
        del self.began[request]

    def after(self, seconds: float) -> list[str]:
        """Let time pass; return the codes of what was told."""
        self.events.clear()
        self.reactor.advance(seconds)
        return [event.code for event in self.events]

    @property
    def fields(self) -> dict[str, Any]:
        return dict(self.events[-1].fields)


def test_what_waits_is_told_after_10_seconds_with_where_and_since_when() -> None:
    scene = Scene()
    scene.submit(4096)
    assert scene.after(STALL_S - 0.01) == []
    assert scene.after(0.02) == ["volume.io-stuck"]
    assert scene.fields == {
        "stage": "device",
        "waits_for": ["engine bad"],
        "operation": "write",
        "offset": 4096,
        "length": 512,
        "age_s": 10,
        "others": 0,
    }
    assert scene.events[0].subject == "volume/model"
    message = scene.events[0].message
    assert message.startswith("volume model: engine bad (plugin 'bad' (package tierce-bad)) does")
    assert "WRITE of 512 bytes at 4096 waits for 10 s, 1 requests" in message


def test_it_is_told_once_however_long_it_waits_and_counted_as_one_mistake() -> None:
    scene = Scene()
    scene.submit()
    assert scene.after(STALL_S) == ["volume.io-stuck"]
    assert scene.after(10 * MINUTE_S) == []
    assert scene.blame.count == 1


def test_when_it_is_over_that_is_told_with_how_long_and_how() -> None:
    scene = Scene()
    request = scene.submit(8192)
    scene.after(STALL_S + 20)
    scene.answer(request, Status(Code.WRITE_ERROR, "lost"))
    assert scene.after(AGAIN_S) == ["volume.io-moves"]
    assert (scene.fields["age_s"], scene.fields["how"]) == (31, "write error")
    assert "WRITE of 512 bytes at 8192 is over after 31 s: write error" in scene.events[0].message
    assert scene.after(MINUTE_S) == []
    assert not scene.stalls.is_watching, "nothing is pending, and nobody looks"


def test_of_many_the_oldest_is_told_with_the_number_of_the_others() -> None:
    scene = Scene()
    requests = [scene.submit(at * 512) for at in range(5)]
    assert scene.after(STALL_S) == ["volume.io-stuck"]
    assert (scene.fields["offset"], scene.fields["others"]) == (0, 4)
    scene.answer(requests[0])
    assert scene.after(MINUTE_S) == [], "others have waited as long, and still wait"
    for request in requests[1:]:
        scene.answer(request)
    assert scene.after(AGAIN_S) == ["volume.io-moves"]
    assert (scene.fields["age_s"], scene.fields["others"]) == (11, 4)


def test_a_load_that_goes_on_is_not_stuck() -> None:
    scene = Scene()
    last = scene.submit()
    for _ in range(30):
        following = scene.submit()
        scene.answer(last)
        last = following
        assert scene.after(STALL_S / 2) == []


def test_whom_a_device_names_has_it_and_is_no_plugins_mistake() -> None:
    scene = Scene(Replicated("replica-2", "replica-3"))
    scene.submit()
    assert scene.after(STALL_S) == ["volume.io-stuck"]
    assert scene.fields["waits_for"] == ["replica-2", "replica-3"]
    assert "engine bad waits for replica-2, replica-3; WRITE" in scene.events[0].message
    assert scene.blame.count == 0


def test_why_an_engine_lets_it_wait_is_told_and_is_no_mistake() -> None:
    scene = Scene(trouble="too few replicas answer")
    scene.submit()
    scene.after(STALL_S)
    assert scene.events[0].message.endswith("1 requests in all: too few replicas answer")
    assert scene.blame.count == 0


def test_a_device_that_fails_when_it_is_asked_whom_it_waits_for_is_told_as_that_too() -> None:
    scene = Scene(Confused())
    scene.submit()
    assert scene.after(STALL_S) == ["volume.plugin-failed", "volume.io-stuck"]
    assert "raised in waits_for: ValueError: whom?" in scene.events[0].message


def test_what_lies_deeper_is_told_there_alone() -> None:
    below = Scene()
    above = Scene(below=below)
    # The filter's began first, and is looked at first.
    above.submit()
    below.submit()
    assert below.after(STALL_S) == ["volume.io-stuck"]
    assert "engine bad" in below.events[0].message
    assert below.after(MINUTE_S) == []


def test_what_a_filter_keeps_while_the_engine_answers_is_told_of_the_filter() -> None:
    below = Scene()
    above = Scene(below=below)
    above.submit()
    below.submit()
    assert below.after(STALL_S) == ["volume.io-stuck"]
    below.answer(next(iter(below.began)))
    assert sorted(below.after(AGAIN_S)) == ["volume.io-moves", "volume.io-stuck"]
    (stuck,) = [event for event in below.events if event.code == "volume.io-stuck"]
    assert "filter gate" in stuck.message


def test_a_process_that_stood_still_itself_takes_first_what_has_come_meanwhile() -> None:
    scene = Scene()
    request = scene.submit()
    scene.reactor.oversleep(STALL_S + LATE_S + 20)
    assert scene.events == []
    scene.answer(request)
    assert scene.after(MINUTE_S) == []


def test_a_volume_that_is_closed_has_nothing_stuck() -> None:
    scene = Scene()
    scene.submit()
    scene.after(STALL_S)
    scene.began.clear()
    scene.stalls.close()
    assert scene.fields["how"] == "the volume was closed"
    assert scene.after(MINUTE_S) == []


def test_a_close_is_told_before_an_operator_looks() -> None:
    assert CLOSE_TOLD_S < STALL_S
