"""A target without the rest of Tierce: portal and target in one process, over memory.

    python tests/iscsi/standalone.py [--port N] [--size BYTES] [--file PATH]

Prints the URL, then serves until it is killed. For conformance runs and measurements.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import heapq
import itertools
import os
import select
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tierce import (
    GOOD,
    READABLE,
    Capabilities,
    Code,
    Completed,
    Export,
    Extent,
    Flag,
    FrontendContext,
    Geometry,
    Handover,
    Hangup,
    Lane,
    LocalVolume,
    Op,
    Request,
    Route,
    Send,
    Status,
)
from tierce_iscsi.connection_router import IscsiConnectionRouter
from tierce_iscsi.frontend import IscsiFrontend
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions, usage


class Due:
    """A timer."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class EpollLoop:
    """The smallest reactor that serves."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.woke_ns = 0
        self._ready: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Due]] = []
        self._count = itertools.count()
        self._soon: deque[Callable[[], None]] = deque()

    def now(self) -> float:
        return time.monotonic()

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        if descriptor in self._ready:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def unwatch(self, descriptor: int) -> None:
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Due:
        due = Due(call)
        heapq.heappush(self._timers, (self.now() + delay_s, next(self._count), due))
        return due

    def call_soon(self, call: Callable[[], None]) -> None:
        self._soon.append(call)

    def held(self, what: str, elapsed_ns: int) -> None:
        """Nobody is told."""

    def lane(self) -> Lane:
        raise AssertionError("no front end has a thread of its own")

    def offload(self, work: Callable[[], Any], done: Callable[[Any, Any], None]) -> None:
        result = work()
        self.call_soon(lambda: done(result, None))

    def run(self) -> None:
        while True:
            wait_s = max(0.0, self._timers[0][0] - self.now()) if self._timers else -1
            found = self._epoll.poll(0 if self._soon else wait_s)
            self.woke_ns = time.monotonic_ns()
            for descriptor, events in found:
                ready = self._ready.get(descriptor)
                if ready is not None:
                    ready(events)
            for _ in range(len(self._soon)):
                self._soon.popleft()()
            while self._timers and self._timers[0][0] <= self.now():
                call = heapq.heappop(self._timers)[2].call
                if call is not None:
                    call()


class MemoryDevice:
    """A device that answers inline; with `delay` it parks writes and flushes instead."""

    def __init__(
        self,
        size: int,
        block_size: int = 512,
        later: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.bytes = bytearray(size)
        self.mapped: set[int] = set()
        self._later = later
        self.geometry = Geometry(size, block_size)
        self.capabilities = Capabilities(
            flags=Flag.FUA | Flag.NO_HOLE,
            discard=True,
            write_zeroes=True,
            compare_and_write=True,
            block_status=True,
            durable=False,
        )

    def submit(self, batch: list[Request], completed: Completed) -> None:
        if self._later is not None:
            pending = [request for request in batch if request.op in {Op.WRITE, Op.FLUSH}]
            for request in batch:
                if request not in pending:
                    request.status = self._do(request)
            if pending:
                self._later(lambda: self._finish(pending, completed))
            return
        for request in batch:
            request.status = self._do(request)

    def _finish(self, pending: list[Request], completed: Completed) -> None:
        for request in pending:
            request.status = self._do(request)
        completed(pending)

    def _do(self, request: Request) -> Status:
        begin, end = request.offset, request.offset + request.length
        match request.op:
            case Op.READ:
                assert request.buffer is not None
                request.buffer[:] = memoryview(self.bytes)[begin:end]
            case Op.WRITE:
                assert request.buffer is not None
                memoryview(self.bytes)[begin:end] = request.buffer
                self.mapped.update(range(begin // 4096, (end + 4095) // 4096))
            case Op.DISCARD | Op.WRITE_ZEROES:
                memoryview(self.bytes)[begin:end] = bytes(request.length)
                if request.op is Op.DISCARD:
                    self.mapped.difference_update(range((begin + 4095) // 4096, end // 4096))
            case Op.COMPARE_AND_WRITE:
                return self._compare(request, begin, end)
            case Op.BLOCK_STATUS:
                request.extents = self._extents(begin, end)
        return GOOD

    def _compare(self, request: Request, begin: int, end: int) -> Status:
        assert request.buffer is not None
        wanted = request.buffer[: request.length]
        found = self.bytes[begin:end]
        if found != wanted:
            where = next(i for i in range(len(found)) if found[i] != wanted[i])
            return Status(Code.MISCOMPARE, "other bytes", begin + where)
        self.bytes[begin:end] = request.buffer[request.length :]
        return GOOD

    def _extents(self, begin: int, end: int) -> tuple[Extent, ...]:
        extents: list[Extent] = []
        at = begin
        while at < end:
            stop = min(end, at - at % 4096 + 4096)
            is_hole = at // 4096 not in self.mapped
            if extents and extents[-1].is_hole == is_hole:
                last = extents.pop()
                extents.append(Extent(last.offset, stop - last.offset, is_hole))
            else:
                extents.append(Extent(at, stop - at, is_hole))
            at = stop
        return tuple(extents)

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(GOOD)


class FileDevice(MemoryDevice):
    """READ, WRITE and FLUSH on a file, inline: the shortest path to a medium."""

    def __init__(self, path: Path) -> None:
        super().__init__(0)
        self._descriptor = os.open(path, os.O_RDWR)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        self.geometry = Geometry(os.fstat(self._descriptor).st_size, 512)
        self.capabilities = Capabilities()

    def submit(self, batch: list[Request], completed: Completed) -> None:
        descriptor = self._descriptor
        for request in batch:
            if request.op is Op.READ:
                assert request.buffer is not None
                os.preadv(descriptor, [request.buffer], request.offset)
            elif request.op is Op.WRITE:
                assert request.buffer is not None
                os.pwrite(descriptor, request.buffer, request.offset)
            else:
                os.fdatasync(descriptor)
            request.status = GOOD


class Counters:
    """A stage that counts nothing."""

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        pass

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:
        pass

    def last(self, op: int, count: int = 1) -> None:
        pass

    def size(self, op: int, count: int, length: int) -> None:
        pass

    def show(self, pending: Mapping[Any, int]) -> None:
        pass

    def parked(self) -> None:
        pass


def make_volume(size: int, block_size: int = 512) -> LocalVolume:
    """A volume for tests."""
    return LocalVolume(
        *("demo", "0123456789abcdef0123456789abcdef", size, block_size, "memory", None),
        (Export(frontend="iscsi", options=IscsiVolumeOptions()),),
        folder=Path("/nonexistent"),
    )


class Portal:
    """Accepts, routes, hands over to the one front end."""

    def __init__(self, loop: EpollLoop, frontend: IscsiFrontend, options: IscsiOptions) -> None:
        self._loop = loop
        self._frontend = frontend
        self._options = options
        self._routes = {"demo": Route("demo", IscsiVolumeOptions())}

    def listen(self, port: int) -> int:
        listener = socket.create_server(("127.0.0.1", port))
        listener.setblocking(False)
        self._listener = listener
        self._loop.watch(listener.fileno(), READABLE, self._accept)
        return int(listener.getsockname()[1])

    def _accept(self, _events: int) -> None:
        connection, remote = self._listener.accept()
        connection.setblocking(False)
        router = IscsiConnectionRouter(self._options, connection.getsockname(), remote)
        self._loop.watch(connection.fileno(), READABLE, lambda _: self._route(connection, router))

    def _route(self, connection: socket.socket, router: IscsiConnectionRouter) -> None:
        data = connection.recv(1 << 16)
        wishes = router.receive(data, self._routes) if data else [Hangup("gone")]
        for wish in wishes:
            match wish:
                case Send(answer):
                    connection.sendall(answer)
                case Handover(_, state):
                    self._loop.unwatch(connection.fileno())
                    self._frontend.adopt(connection, state)
                case Hangup():
                    self._loop.unwatch(connection.fileno())
                    connection.close()


def main() -> None:
    """Serve."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--port", type=int, default=0)
    args.add_argument("--size", type=int, default=64 << 20)
    args.add_argument("--file", type=Path)
    args.add_argument("--park", action="store_true", help="answer writes later")
    chosen = args.parse_args()
    loop = EpollLoop()
    options = IscsiOptions()
    device = (
        FileDevice(chosen.file)
        if chosen.file
        else MemoryDevice(
            chosen.size,
            later=(lambda call: void(loop.call_later(0.002, call))) if chosen.park else None,
        )
    )
    volume = make_volume(device.geometry.size_bytes)
    folder = Path(tempfile.mkdtemp(prefix="tierce-standalone-"))
    atexit.register(shutil.rmtree, folder)
    frontend = IscsiFrontend(
        FrontendContext(
            volume=volume,
            options=options,
            export=volume.exports[0],
            volume_options=volume.exports[0].options,
            device=device,
            reactor=loop,
            stage=lambda _: Counters(),
            emit=lambda _: None,
            publish=lambda _: None,
            folder=folder,
            is_folder_lasting=False,
            boot_id="this one",
        )
    )
    port = Portal(loop, frontend, options).listen(chosen.port)
    print(
        usage(IscsiOptions(listen=(f"127.0.0.1:{port}",)), volume, volume.exports[0])["url"],
        flush=True,
    )
    gc.freeze()
    loop.run()


def void(_value: object) -> None:
    """Drop a value."""


if __name__ == "__main__":
    main()
