"""Simple devices: where their calls run, and what becomes of what they raise."""

from __future__ import annotations

import errno
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, blame
from tierce import (
    EXTENT_COUNT_MAX,
    GOOD,
    Code,
    Concurrency,
    DeviceError,
    Event,
    Extent,
    Geometry,
    Op,
    Request,
    Stage,
    Status,
    Tracer,
    explain,
)
from tierce.process.epoll import EpollReactor
from tierce.tracing import UNNUMBERED
from tierce.volume.simple import Simple, SimpleAdapter

SIZE = 64 << 10


class Noting:
    """Notes the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.threads: set[int] = set()
        self.error: Exception | None = None

    def read(self, offset: int, buffer: memoryview) -> None:
        self._note("read", offset)
        buffer[:] = b"r" * len(buffer)

    def write(self, offset: int, data: memoryview) -> None:
        assert data.readonly
        self._note("write", offset)

    def _note(self, name: str, offset: int) -> None:
        self.calls.append((name, offset))
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error


class Full(Noting):
    """Does all that a simple device can."""

    found: tuple[Extent, ...] = (Extent(0, 512, is_hole=True), Extent(512, 512, is_hole=False))

    def flush(self) -> None:
        self._note("flush", 0)

    def discard(self, offset: int, length: int) -> None:
        self._note("discard", offset)

    def write_zeroes(self, offset: int, length: int) -> None:
        self._note("write_zeroes", offset)

    def extents(self, offset: int, length: int) -> tuple[Extent, ...]:
        return self.found

    def close(self) -> None:
        self._note("close", 0)


@pytest.fixture
def reactor() -> Any:
    loop = FakeReactor(by_hand=True)
    yield loop
    loop.close()


def adapted(
    simple: Simple,
    reactor: FakeReactor,
    concurrency: Concurrency = Concurrency.PARALLEL,
    events: list[Event] | None = None,
    stage: Callable[[str], Stage] = lambda _name: Tally(),
    tracer: Tracer | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> SimpleAdapter:
    return SimpleAdapter(
        simple,
        Geometry(SIZE),
        concurrency,
        durable=True,
        engine="noting",
        reactor=reactor,
        lane=reactor.lane() if concurrency is Concurrency.SERIAL else None,
        blame=blame(reactor, events),
        stage=stage,
        tracer=tracer,
        clock=clock,
    )


def read(offset: int) -> Request:
    return Request(Op.READ, offset, 512, memoryview(bytearray(512)))


def write(offset: int) -> Request:
    return Request(Op.WRITE, offset, 512, memoryview(bytes(512)))


def nothing(_requests: list[Request]) -> None:
    pytest.fail("was answered within submit")


def test_an_inline_device_is_called_on_the_data_thread_and_answers_at_once(
    reactor: FakeReactor,
) -> None:
    simple, batch = Noting(), [write(0), read(0), Request(Op.FLUSH)]
    adapted(simple, reactor, Concurrency.INLINE).submit(batch, nothing)
    assert all(request.status is not None and request.status.is_good for request in batch)
    assert simple.threads == {threading.get_ident()}


def test_a_serial_device_has_one_call_under_way_and_in_order(reactor: FakeReactor) -> None:
    simple, completed = Noting(), list[Request]()
    batch = [write(0), read(4096), Request(Op.FLUSH), write(8192)]
    adapted(simple, reactor, Concurrency.SERIAL).submit(batch, completed.extend)
    while reactor.work:
        assert len(reactor.work) == 1
        reactor.work_off()
    assert completed == batch


def test_a_parallel_device_has_all_calls_under_way_that_do_not_overlap(
    reactor: FakeReactor,
) -> None:
    simple, completed = Noting(), list[Request]()
    batch = [write(0), write(4096), read(0), write(0), Request(Op.FLUSH), read(4096)]
    adapted(simple, reactor).submit(batch, completed.extend)
    assert len(reactor.work) == 3, "two writes, and the flush, which waits for neither"
    while reactor.work:
        reactor.work_off()
    on_first_block = [call for call in simple.calls if call[1] == 0]
    assert on_first_block == [("write", 0), ("read", 0), ("write", 0)]
    assert len(completed) == len(batch)


def test_readers_of_one_extent_run_at_once(reactor: FakeReactor) -> None:
    adapted(Noting(), reactor).submit([read(0), read(0)], nothing)
    assert len(reactor.work) == 2
    reactor.work.clear()


@pytest.mark.parametrize(
    ("request_", "error", "code"),
    [
        (write(512), OSError(errno.ENOSPC, "full"), Code.NO_SPACE),
        (write(512), OSError(errno.EDQUOT, "full"), Code.NO_SPACE),
        (write(512), OSError(errno.EIO, "lost"), Code.WRITE_ERROR),
        (read(512), OSError(errno.EIO, "lost"), Code.READ_ERROR),
        (read(512), ZeroDivisionError("a bug"), Code.READ_ERROR),
        (write(512), DeviceError(Status(Code.NOT_READY, "wait")), Code.NOT_READY),
    ],
)
def test_what_a_call_raises_becomes_a_status(
    reactor: FakeReactor, request_: Request, error: Exception, code: Code
) -> None:
    simple = Noting()
    simple.error = error
    again = Request(request_.op, request_.offset, request_.length, request_.buffer)
    adapted(simple, reactor, Concurrency.INLINE).submit([again], nothing)
    assert again.status is not None
    assert again.status.code is code
    if not isinstance(error, DeviceError):
        assert again.status.reason.startswith("engine noting: ")
        assert again.status.reason.endswith(f"of 512 bytes at 512 failed: {explain(error)}")
        assert again.status.offset == 512


def test_a_call_that_raises_is_never_answered_as_good(reactor: FakeReactor) -> None:
    class Cheerful(Noting):
        def write(self, offset: int, data: memoryview) -> None:
            raise DeviceError(GOOD)

    request = write(512)
    adapted(Cheerful(), reactor, Concurrency.INLINE).submit([request], nothing)
    assert request.status is not None
    assert request.status.code is Code.WRITE_ERROR
    assert "a DeviceError needs a status that says what failed" in request.status.reason


def test_a_failed_call_lets_those_go_on_that_waited_for_it(reactor: FakeReactor) -> None:
    simple, completed = Noting(), list[Request]()
    simple.error = OSError(errno.EIO, "lost")
    adapted(simple, reactor).submit([write(0), write(0)], completed.extend)
    reactor.work_off(2)
    assert len(completed) == 2


def test_a_capability_is_the_presence_of_a_method(reactor: FakeReactor) -> None:
    least, most = adapted(Noting(), reactor).capabilities, adapted(Full(), reactor).capabilities
    for op in (Op.DISCARD, Op.WRITE_ZEROES, Op.BLOCK_STATUS):
        assert not least.does(op)
        assert most.does(op)
    assert least.does(Op.FLUSH), "nothing to flush is flushed"


@pytest.mark.parametrize("op", [Op.DISCARD, Op.WRITE_ZEROES, Op.FLUSH])
def test_each_operation_is_its_method(reactor: FakeReactor, op: Op) -> None:
    simple = Full()
    asked = Request(op) if op is Op.FLUSH else Request(op, 0, 1024)
    adapted(simple, reactor, Concurrency.INLINE).submit([asked], nothing)
    assert simple.calls == [(op.name.lower(), 0)]


def test_extents_are_handed_on(reactor: FakeReactor) -> None:
    asked = Request(Op.BLOCK_STATUS, 0, 1024)
    adapted(Full(), reactor, Concurrency.INLINE).submit([asked], nothing)
    assert asked.extents == Full.found


@pytest.mark.parametrize(
    "found",
    [(), (Extent(0, 512, is_hole=True),), (Extent(512, 512, is_hole=True),)],
)
def test_extents_that_leave_a_gap_are_an_error_of_the_engine(
    reactor: FakeReactor, found: tuple[Extent, ...]
) -> None:
    simple, asked = Full(), Request(Op.BLOCK_STATUS, 0, 1024)
    simple.found = found
    adapted(simple, reactor, Concurrency.INLINE).submit([asked], nothing)
    assert asked.status is not None
    assert not asked.status.is_good
    assert asked.extents == ()


def test_no_more_extents_are_taken_than_one_answer_may_have(reactor: FakeReactor) -> None:
    size = 512 * 2 * EXTENT_COUNT_MAX
    made: list[int] = []

    class Fragmented(Noting):
        def extents(self, offset: int, length: int) -> Iterator[Extent]:
            for at in range(offset, offset + length, 512):
                made.append(at)
                yield Extent(at, 512, is_hole=bool(at // 512 % 2))

    asked = Request(Op.BLOCK_STATUS, 0, size)
    adapted(Fragmented(), reactor, Concurrency.INLINE).submit([asked], nothing)
    assert asked.status is GOOD
    assert len(asked.extents) == len(made) == EXTENT_COUNT_MAX


def test_closing_closes_the_engines_device_on_a_worker(reactor: FakeReactor) -> None:
    simple, closed = Full(), list[Status]()
    adapted(simple, reactor).close(closed.append)
    assert not closed
    reactor.work_off()
    assert simple.calls == [("close", 0)]
    assert closed[0].is_good


def test_a_close_that_raises_is_reported(reactor: FakeReactor) -> None:
    simple, closed = Full(), list[Status]()
    simple.error = OSError(errno.EIO, "lost")
    adapted(simple, reactor).close(closed.append)
    reactor.work_off()
    assert closed[0] == Status(Code.WRITE_ERROR, "engine noting failed to close: lost")


def test_a_device_without_close_is_closed_at_once(reactor: FakeReactor) -> None:
    closed: list[Status] = []
    adapted(Noting(), reactor).close(closed.append)
    assert closed[0].is_good


class Returning(Noting):
    """Does as many would: `read` returns the bytes."""

    def read(self, offset: int, buffer: memoryview) -> Any:
        return b"r" * len(buffer)


def test_a_read_that_returns_its_bytes_is_an_error_and_is_told(reactor: FakeReactor) -> None:
    asked, events = read(512), list[Event]()
    adapted(Returning(), reactor, Concurrency.INLINE, events).submit([asked], nothing)
    assert asked.status is not None
    assert asked.status.code is Code.READ_ERROR
    (event,) = events
    assert "returned something in READ" in event.message
    assert "tierce-bad" in event.message


class Lazy(Noting):
    """Its write is a coroutine function in disguise: it does nothing until it is awaited."""

    def write(self, offset: int, data: memoryview) -> Any:
        return self._later()

    def _later(self) -> Iterator[None]:
        yield


def test_a_write_that_promises_to_do_it_later_is_an_error(reactor: FakeReactor) -> None:
    asked, events = write(512), list[Event]()
    adapted(Lazy(), reactor, Concurrency.INLINE, events).submit([asked], nothing)
    assert asked.status is not None
    assert asked.status.code is Code.WRITE_ERROR
    assert len(events) == 1


@pytest.mark.parametrize("concurrency", [Concurrency.INLINE, Concurrency.SERIAL])
def test_an_engine_that_would_end_the_process_costs_the_request(
    reactor: FakeReactor, concurrency: Concurrency
) -> None:
    class Ending(Noting):
        def read(self, offset: int, buffer: memoryview) -> None:
            raise SystemExit(1)

    asked, events = read(0), list[Event]()
    adapted(Ending(), reactor, concurrency, events).submit([asked], lambda _requests: None)
    while reactor.work:
        reactor.work_off()
    assert asked.status is not None
    assert asked.status.code is Code.READ_ERROR
    assert "SystemExit" in events[0].message


def test_what_the_medium_does_is_no_mistake_of_the_plugin(reactor: FakeReactor) -> None:
    simple, events = Noting(), list[Event]()
    simple.error = OSError(errno.EIO, "lost")
    adapted(simple, reactor, Concurrency.INLINE, events).submit([read(0)], nothing)
    assert events == []


def test_what_waits_for_a_thread_and_what_the_method_takes_are_counted_apart() -> None:
    stages: defaultdict[str, Tally] = defaultdict(Tally)
    reactor, simple = FakeReactor(by_hand=True), Noting()
    # Each look at the clock is 100 ns later.
    clock = itertools.count(0, 100).__next__
    adapter = adapted(simple, reactor, stage=stages.__getitem__, clock=clock)
    adapter.submit([write(0), write(512)], lambda _requests: None)
    reactor.work_off(2)
    # Submitted at 0 and 100; called from 200 to 300 and from 400 to 500.
    wait, call = stages["wait"], stages["call"]
    assert (wait.ages, call.ages) == ([(200, 1), (300, 1)], [(100, 1), (100, 1)])
    assert wait.added == call.added == [(Op.WRITE, 1, 512)] * 2
    simple.error = DeviceError(Status(Code.WRITE_ERROR, "worn out"))
    adapter.submit([write(0)], lambda _requests: None)
    reactor.work_off()
    assert (wait.failed, call.failed) == ([], [Op.WRITE])


def test_what_is_called_on_the_data_thread_waits_for_nothing_and_has_no_stages() -> None:
    def stage(name: str) -> Stage:
        raise AssertionError(name)

    adapted(Noting(), FakeReactor(), Concurrency.INLINE, stage=stage).submit(
        [write(0)], lambda _requests: None
    )


def test_what_a_serial_device_is_called_for_besides_has_its_turn_among_the_io(
    reactor: FakeReactor,
) -> None:
    simple = Noting()
    device = adapted(simple, reactor, Concurrency.SERIAL)
    ended: list[Any] = []
    device.submit([write(0)], lambda _requests: None)
    device.call(lambda: simple.calls.append(("manage", 0)), lambda *answer: ended.append(answer))
    device.submit([write(512)], lambda _requests: None)
    for count in (1, 2, 3):
        assert len(reactor.work) == 1, "one at a time"
        assert len(simple.calls) == count - 1
        reactor.work_off()
    assert simple.calls == [("write", 0), ("manage", 0), ("write", 512)]
    assert ended == [(None, None)]


def test_what_a_parallel_device_is_called_for_besides_runs_beside_its_io_one_at_a_time(
    reactor: FakeReactor,
) -> None:
    device = adapted(Noting(), reactor, Concurrency.PARALLEL)
    ended: list[str] = []
    device.submit([write(0), write(512)], lambda _requests: None)
    for name in ("one", "two"):
        device.call(lambda: None, lambda *_answer, name=name: ended.append(name))
    assert len(reactor.work) == 3, "the second waits for the first"
    reactor.work_off(3)
    assert (ended, len(reactor.work)) == (["one"], 1)
    reactor.work_off()
    assert ended == ["one", "two"]


def test_an_inline_device_is_called_on_the_spot_and_what_it_raises_is_handed_on(
    reactor: FakeReactor,
) -> None:
    device = adapted(Noting(), reactor, Concurrency.INLINE)
    ended: list[Any] = []
    assert (device.is_here, device.run(lambda: 5)) == (True, 5)
    device.call(lambda: 7, lambda *answer: ended.append(answer))
    error = OSError("no")

    def fail() -> None:
        raise error

    device.call(fail, lambda *answer: ended.append(answer))
    device.tell(lambda: ended.append("told"))
    reactor.work_off()
    assert ended == [(7, None), (None, error), "told"]


@pytest.mark.parametrize("how", [Concurrency.SERIAL, Concurrency.PARALLEL])
def test_a_device_is_closed_after_all_that_it_is_called_for_besides(
    reactor: FakeReactor, how: Concurrency
) -> None:
    simple = Full()
    device = adapted(simple, reactor, how)
    for name in ("one", "two"):
        device.call(lambda name=name: simple.calls.append((name, 0)), lambda *_answer: None)  # type: ignore[misc]
    closed: list[Status] = []
    device.close(closed.append)
    reactor.work_off(3)
    assert [name for name, _ in simple.calls] == ["one", "two", "close"]
    assert closed == [GOOD]


def test_a_lane_that_waits_holds_neither_the_loop_nor_what_is_told_from_it() -> None:
    reactor = EpollReactor()
    device = SimpleAdapter(
        Noting(),
        Geometry(SIZE),
        Concurrency.SERIAL,
        durable=True,
        engine="noting",
        reactor=reactor,
        lane=reactor.lane(),
        blame=blame(FakeReactor()),
        stage=lambda _name: Tally(),
    )
    gate, loop, seen = threading.Event(), threading.get_ident(), list[int]()

    def open_it() -> None:
        seen.append(threading.get_ident())
        gate.set()

    def wait() -> int:
        # Opened by the loop alone, which hears of us meanwhile.
        device.tell(open_it)
        assert gate.wait(30), "the loop is held"
        return threading.get_ident()

    answers: list[Any] = []

    def ended(result: Any, error: BaseException | None) -> None:
        answers.append((result, error))
        reactor.stop()

    device.call(wait, ended)
    reactor.run()
    ((thread, error),) = answers
    assert (seen, error) == ([loop], None)
    assert thread not in (None, loop)
    device.close(lambda _status: None)
    reactor.close()


def test_a_slow_turn_and_a_slow_method_leave_stamps_of_their_own() -> None:
    reactor, clock = FakeReactor(by_hand=True), itertools.count(0, 100).__next__
    tracer = Tracer(lambda _io: None, slow_ns=8 * 150)
    adapter = adapted(Noting(), reactor, tracer=tracer, clock=clock)
    batch = [write(0), write(512)]
    adapter.submit(batch, lambda _requests: None)
    reactor.work_off(2)
    stamps = [
        ("engine.wait", "", 0, 200, UNNUMBERED),
        ("engine.wait", "", 100, 300, UNNUMBERED),
    ]
    assert [request.trace.stamps for request in batch] == [[one] for one in stamps]
    tracer = Tracer(lambda _io: None, slow_ns=8)
    adapter = adapted(Noting(), reactor, tracer=tracer, clock=itertools.count(0, 100).__next__)
    batch = [write(0)]
    adapter.submit(batch, lambda _requests: None)
    reactor.work_off()
    assert [stage for stage, *_rest in batch[0].trace.stamps] == ["engine.wait", "engine.call"]
