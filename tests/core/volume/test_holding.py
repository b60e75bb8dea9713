"""Holding a volume's writes: beside a model, and rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, blame
from tierce import (
    GOOD,
    Capabilities,
    Completed,
    ConflictError,
    Event,
    Flag,
    Geometry,
    Job,
    Op,
    Request,
    Status,
    TemporaryError,
    UsageError,
)
from tierce.volume.boundary import Boundary
from tierce.volume.emulate import Emulator
from tierce.volume.holding import HoldArguments, Holding, ReleaseArguments, ReleaseResult

BLOCK = 512
SIZE = 64 * BLOCK


class Parking:
    """A device that parks everything until the test answers it."""

    def __init__(self) -> None:
        self.geometry = Geometry(SIZE, BLOCK, io_bytes_max=2 * BLOCK)
        self.capabilities = Capabilities()
        self.pending: list[tuple[Request, Completed]] = []
        self.seen: list[Request] = []
        self.quiet: list[Callable[[], None]] | None = None
        #: It answers inline.
        self.is_quick = False
        #: What the answer of another makes somebody do, once, while it takes a batch.
        self.meanwhile: Callable[[], None] | None = None

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.seen += batch
        if self.is_quick:
            for request in batch:
                request.status = GOOD
            return
        self.pending += [(request, completed) for request in batch]
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()

    def answer(self, index: int = 0) -> None:
        request, completed = self.pending.pop(index)
        request.status = GOOD
        completed([request])

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        if self.quiet is None:
            quiet()
        else:
            self.quiet.append(quiet)

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(GOOD)


@attrs.define(eq=False)
class Asked:
    """One call of an action, and its answer."""

    result: Any = None
    error: Exception | None = None
    is_answered: bool = False
    faults: list[str] = attrs.field(factory=list)

    def answered(self, result: Any, error: Exception | None) -> None:
        self.result, self.error, self.is_answered = result, error, True


class Scene:
    """A volume whose device answers when the test says so."""

    def __init__(self) -> None:
        self.reactor = cast("Any", FakeReactor())
        self.device = Parking()
        boundary = Boundary(self.device, Tally(), blame(self.reactor), self.reactor)
        self.emulator = Emulator(boundary)
        self.events: list[Event] = []
        self.holding = Holding(
            "work", self.emulator, boundary.completion, self.reactor, self.events.append
        )
        self.answered: list[Request] = []
        self.jobs: list[Job] = []

    def send(self, op: Op, block: int = 0, count: int = 1, **more: Any) -> Request:
        length = count * BLOCK
        size = 2 * length if op is Op.COMPARE_AND_WRITE else length
        has_buffer = op in (Op.READ, Op.WRITE, Op.COMPARE_AND_WRITE)
        buffer = memoryview(bytearray(size)) if has_buffer else None
        at = (block * BLOCK, length) if op is not Op.FLUSH else (0, 0)
        request = Request(op, *at, buffer, **more)
        self.emulator.submit([request], self.answered.extend)
        if request.status is not None:
            self.answered.append(request)
        return request

    def ask(self, action: str, arguments: Any) -> Asked:
        asked = Asked()
        job = Job(asked.answered, lambda _fraction, _text: None, asked.faults.append)
        self.jobs.append(job)
        try:
            self.holding.manage(action, arguments, job)
        except (UsageError, ConflictError, TemporaryError) as error:
            job.fail(error)
        self.reactor.turn()
        return asked

    def hold(self, name: str = "a", timeout_s: float = 10.0) -> Asked:
        return self.ask("hold", HoldArguments(name, timeout_s))

    def release(self, name: str = "a") -> Asked:
        return self.ask("release", ReleaseArguments(name))

    def answer_all(self) -> None:
        while self.device.pending:
            self.device.answer()
            self.reactor.turn()

    def pass_time(self, seconds: float) -> None:
        self.reactor.advance(seconds)


CHANGES = [Op.WRITE, Op.WRITE_ZEROES, Op.COMPARE_AND_WRITE]


@pytest.mark.parametrize("op", CHANGES)
def test_what_changes_bytes_waits_and_reads_and_flushes_go_on(op: Op) -> None:
    scene = Scene()
    assert scene.hold().is_answered
    change = scene.send(op)
    # What waits has not begun: a read of the same block finds what was there before.
    read, flush = scene.send(Op.READ), scene.send(Op.FLUSH)
    scene.answer_all()
    assert scene.device.seen == [read, flush]
    assert scene.answered == [read, flush]
    asked = scene.release()
    scene.answer_all()
    assert asked.result.waited_count == 1
    assert change.status is not None
    assert change.status.is_good
    assert len(scene.answered) == 3


@pytest.mark.parametrize("op", CHANGES)
def test_a_hold_is_answered_only_when_no_write_is_under_way(op: Op) -> None:
    scene = Scene()
    change = scene.send(op, count=6, flags=Flag.FUA)
    asked = scene.hold()
    while change.status is None:
        assert not asked.is_answered
        scene.device.answer()
        scene.reactor.turn()
    assert asked.is_answered
    assert asked.error is None


def test_a_hold_waits_for_a_write_that_waits_for_a_comparison() -> None:
    scene = Scene()
    scene.send(Op.COMPARE_AND_WRITE)
    write = scene.send(Op.WRITE)
    asked = scene.hold()
    while write.status is None:
        assert not asked.is_answered
        scene.device.answer()
        scene.reactor.turn()
    assert asked.is_answered


def test_a_hold_waits_for_what_the_device_has_given_up() -> None:
    scene = Scene()
    scene.device.quiet = []
    asked = scene.hold()
    assert not asked.is_answered
    scene.device.quiet.pop()()
    scene.reactor.turn()
    assert asked.is_answered


def test_a_hold_that_runs_out_lets_go_tells_it_and_refuses_its_release() -> None:
    scene = Scene()
    scene.hold(timeout_s=5.0)
    write = scene.send(Op.WRITE)
    scene.pass_time(4.9)
    assert not scene.device.seen
    scene.pass_time(0.2)
    assert scene.device.seen == [write]
    (event,) = scene.events
    assert event.code == "volume.hold.expired"
    assert "ran out after 5 s" in event.message
    assert event.fields == {"id": "a", "held_s": 5.0, "waited_count": 1}
    asked = scene.release()
    assert isinstance(asked.error, ConflictError)
    assert "had run out" in str(asked.error)


def test_what_the_device_answers_at_once_when_a_hold_ends_is_told() -> None:
    scene = Scene()
    scene.hold()
    write = scene.send(Op.WRITE)
    scene.device.is_quick = True
    scene.release()
    assert write.status is GOOD
    assert scene.answered == [write]


def test_a_hold_that_never_got_still_is_refused_when_it_runs_out() -> None:
    scene = Scene()
    scene.send(Op.WRITE)
    asked = scene.hold(timeout_s=1.0)
    scene.pass_time(1.0)
    assert isinstance(asked.error, TemporaryError)
    scene.answer_all()
    assert not asked.faults


def test_a_second_hold_and_a_wrong_name_are_refused() -> None:
    scene = Scene()
    assert isinstance(scene.release().error, UsageError)
    scene.hold("a")
    for asked in (scene.hold("b"), scene.hold("a")):
        assert isinstance(asked.error, ConflictError)
        assert "held already, by 'a'" in str(asked.error)
    assert "is not held by 'b': it is held by 'a'" in str(scene.release("b").error)
    assert scene.release("a").error is None
    assert "'a' was released before" in str(scene.release("a").error)
    assert isinstance(scene.hold("").error, UsageError)


def test_a_hold_whose_asker_goes_before_it_is_still_is_let_go() -> None:
    scene = Scene()
    scene.send(Op.WRITE)
    scene.hold()
    later = scene.send(Op.WRITE, 9)
    scene.jobs[-1].cancel()
    assert later in scene.device.seen


def test_a_target_that_closes_while_held_completes_everything() -> None:
    scene = Scene()
    scene.hold()
    writes = [scene.send(Op.WRITE, block) for block in range(3)]
    scene.holding.close()
    scene.answer_all()
    assert scene.answered == writes
    assert isinstance(scene.hold("b").error, TemporaryError)


def test_an_invalid_write_is_refused_at_once_though_the_volume_is_held() -> None:
    scene = Scene()
    scene.hold()
    write = scene.send(Op.WRITE, SIZE // BLOCK)
    assert write.status is not None
    assert not write.status.is_good


def test_a_write_that_comes_while_a_hold_ends_goes_behind_those_that_waited() -> None:
    scene = Scene()
    scene.hold()
    first, second = scene.send(Op.WRITE, 1), scene.send(Op.WRITE, 2)
    extra: list[Request] = []
    scene.device.meanwhile = lambda: extra.append(scene.send(Op.WRITE, 3))
    scene.release()
    assert scene.device.seen == [first, second, *extra]


STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(list(Op)), st.integers(0, 60), st.integers(1, 4)),
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("hold"), st.sampled_from("ab"), st.sampled_from([1.0, 5.0])),
    st.tuples(st.just("release"), st.sampled_from("ab")),
    st.tuples(st.just("time"), st.sampled_from([0.5, 2.0])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_write_is_acknowledged_while_held_and_all_are_afterwards_in_order(
    steps: list[tuple[Any, ...]],
) -> None:
    scene = Scene()
    sent: list[Request] = []
    still: dict[str, tuple[Asked, int]] = {}

    def changes() -> list[Request]:
        return [one for one in scene.answered if one.op not in (Op.READ, Op.FLUSH, Op.BLOCK_STATUS)]

    def is_held() -> bool:
        hold = scene.holding._hold
        return hold is not None and hold.job is None

    for kind, *what in steps:
        was_held, before = is_held(), len([one for one in changes() if one.status is GOOD])
        writes_below = [one for one in scene.device.seen if one.op is Op.WRITE]
        if kind == "send":
            op, block, count = what
            if op is Op.DISCARD:
                continue
            sent.append(scene.send(op, block, min(count, 64 - block)))
        elif kind == "answer" and what[0] < len(scene.device.pending):
            scene.device.answer(what[0])
            scene.reactor.turn()
        elif kind == "hold":
            still[what[0]] = (scene.hold(*what), 0)
        elif kind == "release":
            scene.release(what[0])
        elif kind == "time":
            scene.pass_time(what[0])
        if was_held and is_held():
            after = len([one for one in changes() if one.status is GOOD])
            assert after == before, "a write was acknowledged while held"
            now_below = [one for one in scene.device.seen if one.op is Op.WRITE]
            assert now_below == writes_below, "a write was under way while held"
    scene.pass_time(100.0)
    scene.answer_all()
    assert all(request.status is not None for request in sent)
    assert len(scene.answered) == len(sent)
    # Plain writes go down as they came, whether they waited or not.
    plain = [one for one in sent if one.op is Op.WRITE and one.length <= 2 * BLOCK]
    if all(one.op in (Op.WRITE, Op.READ, Op.FLUSH) for one in sent):
        assert [one for one in scene.device.seen if one in plain] == plain


def test_what_a_release_answers_says_how_long_and_how_many() -> None:
    scene = Scene()
    scene.hold()
    for block in range(3):
        scene.send(Op.WRITE, block)
    scene.pass_time(2.0)
    assert scene.release().result == ReleaseResult(2.0, 3)
