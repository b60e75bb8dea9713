"""What is pending in a volume is named without a cost to any I/O: where, since when, and why."""

from __future__ import annotations

from typing import Any, cast

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, blame
from core.volume.test_holding import BLOCK, Parking
from tierce import GOOD, Completed, Flag, Geometry, Job, Op, Request
from tierce.tracing import Trace
from tierce.volume.boundary import Boundary
from tierce.volume.emulate import Emulator
from tierce.volume.holding import HoldArguments, Holding
from tierce.volume.target_part import PENDING_COUNT_MAX, PendingIo, PendingResult, TargetPart


class Halves:
    """A filter that makes two requests of each, and can keep what comes."""

    def __init__(self, below: Boundary) -> None:
        self.geometry: Geometry = below.geometry
        self.capabilities = below.capabilities
        self._below = below
        self.is_keeping = False

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch if not self.is_keeping else ():
            half = request.length // 2
            first = request.derive(request.op, request.offset, half, request.buffer)
            second = request.derive(request.op, request.offset + half, half, request.buffer)
            left = [first, second]

            def over(
                done: list[Request], request: Request = request, left: list[Request] = left
            ) -> None:
                for one in done:
                    left.remove(one)
                if not left:
                    request.status = GOOD
                    completed([request])

            self._below.submit([first, second], over)

    def close(self, closed: Any) -> None:
        closed(GOOD)


class Waiting(Parking):
    """A device that says for whom it waits."""

    def waits_for(self) -> list[str]:
        return ["replica-2"]


class Scene:
    """A volume with a filter, whose device answers when the test says so."""

    def __init__(self) -> None:
        self.reactor = cast("Any", FakeReactor())
        self.device = Waiting()
        self.now_ns = 1_000
        more = {"clock": lambda: self.now_ns}
        below = Boundary(
            *(self.device, Tally(), blame(self.reactor), self.reactor),
            trouble=lambda: "a majority is away",
            **cast("Any", more),
        )
        self.filter = Halves(below)
        above = Boundary(
            *(self.filter, Tally(), blame(self.reactor), self.reactor),
            below=below,
            name="filter.halves",
            **cast("Any", more),
        )
        self.emulator = Emulator(above)
        self.holding = Holding(
            "demo", self.emulator, above.completion, self.reactor, lambda _event: None
        )
        self.part = TargetPart(self.holding, [below, above], self.reactor.now)

    def send(self, op: Op = Op.WRITE, block: int = 0, **more: Any) -> Request:
        buffer = memoryview(bytearray(2 * BLOCK))
        request = Request(op, block * BLOCK, 2 * BLOCK, buffer, **more)
        self.emulator.submit([request], lambda _requests: None)
        return request

    def pending(self) -> PendingResult:
        found: list[Any] = []
        job = Job(
            lambda result, _error: found.append(result),
            lambda _fraction, _text: None,
            found.append,
        )
        self.part.manage("pending", None, job)
        (result,) = found
        assert isinstance(result, PendingResult)
        return result


def test_nothing_is_pending_where_nothing_is() -> None:
    assert Scene().pending() == PendingResult(0)


def test_each_is_told_in_the_lowest_stage_that_has_it_with_whom_it_waits_for() -> None:
    scene = Scene()
    scene.send(block=4)
    scene.now_ns += 2_000_000_000
    found = scene.pending()
    assert found.count == 2
    assert found.items[0] == PendingIo(
        *("write", 4 * BLOCK, BLOCK, 2.0, "device", ("replica-2",), "a majority is away")
    )
    scene.device.answer()
    scene.device.answer()
    assert scene.pending().count == 0


def test_what_a_filter_keeps_is_told_of_the_filter() -> None:
    scene = Scene()
    scene.filter.is_keeping = True
    scene.send(Op.READ)
    (one,) = scene.pending().items
    assert (one.stage, one.operation, one.length) == ("filter.halves", "read", 2 * BLOCK)
    assert (one.waits_for, one.why) == ((), "")


def test_what_is_followed_is_told_once_as_well() -> None:
    scene = Scene()
    request = Request(Op.READ, 0, 2 * BLOCK, memoryview(bytearray(2 * BLOCK)))
    request.trace = Trace(is_sampled=True)
    scene.emulator.submit([request], lambda _requests: None)
    assert [one.stage for one in scene.pending().items] == ["device", "device"]


def test_what_a_hold_keeps_is_told_with_the_hold() -> None:
    scene = Scene()
    job = Job(lambda _result, _error: None, lambda _fraction, _text: None, lambda _what: None)
    scene.part.manage("hold", HoldArguments("copy", 10.0), job)
    scene.reactor.turn()
    scene.send(flags=Flag(0))
    (one,) = scene.pending().items
    assert (one.stage, one.why) == ("hold", "the volume is held by 'copy'")


def test_the_oldest_come_first_and_more_than_an_answer_has_room_for_are_counted() -> None:
    scene = Scene()
    for number in range(PENDING_COUNT_MAX):
        scene.now_ns += 1_000_000
        scene.send(block=2 * (number % 8))
    found = scene.pending()
    assert found.count == 2 * PENDING_COUNT_MAX
    assert len(found.items) == PENDING_COUNT_MAX
    ages = [one.age_s for one in found.items]
    assert ages == sorted(ages, reverse=True)


def test_its_actions_are_those_of_holds_and_one_that_changes_nothing() -> None:
    actions = {one.name: one for one in Scene().part.actions()}
    assert list(actions) == ["hold", "release", "pending"]
    assert actions["pending"].is_repeatable
    assert not actions["pending"].is_long
