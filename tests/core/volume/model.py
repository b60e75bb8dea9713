"""A pipeline beside a byte array: whatever one says, the other must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tierce
from tierce import Code, Device, Event, LocalVolume, NoOptions, Op, OpenContext, Reactor, Request
from tierce.volume.blame import Blame, Blames
from tierce.volume.statistics import StatisticsPage

SIZE = 64 << 10
BLOCK = 512


def volume_spec(folder: Path, engine: str = "memory", options: Any = None) -> LocalVolume:
    return LocalVolume(
        name="model",
        uuid="00" * 16,
        size_bytes=SIZE,
        block_size=BLOCK,
        engine=engine,
        engine_options=options or NoOptions(),
        exports=(),
        folder=folder,
    )


def open_context(volume: LocalVolume, reactor: Reactor, page: StatisticsPage) -> OpenContext:
    return OpenContext(
        volume=volume,
        options=volume.engine_options,
        reactor=reactor,
        members=(),
        boot_id="boot",
        stage=page.stage,
        emit=_ignore,
        member_address=lambda _name: None,
        fenced=_no_fence,
    )


def blame(reactor: Reactor, events: list[Event] | None = None, part: str = "engine bad") -> Blame:
    """Where the mistakes of a part go: to a list of events."""
    spec = volume_spec(Path())
    context = OpenContext(
        volume=spec,
        options=spec.engine_options,
        reactor=reactor,
        members=(),
        boot_id="boot",
        stage=lambda _name: Tally(),
        emit=_ignore if events is None else events.append,
        member_address=lambda _name: None,
        fenced=_no_fence,
    )
    return Blames(context, lambda _shown: None).of(part, "plugin 'bad' (package tierce-bad)")


class Tally:
    """A stage that a test can read."""

    def __init__(self) -> None:
        self.added: list[tuple[int, int, int]] = []
        #: How old what was added was, in ns, and how much of it there was.
        self.ages: list[tuple[float, int]] = []
        self.failed: list[int] = []
        #: What each of them failed with.
        self.codes: list[Code | None] = []
        #: How many were the last, and of which size.
        self.lasts: list[tuple[int, int]] = []
        self.sizes: list[tuple[int, int, int]] = []
        self._pending: Mapping[Any, int] = {}
        #: Whether it was told that something is pending.
        self.is_told = False

    @property
    def pending(self) -> tuple[int, int]:
        return len(self._pending), next(iter(self._pending.values()), 0)

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        assert elapsed_ns >= 0
        if size:
            assert length == count * size
            self.sizes.append((op, count, size))
        self.added.append((op, count, length))
        self.ages.append((elapsed_ns, count))

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:
        self.failed += [op] * count
        self.codes += [code] * count

    def last(self, op: int, count: int = 1) -> None:
        self.lasts.append((op, count))

    def size(self, op: int, count: int, length: int) -> None:
        self.sizes.append((op, count, length))

    def show(self, pending: Mapping[Any, int]) -> None:
        self._pending = pending

    def parked(self) -> None:
        assert self._pending
        self.is_told = True


def _ignore(_event: Event) -> None:
    """Engines may report what their medium does."""


def _no_fence(reason: str) -> None:
    raise AssertionError(reason)


class Run:
    """Submits requests and runs the loop until all have their status."""

    def __init__(self, device: Device, reactor: Reactor) -> None:
        self.device = device
        self.reactor: Any = reactor

    def submit(self, *requests: Request) -> list[Request]:
        waiting: set[int] = set()
        is_inside = True

        def completed(answered: list[Request]) -> None:
            assert not is_inside, "completed was called from within submit"
            for request in answered:
                assert request.status is not None
                waiting.remove(id(request))
            if not waiting:
                self.reactor.stop()

        self.device.submit(list(requests), completed)
        is_inside = False
        waiting.update(id(request) for request in requests if request.status is None)
        if waiting:
            self.reactor.run()
        return list(requests)

    def close(self) -> None:
        done: list[tierce.Status] = []

        def closed(status: tierce.Status) -> None:
            done.append(status)
            self.reactor.stop()

        self.device.close(closed)
        if not done:
            self.reactor.run()
        assert done[0].is_good


class Oracle:
    """What the bytes must be."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)

    def apply(self, request: Request) -> None:
        """Check what the request answered, and follow it."""
        at, end = request.offset, request.offset + request.length
        status = request.status
        assert status is not None
        if request.op is Op.READ:
            assert status.is_good, status
            assert request.buffer is not None
            assert bytes(request.buffer) == bytes(self.data[at:end])
        elif request.op is Op.WRITE:
            assert status.is_good, status
            assert request.buffer is not None
            self.data[at:end] = request.buffer
        elif request.op is Op.WRITE_ZEROES or (request.op is Op.DISCARD and status.is_good):
            assert status.is_good, status
            self.data[at:end] = bytes(request.length)
        elif request.op is Op.DISCARD:
            assert status.code is Code.UNSUPPORTED
        elif request.op is Op.COMPARE_AND_WRITE:
            assert request.buffer is not None
            expected = bytes(request.buffer[: request.length])
            if expected == bytes(self.data[at:end]):
                assert status.is_good, status
                self.data[at:end] = request.buffer[request.length :]
            else:
                assert status.code is Code.MISCOMPARE
                assert status.offset is not None
                first = status.offset - at
                assert expected[:first] == self.data[at : at + first]
                assert expected[first] != self.data[at + first]
        elif request.op is Op.BLOCK_STATUS:
            assert status.is_good, status
            position = at
            for extent in request.extents:
                assert extent.offset == position
                position += extent.length
                if extent.is_hole:
                    assert not any(self.data[extent.offset : extent.offset + extent.length])
            assert position == end
        else:
            assert status.is_good, status


Make = Callable[[Path, Reactor, StatisticsPage], Device]
