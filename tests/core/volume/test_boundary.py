"""Between core and a plugin: everything is counted once, and no mistake costs more than its I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, blame
from core.volume.scripted import Scripted, bounded, requests
from tierce import (
    GOOD,
    BaseDevice,
    Capabilities,
    Code,
    Completed,
    Device,
    Event,
    Filter,
    Flag,
    Geometry,
    Op,
    Request,
    Status,
    Tracer,
)
from tierce.tracing import UNNUMBERED
from tierce.volume.boundary import Boundary
from tierce.volume.stalls import STALL_S

# -- default-deny ----------------------------------------------------------------------------------


class Noting(BaseDevice):
    """Answers everything, and notes it."""

    def __init__(self, capabilities: Capabilities | None = None) -> None:
        self.geometry = Geometry(1 << 20)
        self.capabilities = capabilities or Capabilities(Flag.FUA, True, True, True, True)
        self.batches: list[list[Request]] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.batches.append(batch)
        for request in batch:
            request.status = GOOD


def over(device: Device, *operations: Op, flags: Flag | None = None) -> Boundary:
    reactor = FakeReactor(by_hand=True)
    known = operations or None
    return Boundary(device, Tally(), blame(reactor), reactor, operations=known, flags=flags)


BASIC = (Op.READ, Op.WRITE, Op.FLUSH)


def unreported(_requests: list[Request]) -> None:
    pytest.fail("reported again")


def test_what_is_known_is_passed_on_as_the_batch_that_it_is() -> None:
    below, batch = Noting(), [Request(Op.READ, 0, 512), Request(Op.FLUSH)]
    over(below, *BASIC).submit(batch, unreported)
    assert below.batches[0] is batch


def test_what_is_not_known_is_refused_and_the_rest_of_the_batch_goes_on() -> None:
    below = Noting()
    read, discard = Request(Op.READ, 0, 512), Request(Op.DISCARD, 0, 512)
    over(below, *BASIC).submit([discard, read], unreported)
    assert below.batches == [[read]]
    assert discard.status is not None
    assert discard.status.code is Code.UNSUPPORTED
    assert discard.status.reason == "engine bad was not built for DISCARD"


def test_a_batch_of_which_nothing_is_known_never_reaches_the_device() -> None:
    below = Noting()
    over(below, *BASIC).submit([Request(Op.DISCARD, 0, 512)], unreported)
    assert not below.batches


@pytest.mark.parametrize("op", [Op.DISCARD, Op.WRITE_ZEROES, Op.COMPARE_AND_WRITE, Op.BLOCK_STATUS])
def test_a_capability_is_shown_only_if_the_filter_knows_it(op: Op) -> None:
    assert not over(Noting(), *BASIC).capabilities.does(op)
    assert over(Noting(), *BASIC, op).capabilities.does(op)


def test_a_flag_that_was_not_named_never_reaches_the_device() -> None:
    below, write = Noting(), Request(Op.WRITE, 0, 512, flags=Flag.FUA)
    over(below, *BASIC, flags=Flag.NO_HOLE).submit([write], unreported)
    assert not below.batches
    assert write.status is not None
    assert write.status.code is Code.UNSUPPORTED


def test_a_flag_that_filter_and_device_know_is_shown_and_passed_on() -> None:
    below, write = Noting(), Request(Op.WRITE, 0, 512, flags=Flag.FUA)
    top = over(below, *BASIC, flags=Flag.FUA | Flag.NO_HOLE)
    assert top.capabilities.flags == Flag.FUA, "the device knows no NO_HOLE"
    top.submit([write], unreported)
    assert write.status is GOOD


# -- mistakes --------------------------------------------------------------------------------------


class Parking(BaseDevice):
    """Parks everything until the test answers it."""

    def __init__(self) -> None:
        self.geometry = Geometry(1 << 20)
        self.pending: list[Request] = []
        self.completed: Completed = unreported

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.pending += batch
        self.completed = completed

    def answer(self, status: Any = GOOD) -> None:
        pending, self.pending = self.pending, []
        for request in pending:
            request.status = status
        self.completed(pending)


def statuses(batch: list[Request]) -> list[Code | None]:
    return [request.status.code if request.status else None for request in batch]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
def test_what_raises_in_submit_is_answered_and_told_once(error: BaseException) -> None:
    class Raising(Noting):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            batch[0].status = GOOD
            raise error

    events, batch = list[Event](), requests(Op.WRITE, 3)
    boundary = bounded(Raising(), Tally(), events)
    boundary.submit(batch, unreported)
    assert statuses(batch) == [Code.GOOD, Code.WRITE_ERROR, Code.WRITE_ERROR]
    boundary.submit(requests(Op.WRITE, 1), unreported)
    (event,) = events
    assert event.severity == "error"
    assert event.message.startswith(
        "volume model: engine bad (plugin 'bad' (package tierce-bad)) raised in submit"
    )
    assert "2 requests are answered with an error" in event.message


def test_a_submit_that_is_a_promise_has_done_nothing() -> None:
    class Later(Noting):
        def submit(self, batch: list[Request], completed: Completed) -> Any:
            return object()

    events, batch = list[Event](), requests(Op.READ, 1)
    bounded(Later(), Tally(), events).submit(batch, unreported)
    assert statuses(batch) == [Code.READ_ERROR]
    assert "returned something from submit" in events[0].message


def test_a_request_that_is_completed_twice_is_reported_once() -> None:
    device, events, answered = Parking(), list[Event](), list[Request]()
    batch = requests(Op.READ, 2)
    bounded(device, Tally(), events).submit(batch, answered.extend)
    device.answer()
    device.completed([batch[0]])
    assert answered == batch
    assert "completed a request twice" in events[0].message


def test_a_request_that_is_completed_within_submit_is_answered_by_its_status_alone() -> None:
    class Hasty(Noting):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            super().submit(batch, completed)
            completed(batch)

    events, batch = list[Event](), requests(Op.WRITE, 2)
    bounded(Hasty(), Tally(), events).submit(batch, unreported)
    assert statuses(batch) == [Code.GOOD, Code.GOOD]
    assert "from within submit" in events[0].message


@pytest.mark.parametrize("status", [None, 0, "good", OSError()])
def test_a_request_that_is_completed_without_a_status_is_an_error(status: Any) -> None:
    device, events, answered = Parking(), list[Event](), list[Request]()
    batch = requests(Op.READ, 1)
    bounded(device, Tally(), events).submit(batch, answered.extend)
    device.answer(status)
    assert answered == batch
    assert statuses(batch) == [Code.READ_ERROR]
    assert "without a status" in events[0].message


def test_a_request_that_is_answered_with_no_status_of_ours_is_an_error() -> None:
    wrong: Any = "good"
    events, batch = list[Event](), requests(Op.WRITE, 1)
    bounded(Scripted(wrong), Tally(), events).submit(batch, unreported)
    assert statuses(batch) == [Code.WRITE_ERROR]
    assert len(events) == 1


def test_what_is_completed_after_the_close_is_dropped() -> None:
    device, events, closed = Parking(), list[Event](), list[Status]()
    boundary = bounded(device, Tally(), events)
    boundary.submit(requests(Op.READ, 1), unreported)
    boundary.close(closed.append)
    device.answer()
    assert closed == [GOOD]
    assert "after it was closed" in events[0].message


def test_a_close_that_raises_is_a_close_with_an_error() -> None:
    class Stuck(Noting):
        def close(self, closed: Callable[[Status], None]) -> None:
            raise ValueError("no")

    closed = list[Status]()
    boundary = bounded(Stuck(), Tally())
    boundary.close(closed.append)
    boundary.close(closed.append)
    assert [status.code for status in closed] == [Code.WRITE_ERROR, Code.GOOD]


def test_a_device_that_closes_twice_has_closed_once() -> None:
    class Twice(Noting):
        def close(self, closed: Callable[[Status], None]) -> None:
            closed(GOOD)
            closed(GOOD)

    closed, events = list[Status](), list[Event]()
    bounded(Twice(), Tally(), events).close(closed.append)
    assert closed == [GOOD]
    assert "said twice" in events[0].message


# -- a filter and what lies below it ---------------------------------------------------------------


class Stack:
    """A filter over a device that parks."""

    def __init__(self, kind: type[Filter]) -> None:
        self.device, self.events, self.answered = Parking(), list[Event](), list[Request]()
        self.now_ns = 1
        self.reactor = reactor = FakeReactor(by_hand=True)
        below = Boundary(
            self.device,
            Tally(),
            blame(reactor, self.events, "device"),
            reactor,
            clock=lambda: self.now_ns,
        )
        self.top = Boundary(
            kind(None, below),
            Tally(),
            blame(reactor, self.events, "filter"),
            reactor,
            below=below,
            clock=lambda: self.now_ns,
        )

    def submit(self, count: int) -> list[Request]:
        batch = requests(Op.READ, count)
        self.top.submit(batch, self.answered.extend)
        return batch


def test_what_a_filter_passed_on_before_it_raised_is_answered_when_its_buffer_is_free() -> None:
    class PassesAndRaises(Filter):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            super().submit(batch[:1], completed)
            raise ValueError("no")

    stack = Stack(PassesAndRaises)
    first, second = stack.submit(2)
    assert statuses([first, second]) == [None, Code.READ_ERROR]
    stack.device.answer()
    assert statuses([first]) == [Code.READ_ERROR]
    assert stack.answered == [first]
    assert len(stack.events) == 1


def test_a_filter_that_raises_when_it_is_answered_costs_what_it_was_answered() -> None:
    class RaisesLater(Filter):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            self.below.submit(batch, self._fail)

        def _fail(self, _requests: list[Request]) -> None:
            raise ValueError("no")

    stack = Stack(RaisesLater)
    batch = stack.submit(2)
    stack.device.answer()
    assert stack.answered == batch
    assert statuses(batch) == [Code.READ_ERROR, Code.READ_ERROR]
    assert "raised when it was answered" in stack.events[0].message


def test_core_closes_what_lies_below_a_filter_and_tells_what_failed() -> None:
    stack, closed = Stack(Filter), list[Status]()
    lost = Status(Code.WRITE_ERROR, "lost")
    order: list[str] = []

    def close(done: Callable[[Status], None]) -> None:
        order.append("device")
        done(lost)

    stack.device.close = close  # type: ignore[method-assign, assignment]
    stack.top.close(closed.append)
    assert (order, closed) == (["device"], [lost])


def test_a_deferred_batch_is_answered_by_the_rules() -> None:
    class Defers(Filter):
        later: Callable[[], None]

        def submit(self, batch: list[Request], completed: Completed) -> None:
            self.later = lambda: self.pass_on(batch, completed)

    below, answered, batch = Noting(), list[Request](), requests(Op.READ, 2)
    own = Defers(None, bounded(below, Tally()))
    top = bounded(own, Tally())
    top.submit(batch, answered.extend)
    assert answered == []
    own.later()
    assert answered == batch
    assert statuses(batch) == [Code.GOOD, Code.GOOD]


# -- what does not come back -----------------------------------------------------------------------


def test_what_is_not_answered_in_time_is_told_by_the_lowest_that_has_it() -> None:
    stack = Stack(Filter)
    stack.submit(3)
    assert stack.top.stalls.oldest_ns == 0
    stack.now_ns += 11_000_000_000
    stack.reactor.advance(STALL_S)
    (event,) = stack.events
    assert event.message.startswith("volume model: device (")
    assert "does not answer; READ of 512 bytes at 0 waits for 11 s, 3 requests" in event.message


def test_a_filter_that_hangs_is_told_though_what_lies_below_answers() -> None:
    class Hangs(Filter):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            """Forget it."""

    stack = Stack(Hangs)
    stack.submit(1)
    stack.now_ns += 11_000_000_000
    stack.reactor.advance(STALL_S)
    (event,) = stack.events
    assert event.message.startswith("volume model: filter (")


def test_what_is_answered_in_time_is_not_told_and_leaves_no_timer() -> None:
    stack = Stack(Filter)
    stack.submit(1)
    stack.device.answer()
    stack.now_ns += 11_000_000_000
    stack.reactor.advance(STALL_S)
    assert stack.events == []
    assert all(timer.due > stack.reactor.now() + STALL_S for timer in stack.reactor.timers)


def test_a_close_that_does_not_come_back_is_told() -> None:
    class Stuck(Noting):
        def close(self, closed: Callable[[Status], None]) -> None:
            """Never."""

    reactor, events = FakeReactor(by_hand=True), list[Event]()
    Boundary(Stuck(), Tally(), blame(reactor, events), reactor).close(lambda _status: None)
    reactor.advance(STALL_S)
    assert "does not close" in events[0].message


# -- who was slow ----------------------------------------------------------------------------------


def test_a_slow_device_leaves_its_stamp_on_what_it_answers_at_once_late_or_with_an_error() -> None:
    tracer = Tracer(lambda _io: None, slow_ns=8000)
    now = 0

    class Slow(Scripted):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            nonlocal now
            now += 5000
            super().submit(batch, completed)

    below, reactor = Slow(), FakeReactor(by_hand=True)
    top = Boundary(
        *(below, Tally(), blame(reactor), reactor),
        tracer=tracer,
        name="filter.x",
        clock=lambda: now,
    )
    batch = [*requests(Op.WRITE, 1), *requests(Op.READ, 1)]
    top.submit(batch[:1], unreported)
    top.submit(batch, lambda _requests: None)
    assert [request.trace and len(request.trace.stamps) for request in batch] == [2, None]
    now += 1
    batch[1].status = Status(Code.READ_ERROR, "lost")
    below.completed[-1]([batch[1]])
    assert batch[1].trace.stamps == [("filter.x", "", 5000, 5001, UNNUMBERED)]


def test_a_quick_device_leaves_nothing() -> None:
    tracer, reactor = Tracer(lambda _io: None), FakeReactor(by_hand=True)
    batch = requests(Op.WRITE, 3)
    Boundary(Noting(), Tally(), blame(reactor), reactor, tracer=tracer).submit(batch, unreported)
    assert [request.trace for request in batch] == [None] * 3
