"""What one I/O costs in a target's process: front end, pipeline and engine, without a kernel's
socket in between.

    PYTHONPATH=tests python -m measures.io_cost

Prints nanoseconds an I/O, the best of many rounds: run it on two trees in turn. Engines are `file`,
of which all is in the page cache, and `jiva` with three replicas that lie in the same process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from core.fake_reactor import FakeReactor
from core.volume.model import open_context, volume_spec
from iscsi.initiator import LOGIN_KEYS, command, login, read_10, write_10
from jiva.bench import Bench as Replicas
from tierce import (
    READABLE,
    BaseDevice,
    Capabilities,
    Completed,
    Device,
    Export,
    FrontendContext,
    Geometry,
    Request,
    Tracer,
)
from tierce.registry import Registry
from tierce.volume.boundary import Boundary
from tierce.volume.emulate import Emulator
from tierce.volume.pipeline import open_pipeline
from tierce.volume.statistics import StatisticsPage
from tierce.volume.trace_ring import TraceRing
from tierce_engines.file_lifecycle import FileLifecycle
from tierce_engines.options import FileOptions
from tierce_iscsi.connection_router import Handed
from tierce_iscsi.frontend import IscsiFrontend
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions
from tierce_jiva.trips import STAGE

_DEPTHS = (1, 8, 32)
_BLOCK = 4096
_LBA = _BLOCK // 512
#: I/Os of a round, and rounds: the best one counts.
_COUNT, _ROUNDS = 1600, 60
#: Puts so many commands where the target receives them.
Ask = Callable[[int], None]


class Wire:
    """A socket without a kernel: what the initiator has said is there to be received."""

    def __init__(self) -> None:
        self.incoming: bytes | memoryview = b""
        self.sent = 0

    def fileno(self) -> int:
        return 5

    def getpeername(self) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    getsockname = getpeername

    def setsockopt(self, *_arguments: int) -> None:
        pass

    def recv(self, _count: int) -> bytes:
        data, self.incoming = bytes(self.incoming), b""
        return data

    def recv_into(self, window: memoryview) -> int:
        data, count = self.incoming, min(len(window), len(self.incoming))
        window[:count] = data[:count]
        self.incoming = data[count:]
        return count

    def send(self, data: bytes | memoryview) -> int:
        self.sent += len(data)
        return len(data)

    def sendmsg(self, buffers: list[bytes | memoryview]) -> int:
        count = sum(map(len, buffers))
        self.sent += count
        return count

    def close(self) -> None:
        pass


class Replicated(BaseDevice):
    """Engine jiva without sockets: its frames are carried by hand at the end of each batch."""

    def __init__(self, page: StatisticsPage, tracer: Tracer) -> None:
        self.replicas = Replicas(3)
        target = self.replicas.cluster.target
        target.agenda.tracer = tracer
        for link in target.links:
            link.answers = page.stage(STAGE + link.name)
        self.geometry = Geometry(self.replicas.cluster.size_bytes, 512)
        self.capabilities = Capabilities()

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.replicas.cluster.target.submit(self.replicas.cluster.now, batch, completed)

    def carry(self) -> None:
        """Let the replicas answer."""
        self.replicas.carry()
        for completed, requests in self.replicas.cluster.target.agenda.take_completed().items():
            completed(requests)


class Session:
    """An initiator that has logged in to a device."""

    def __init__(self, device: Device, page: StatisticsPage, folder: Path, tracer: Tracer) -> None:
        self.loop, self.wire = FakeReactor(by_hand=True), Wire()
        self.number = 0
        spec = attrs.evolve(
            volume_spec(folder),
            exports=(Export(frontend="iscsi", options=IscsiVolumeOptions()),),
        )
        front = IscsiFrontend(
            FrontendContext(
                volume=spec,
                options=IscsiOptions(),
                export=spec.exports[0],
                volume_options=spec.exports[0].options,
                device=device,
                reactor=self.loop,
                stage=page.stage,
                emit=lambda _event: None,
                publish=lambda _status: None,
                folder=folder / "front",
                is_folder_lasting=False,
                boot_id="boot",
                tracer=tracer,
            )
        )
        wire: object = self.wire
        front.adopt(wire, Handed(0, b"", login(LOGIN_KEYS)).encode())  # type: ignore[arg-type]
        assert front.connections(), "the login is done"

    def ask(self, cdb: bytes, depth: int, *, read: int = 0, data: bytes = b"") -> None:
        """Send so many commands at once."""
        said = b""
        for _ in range(depth):
            self.number += 1
            said += command(cdb, self.number, read=read, write=len(data), data=data)
        self.wire.incoming = memoryview(said)

    def serve(self) -> None:
        """Let the target do what was asked."""
        ready, wire = self.loop.watched[5][1], self.wire
        self.loop.woke_ns = time.monotonic_ns()
        while wire.incoming:
            ready(READABLE)


def best_ns(session: Session, depth: int, after: Callable[[], None], ask: Ask) -> float:
    """Return the nanoseconds of an I/O in the quickest round, without what the initiator does."""
    best = float("inf")
    for _ in range(_ROUNDS):
        spent = 0
        for _ in range(_COUNT // depth):
            ask(depth)
            began = time.perf_counter_ns()
            session.serve()
            after()
            spent += time.perf_counter_ns() - began
        best = min(best, spent / (_COUNT // depth * depth))
    return best


def main() -> int:
    """Print every case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reactor = FakeReactor(by_hand=True)
        page = StatisticsPage.create(folder / "page", later=reactor.call_later)
        volume = attrs.evolve(
            volume_spec(folder, "file", FileOptions(path=str(folder / "x.img"))),
            size_bytes=4 << 20,
        )
        FileLifecycle().create(volume)
        ring = TraceRing.create(folder / "ring")
        tracer = Tracer(ring.write, ring.leave_out)
        context = attrs.evolve(open_context(volume, reactor, page), tracer=tracer)
        pipeline = open_pipeline(context, Registry.load(), page.publish)
        reactor.work_off()
        _print_all("file", Session(pipeline.device, page, folder, tracer), lambda: None)
        replicated = Replicated(page, tracer)
        blame = pipeline.boundaries[0]._blame
        boundary = Boundary(replicated, page.stage("device"), blame, reactor, tracer=tracer)
        _print_all("jiva x3", Session(Emulator(boundary), page, folder, tracer), replicated.carry)
    return 0


def _print_all(engine: str, session: Session, after: Callable[[], None]) -> None:
    write, read, data = write_10(0, _LBA), read_10(0, _LBA), bytes(_BLOCK)
    asks: dict[str, Ask] = {"write": lambda depth: session.ask(write, depth, data=data)}
    if engine == "file":
        asks["read"] = lambda depth: session.ask(read, depth, read=_BLOCK)
    for name, ask in asks.items():
        for depth in _DEPTHS:
            ns = best_ns(session, depth, after, ask)
            sys.stdout.write(f"{engine:8} {name:5}, depth {depth:2}: {ns:8.0f} ns\n")


if __name__ == "__main__":
    sys.exit(main())
