"""A `SimpleDevice` as a `Device`: calls to its methods, where its concurrency allows them.

What else it is called for (`reconfigure`, `manage`) runs there too: of a SERIAL device between two
calls of I/O, of a PARALLEL one beside them, one at a time. A hang there is the device's: the data
thread goes on.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Protocol

from tierce.block.device import Capabilities, Concurrency, Geometry
from tierce.block.extent_lock import ExtentHold, ExtentLock
from tierce.block.operation import EXTENT_COUNT_MAX, Completed, Extent, Op, Request
from tierce.block.status import GOOD, Code, Status
from tierce.errors import DeviceError, explain
from tierce.reactor import Lane, Reactor
from tierce.registry import is_promise
from tierce.stage import Stage
from tierce.tracing import Tracer
from tierce.volume.blame import Blame
from tierce.volume.calling import HERE, Ended

_CHANGES = frozenset({Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES})


def status_of(error: BaseException, request: Request, whose: str) -> Status:
    """Return what an initiator is told of an error that a plugin's device raised."""
    if isinstance(error, DeviceError):
        return error.status
    name = request.op.name
    where = f"{whose}: {name} of {request.length} bytes at {request.offset} failed"
    reason = f"{where}: {explain(error)}"
    code = Code.READ_ERROR if request.op is Op.READ else Code.WRITE_ERROR
    if isinstance(error, OSError):
        return Status.from_oserror(error, code, reason, request.offset)
    return Status(code, reason, request.offset)


class Simple(Protocol):
    """What a simple device is at least."""

    def read(self, offset: int, buffer: memoryview) -> object:
        """See `SimpleDevice`; what it returns is looked at."""
        ...

    def write(self, offset: int, data: memoryview) -> object:
        """See `SimpleDevice`; what it returns is looked at."""
        ...


class ReturnedError(TypeError):
    """A method returned something: it did not do what it was asked, or does it later."""


class SimpleAdapter:
    """A simple device that takes batches.

    Args:
        simple: The engine's device.
        geometry: Its shape.
        concurrency: Where its calls may run.
        durable: What was flushed survives a restart.
        engine: Its name, for errors.
        reactor: The target's loop.
        lane: The thread that a SERIAL device was made on; None for others.
        blame: Where its mistakes go.
        stage: Returns the counters of the device's stage so named. What runs on a thread counts in
            two: "wait", until its turn comes, and "call", the method.
        tracer: Where both leave stamps on what they were slow with.
        part: What their names begin with there.
        clock: Returns nanoseconds.
    """

    #: What its kind is called.
    family = "engine"

    def __init__(
        self,
        simple: Simple,
        geometry: Geometry,
        concurrency: Concurrency,
        *,
        durable: bool,
        engine: str,
        reactor: Reactor,
        lane: Lane | None,
        blame: Blame,
        stage: Callable[[str], Stage],
        tracer: Tracer | None = None,
        part: str = "engine",
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.geometry = geometry
        self._clock = clock
        self._whose = f"{self.family} {engine}"
        self._tracer = tracer or Tracer()
        self._stamps = f"{part}.wait", f"{part}.call"
        self.simple = simple
        self._is_inline = concurrency is Concurrency.INLINE
        self._is_serial = concurrency is Concurrency.SERIAL
        if not self._is_inline:
            self._wait, self._call_stage = stage("wait"), stage("call")
        self._lane = lane
        self._offload = reactor.offload if lane is None else lane.offload
        self._blame = blame
        self._flush: Callable[[], object] | None = getattr(simple, "flush", None)
        self._methods: dict[Op, Callable[..., Any] | None] = {
            Op.DISCARD: getattr(simple, "discard", None),
            Op.WRITE_ZEROES: getattr(simple, "write_zeroes", None),
            Op.BLOCK_STATUS: getattr(simple, "extents", None),
        }
        self.capabilities = Capabilities(
            discard=self._methods[Op.DISCARD] is not None,
            write_zeroes=self._methods[Op.WRITE_ZEROES] is not None,
            block_status=self._methods[Op.BLOCK_STATUS] is not None,
            durable=durable,
        )
        self._lock = ExtentLock()
        #: Orders what it is called for besides: of a SERIAL device among its I/O.
        self._turns = self._lock if self._is_serial else ExtentLock()
        self._reactor = reactor

    @property
    def is_here(self) -> bool:
        """True if it is called on the data thread."""
        return self._is_inline

    def run(self, work: Callable[[], Any]) -> Any:
        """See `Caller`: on the thread that made it."""
        return work() if self._lane is None else self._lane.run(work)

    def call(self, work: Callable[[], Any], ended: Ended) -> None:
        """See `Caller`."""
        if self._is_inline:
            HERE.call(work, ended)
            return

        def start(hold: ExtentHold) -> None:
            def done(result: Any, error: BaseException | None) -> None:
                self._turns.release(hold)
                ended(result, error)

            self._offload(work, done)

        self._turns.acquire(0, self.geometry.size_bytes, start, exclusive=True)

    def tell(self, call: Callable[[], None]) -> None:
        """See `Caller`."""
        if self._lane is not None:
            self._lane.tell(call)
        else:
            self._reactor.offload(_nothing, lambda _result, _error: call())

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Run each call where it may run."""
        if self._is_inline:
            for request in batch:
                try:
                    self._call(request)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's bug
                    request.status = self._status_of(error, request)
                else:
                    request.status = GOOD
            return
        for request in batch:
            self._hold_extent(request, completed)

    def close(self, closed: Callable[[Status], None]) -> None:
        """Close the engine's device, on a worker thread: it may wait."""
        close = getattr(self.simple, "close", None)

        def done(_result: object, error: BaseException | None) -> None:
            if self._lane is not None:
                self._lane.close()
            if error is None:
                closed(GOOD)
                return
            if not isinstance(error, OSError | DeviceError):
                self._blame.mistake("raised in close", "it counts as closed", error)
            why = f"{self._whose} failed to close: {explain(error)}"
            closed(Status(Code.WRITE_ERROR, why))

        def start(_hold: ExtentHold) -> None:
            if close is None:
                done(None, None)
            else:
                self._offload(close, done)

        # After what it is called for besides; it is not given back, for nothing comes after it.
        self._turns.acquire(0, self.geometry.size_bytes, start, exclusive=True)

    def _hold_extent(self, request: Request, completed: Completed) -> None:
        """Wait for what overlaps. SERIAL: everything overlaps everything."""
        start = partial(self._start, request, completed, self._clock())
        if self._is_serial:
            self._lock.acquire(0, self.geometry.size_bytes, start, exclusive=True)
        elif request.op is Op.FLUSH:
            # It covers what was answered before, and so waits for nothing that is under way.
            self._lock.acquire(0, 0, start, exclusive=False)
        else:
            exclusive = request.op in _CHANGES
            self._lock.acquire(request.offset, request.length, start, exclusive=exclusive)

    def _start(
        self, request: Request, completed: Completed, submitted_ns: int, hold: ExtentHold
    ) -> None:
        clock, began_ns, ended_ns = self._clock, 0, 0

        def work() -> None:
            nonlocal began_ns, ended_ns
            began_ns = clock()
            try:
                self._call(request)
            finally:
                ended_ns = clock()

        def done(_result: object, error: BaseException | None) -> None:
            request.status = GOOD if error is None else self._status_of(error, request)
            self._count(request, submitted_ns, began_ns, ended_ns)
            if error is not None:
                self._call_stage.fail(request.op)
            self._lock.release(hold)
            completed([request])

        self._offload(work, done)

    def _count(self, request: Request, submitted_ns: int, began_ns: int, ended_ns: int) -> None:
        waited_ns, took_ns, tracer = began_ns - submitted_ns, ended_ns - began_ns, self._tracer
        self._wait.add(request.op, 1, request.length, waited_ns)
        self._call_stage.add(request.op, 1, request.length, took_ns)
        if waited_ns > tracer.note_ns:
            tracer.note((request,), self._stamps[0], submitted_ns, waited_ns)
        if took_ns > tracer.note_ns:
            tracer.note((request,), self._stamps[1], began_ns, took_ns)

    def _status_of(self, error: BaseException, request: Request) -> Status:
        """Return what is answered for what a call raised: the medium's failure, or a bug, which is
        told as one."""
        status = status_of(error, request, self._whose)
        if isinstance(error, OSError | DeviceError):
            return status
        does = "returned something" if isinstance(error, ReturnedError) else "raised"
        consequence = f"{request.op.name} is answered with an error"
        self._blame.mistake(f"{does} in {request.op.name}", consequence, error)
        return self._blame.failures.excuse(status)

    def _call(self, request: Request) -> None:
        op = request.op
        if op is Op.READ:
            assert request.buffer is not None
            if self.simple.read(request.offset, request.buffer) is not None:
                raise ReturnedError("read returns nothing: it fills the buffer that it is given")
        elif op is Op.WRITE:
            assert request.buffer is not None
            _refuse_promise(self.simple.write(request.offset, request.buffer.toreadonly()))
        elif op is Op.FLUSH:
            if self._flush is not None:
                _refuse_promise(self._flush())
        else:
            method = self._methods[op]
            assert method is not None, "core asks only for what the device says it does"
            result = method(request.offset, request.length)
            if op is Op.BLOCK_STATUS:
                request.extents = _checked(tuple(islice(result, EXTENT_COUNT_MAX)), request)
            else:
                _refuse_promise(result)


def _nothing() -> None:
    """Have nothing done on a worker thread."""


def _refuse_promise(result: object) -> None:
    """Refuse what would do its work only when somebody awaits or iterates it. A count of bytes, as
    `os.pwrite` returns, is harmless."""
    if result is not None and (is_promise(result) or inspect.isgenerator(result)):
        raise ReturnedError(f"it returned a {type(result).__name__}, which nobody awaits")


def _checked(extents: tuple[Extent, ...], request: Request) -> tuple[Extent, ...]:
    at = request.offset
    for extent in extents:
        if extent.offset != at or extent.length <= 0:
            raise ValueError(f"extents must follow one another; expected one at {at}, got {extent}")
        at += extent.length
    if at != request.offset + request.length and len(extents) < EXTENT_COUNT_MAX:
        raise ValueError(f"extents end at {at}, expected {request.offset + request.length}")
    return extents
