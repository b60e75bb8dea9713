"""Filters on the simple level: over real threads, and against the bytes that must be there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.volume.model import BLOCK, Run, Tally, blame
from tierce import (
    GOOD,
    BaseDevice,
    Capabilities,
    Code,
    Completed,
    DeviceError,
    Event,
    Extent,
    Geometry,
    Op,
    Request,
    SimpleFilter,
    Status,
)
from tierce.process.epoll import EpollReactor
from tierce.tracing import Trace, Tracer
from tierce.volume.simple_filter import LowerDevice, SimpleFilterAdapter

SIZE = 64 * BLOCK


class Bytes(BaseDevice):
    """Answers at once or later, in turn, and notes what it is asked."""

    def __init__(self, reactor: EpollReactor) -> None:
        self.geometry = Geometry(SIZE, BLOCK)
        self.capabilities = Capabilities(discard=True, block_status=True, durable=False)
        self.data = bytearray(SIZE)
        self.asked: list[Request] = []
        self.fails: Status | None = None
        self._reactor = reactor

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch:
            self.asked.append(request)
            if len(self.asked) % 2:
                self._do(request)
            else:
                self._reactor.call_soon(lambda request=request: self._later(request, completed))  # type: ignore[misc]

    def _later(self, request: Request, completed: Completed) -> None:
        self._do(request)
        completed([request])

    def _do(self, request: Request) -> None:
        end = request.offset + request.length
        if request.op is Op.READ and request.buffer is not None:
            request.buffer[:] = self.data[request.offset : end]
        elif request.op is Op.WRITE and request.buffer is not None:
            self.data[request.offset : end] = request.buffer
        elif request.op is Op.DISCARD:
            self.data[request.offset : end] = bytes(request.length)
        elif request.op is Op.BLOCK_STATUS:
            request.extents = (Extent(request.offset, request.length, is_hole=False),)
        request.status = self.fails or GOOD


class Scene:
    """A filter over those bytes."""

    def __init__(self) -> None:
        self.reactor = EpollReactor()
        self.bytes = Bytes(self.reactor)
        self.events: list[Event] = []
        self.stages: dict[str, Tally] = {}

    def put(self, make: Callable[[Any, LowerDevice], SimpleFilter] = SimpleFilter) -> Run:
        lane = self.reactor.lane()
        lower = LowerDevice(self.bytes, lane)
        made = lane.run(lambda: make(None, lower))
        self.adapter = SimpleFilterAdapter(
            made,
            lower,
            "over",
            reactor=self.reactor,
            lane=lane,
            blame=blame(self.reactor, self.events),
            stage=lambda name: self.stages.setdefault(name, Tally()),
        )
        return Run(self.adapter, self.reactor)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.reactor.close()


def io(op: Op, block: int = 0, count: int = 1, fill: int = 0, **more: Any) -> Request:
    buffer = memoryview(bytearray([fill]) * (count * BLOCK)) if op in (Op.READ, Op.WRITE) else None
    if op is Op.FLUSH:
        return Request(op, **more)
    return Request(op, block * BLOCK, count * BLOCK, buffer, **more)


def test_what_it_does_not_override_is_passed_on_and_answered(scene: Scene) -> None:
    run = scene.put()
    ops = (Op.WRITE, Op.READ, Op.FLUSH, Op.DISCARD, Op.BLOCK_STATUS)
    requests = run.submit(*(io(op, fill=7) for op in ops))
    assert [one.status for one in requests] == [GOOD] * len(ops)
    assert [one.op for one in scene.bytes.asked] == list(ops), "in order, one at a time"
    assert {name: len(one.ages) for name, one in scene.stages.items()} == {"wait": 5, "call": 5}
    assert bytes(requests[1].buffer or b"") == bytes([7]) * BLOCK
    assert requests[4].extents == (Extent(0, BLOCK, is_hole=False),)
    has = scene.adapter.capabilities
    assert (has.discard, has.block_status, has.write_zeroes, has.durable) == (
        *(True, True),
        *(False, False),
    )
    run.close()


def test_bytes_that_a_filter_changes_both_ways_are_as_a_plain_array_has_them(scene: Scene) -> None:
    class Mixed(SimpleFilter):
        def read(self, offset: int, buffer: memoryview) -> None:
            self.below.read(offset, buffer)
            buffer[:] = bytes(one ^ 0x55 for one in buffer)

        def write(self, offset: int, data: memoryview) -> None:
            self.below.write(offset, memoryview(bytes(one ^ 0x55 for one in data)))

    run, seed = scene.put(Mixed), random.Random(5)
    model = bytearray(b"\x55" * SIZE)
    for _round in range(60):
        block, count = seed.randrange(60), seed.randrange(1, 5)
        start, end = block * BLOCK, (block + count) * BLOCK
        fill = seed.randrange(256)
        (read, write) = run.submit(io(Op.READ, block, count), io(Op.WRITE, block, count, fill))
        assert bytes(read.buffer or b"") == model[start:end]
        model[start:end] = bytes([fill]) * (end - start)
        assert write.status is GOOD
    assert bytes(one ^ 0x55 for one in scene.bytes.data) == model
    run.close()


def test_what_fails_below_is_what_the_front_end_is_told(scene: Scene) -> None:
    run = scene.put()
    scene.bytes.fails = Status(Code.NO_SPACE, "the disk is full")
    (write,) = run.submit(io(Op.WRITE))
    assert write.status == scene.bytes.fails
    assert scene.events == []


def test_a_filter_may_refuse_and_what_it_raises_besides_is_its_mistake(scene: Scene) -> None:
    refused = Status(Code.READ_ONLY, "not here")

    class Strict(SimpleFilter):
        def write(self, offset: int, data: memoryview) -> None:
            raise DeviceError(refused)

        def read(self, offset: int, buffer: memoryview) -> None:
            raise KeyError("table")

        def flush(self) -> None:
            raise OSError("a cable is loose")

    run = scene.put(Strict)
    write, read, flush = run.submit(io(Op.WRITE), io(Op.READ), io(Op.FLUSH))
    assert write.status == refused
    assert read.status is not None
    assert read.status.reason == "filter over: READ of 512 bytes at 0 failed: KeyError: 'table'"
    assert flush.status is not None
    assert flush.status.code is Code.WRITE_ERROR
    assert len(scene.events) == 1
    assert "raised in READ" in scene.events[0].message
    assert scene.bytes.asked == []


@pytest.mark.parametrize(("offset", "length"), [(-BLOCK, BLOCK), (SIZE, BLOCK), (1, BLOCK), (0, 5)])
def test_an_extent_that_is_none_does_not_reach_what_lies_below(
    scene: Scene, offset: int, length: int
) -> None:
    class Wild(SimpleFilter):
        def read(self, _offset: int, _buffer: memoryview) -> None:
            self.below.read(offset, memoryview(bytearray(length)))

    (read,) = scene.put(Wild).submit(io(Op.READ))
    assert read.status is not None
    assert "expected whole blocks of 512 within the volume's 32768 bytes" in read.status.reason
    assert scene.bytes.asked == []


def test_what_lies_below_can_not_be_asked_while_the_filter_is_made_nor_from_another_thread(
    scene: Scene,
) -> None:
    class Early(SimpleFilter):
        def __init__(self, context: Any, below: LowerDevice) -> None:
            super().__init__(context, below)
            below.flush()

    with pytest.raises(RuntimeError, match="is not open while the filter is being made"):
        scene.put(Early)
    scene.put()
    with pytest.raises(RuntimeError, match="on the filter's own thread only"):
        scene.adapter.simple.below.flush()  # type: ignore[attr-defined]


def test_what_follows_an_operation_goes_down_with_it(scene: Scene) -> None:
    run = scene.put()
    run.submit(io(Op.WRITE, trace="one"))
    run.submit(io(Op.FLUSH, trace="two"))
    assert [one.trace for one in scene.bytes.asked] == ["one", "two"]


def test_who_is_slow_below_is_slow_for_the_operation_that_nothing_follows(scene: Scene) -> None:
    run = scene.put()
    request = io(Op.WRITE)
    run.submit(request)
    Tracer(slow_ns=1, write=lambda _io: None).note(scene.bytes.asked, "device", 0, 100)
    assert isinstance(request.trace, Trace)
    assert [stage for stage, *_when in request.trace.stamps] == ["device"]


def test_it_has_the_shape_of_what_lies_below_also_when_that_grows(
    scene: Scene, tmp_path: Path
) -> None:
    scene.put()
    assert scene.adapter.geometry == scene.bytes.geometry
    scene.adapter.resized(Geometry(2 * SIZE, BLOCK))
    assert scene.adapter.geometry.size_bytes == 2 * SIZE
