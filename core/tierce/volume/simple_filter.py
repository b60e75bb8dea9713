"""A `SimpleFilter` as a `Device`: its calls on its thread, and what it asks of below on the data
thread, while its own waits.

The data thread never waits for that thread, and that thread is the filter's alone: whatever the
filter waits for below can be answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tierce.block.device import Capabilities, Concurrency, Device, Geometry
from tierce.block.operation import Extent, Op, Request
from tierce.block.simple_filter import SimpleFilter
from tierce.errors import DeviceError
from tierce.reactor import Lane, Reactor
from tierce.stage import Stage
from tierce.tracing import Tracer
from tierce.volume.blame import Blame
from tierce.volume.simple import SimpleAdapter


class LowerDevice:
    """What lies below a filter on the simple level, as the filter asks it.

    Implements `tierce.Below`. Make it on the data thread.

    Args:
        device: The device.
        lane: The filter's thread.
    """

    def __init__(self, device: Device, lane: Lane) -> None:
        self._device = device
        self._lane = lane
        self._data_thread = threading.get_ident()
        self._is_open = False
        #: What follows the operation that the filter is at.
        self.trace: Any = None

    def open(self) -> None:
        """Let it be asked from now on: the data thread is free to answer."""
        self._is_open = True

    @property
    def geometry(self) -> Geometry:
        """Its shape."""
        return self._device.geometry

    @property
    def capabilities(self) -> Capabilities:
        """What it does."""
        return self._device.capabilities

    def read(self, offset: int, buffer: memoryview) -> None:
        """See `Below`."""
        view = memoryview(buffer)
        self._ask(Op.READ, offset, view.nbytes, view)

    def write(self, offset: int, data: memoryview) -> None:
        """See `Below`."""
        view = memoryview(data)
        self._ask(Op.WRITE, offset, view.nbytes, view)

    def flush(self) -> None:
        """See `Below`."""
        self._ask(Op.FLUSH, 0, 0)

    def discard(self, offset: int, length: int) -> None:
        """See `Below`."""
        self._ask(Op.DISCARD, offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        """See `Below`."""
        self._ask(Op.WRITE_ZEROES, offset, length)

    def extents(self, offset: int, length: int) -> Iterable[Extent]:
        """See `Below`."""
        return self._ask(Op.BLOCK_STATUS, offset, length).extents

    def _ask(self, op: Op, offset: int, length: int, buffer: memoryview | None = None) -> Request:
        self._check(op, offset, length)
        request = Request(op, offset, length, buffer, trace=self.trace)
        answered = threading.Event()
        self._lane.tell(partial(self._submit, request, answered))
        answered.wait()
        status = request.status
        assert status is not None, "a device answers with a status"
        if not status.is_good:
            raise DeviceError(status)
        return request

    def _submit(self, request: Request, answered: threading.Event) -> None:
        self._device.submit([request], lambda _requests: answered.set())
        if request.status is not None:
            answered.set()

    def _check(self, op: Op, offset: int, length: int) -> None:
        geometry = self._device.geometry
        size, block = geometry.size_bytes, geometry.block_size
        is_inside = 0 <= offset <= offset + length <= size
        if not is_inside or offset % block or length % block:
            raise ValueError(
                f"{op.name} of {length} bytes at {offset}: expected whole blocks of {block} within "
                f"the volume's {size} bytes"
            )
        # Either would wait for itself.
        if not self._is_open:
            raise RuntimeError("what lies below is not open while the filter is being made")
        if threading.get_ident() == self._data_thread:
            raise RuntimeError("what lies below is asked on the filter's own thread only")


class SimpleFilterAdapter(SimpleAdapter):
    """A filter on the simple level that takes batches.

    Args:
        simple: The filter.
        below: What it asks.
        name: The filter's name, for errors.
        reactor: The target's loop.
        lane: The thread that it was made on.
        blame: Where its mistakes go.
        stage: As of `SimpleAdapter`.
        tracer: As of `SimpleAdapter`.
    """

    family = "filter"

    def __init__(
        self,
        simple: SimpleFilter,
        below: LowerDevice,
        name: str,
        *,
        reactor: Reactor,
        lane: Lane,
        blame: Blame,
        stage: Callable[[str], Stage],
        tracer: Tracer | None = None,
    ) -> None:
        has = below.capabilities
        super().__init__(
            simple,
            below.geometry,
            Concurrency.SERIAL,
            durable=has.durable,
            engine=name,
            reactor=reactor,
            lane=lane,
            blame=blame,
            stage=stage,
            tracer=tracer,
            part=blame.part.replace(" ", ".", 1),
        )
        self._below = below
        self.capabilities = Capabilities(
            discard=has.discard,
            write_zeroes=has.write_zeroes,
            block_status=has.block_status,
            durable=has.durable,
            read_only=has.read_only,
        )
        below.open()

    def resized(self, geometry: Geometry) -> None:
        """What lies below has this shape now, and so has the filter."""
        self.geometry = geometry

    def _call(self, request: Request) -> None:
        # As `Request.derive`: who is slow below is slow for it.
        self._below.trace = request if request.trace is None else request.trace
        try:
            super()._call(request)
        finally:
            # A filter that rests keeps nobody's memory.
            self._below.trace = None
