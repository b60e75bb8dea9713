"""What one I/O costs in a target's process: front end, pipeline and engine, without a kernel's
socket in between; and what of it is seeing: counting, and following one by one.

    PYTHONPATH=tests python -m measures.io_cost [--json]

Prints nanoseconds an I/O, the best of many rounds, all variants in turn in each: so it repeats to a
percent or two on a busy machine too. Engines are `file`, of which all is in the page cache, and
`jiva` with three replicas that lie in the same process. *All off* is `measures.all_off`.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from core.fake_reactor import FakeReactor
from core.volume.model import open_context, volume_spec
from iscsi.initiator import LOGIN_KEYS, command, login, read_10, write_10
from jiva.bench import Bench as Replicas
from measures.all_off import off_stage
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
    Stage,
    Tracer,
)
from tierce.registry import Registry
from tierce.trace_limits import SAMPLE_EVERY, SLOW_NS
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

DEPTHS = (1, 8, 32)
_BLOCK = 4096
_LBA = _BLOCK // 512
#: What is asked of which engine.
CASES = (("file", "write"), ("file", "read"), ("jiva x3", "write"))
#: How much is seen: one in so many I/Os is followed; None for all off.
SEEING: Mapping[str, int | None] = {
    "all off": None,
    "default": SAMPLE_EVERY,
    "1 in 100": 100,
    "1 in 1": 1,
}
#: I/Os of a round, and rounds: the best one counts.
_COUNT, _ROUNDS = 640, 100
#: Returns the counters of the stage so named.
Stages = Callable[[str], Stage]


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

    def __init__(self, stage: Stages, tracer: Tracer) -> None:
        self.replicas = Replicas(3)
        target = self.replicas.cluster.target
        target.links.timing.tracer = tracer
        for link in target.links:
            link.answers = stage(STAGE + link.name)
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

    def __init__(self, device: Device, stage: Stages, folder: Path, tracer: Tracer) -> None:
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
                stage=stage,
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


class World:
    """A target with a volume of each engine.

    Args:
        folder: Where everything lies.
        every: One in so many I/Os is followed; None for all off.
        slow_ns: What takes longer is slow.
        is_late: The page is brought up to date some time after something was counted.
    """

    def __init__(
        self, folder: Path, every: int | None, slow_ns: int = SLOW_NS, *, is_late: bool = True
    ) -> None:
        folder.mkdir()
        loop = FakeReactor(by_hand=True)
        later = loop.call_later if is_late else None
        self.page = StatisticsPage.create(folder / "page", later=later)
        stage = self._stages(every)
        ring = TraceRing.create(folder / "ring")
        tracer = Tracer() if every is None else Tracer(ring.write, ring.leave_out, every, slow_ns)
        volume = attrs.evolve(
            volume_spec(folder, "file", FileOptions(path=str(folder / "x.img"))),
            size_bytes=4 << 20,
        )
        FileLifecycle().create(volume)
        context = open_context(volume, loop, self.page)
        context = attrs.evolve(context, tracer=tracer, stage=stage)
        pipeline = open_pipeline(context, Registry.load(), self.page.publish)
        loop.work_off()
        replicated = Replicated(stage, tracer)
        blame = pipeline.boundaries[0]._blame
        boundary = Boundary(replicated, stage("device"), blame, loop, tracer=tracer)
        self._sessions = {
            "file": Session(pipeline.device, stage, folder, tracer),
            "jiva x3": Session(Emulator(boundary), stage, folder, tracer),
        }
        self._carry = {"file": _nothing_to_carry, "jiva x3": replicated.carry}
        self._cdbs = {"write": write_10(0, _LBA), "read": read_10(0, _LBA)}

    def _stages(self, every: int | None) -> Stages:
        return off_stage if every is None else self.page.stage

    def ask(self, engine: str, op: str, depth: int) -> None:
        """Put so many commands where the target receives them."""
        read, data = (_BLOCK, b"") if op == "read" else (0, bytes(_BLOCK))
        self._sessions[engine].ask(self._cdbs[op], depth, read=read, data=data)

    def serve(self, engine: str) -> None:
        """Let the target do what was asked."""
        self._sessions[engine].serve()
        self._carry[engine]()

    def settle(self, engine: str, op: str, depth: int) -> None:
        """Let what comes once be over, and the page be up to date."""
        self.page.bring_up()
        for _ in range(3):
            self.ask(engine, op, depth)
            self.serve(engine)
        self.page.bring_up()


def _nothing_to_carry() -> None:
    """All was answered at once."""


def best_ns(
    worlds: Mapping[str, World], engine: str, op: str, depth: int, rounds: int
) -> dict[str, float]:
    """Return the nanoseconds of an I/O in each world's quickest round, without what the initiator
    does, and with what the clock does each tenth of a second."""
    best = dict.fromkeys(worlds, float("inf"))
    for world in worlds.values():
        world.settle(engine, op, depth)
    gc.collect()
    gc.freeze()
    batches = _COUNT // depth
    for _ in range(rounds):
        for name, world in worlds.items():
            spent = 0
            for _ in range(batches):
                world.ask(engine, op, depth)
                began = time.perf_counter_ns()
                world.serve(engine)
                spent += time.perf_counter_ns() - began
            began = time.perf_counter_ns()
            world.page.bring_up()
            spent += time.perf_counter_ns() - began
            best[name] = min(best[name], spent / (batches * depth))
    return best


def measured(rounds: int) -> dict[str, dict[str, float]]:
    """Return nanoseconds by case, and by how much is seen."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        worlds = {
            seeing: World(Path(name) / str(index), every)
            for index, (seeing, every) in enumerate(SEEING.items())
        }
        for engine, op in CASES:
            for depth in DEPTHS:
                found[f"{engine} {op}, depth {depth}"] = best_ns(worlds, engine, op, depth, rounds)
    return found


def main() -> int:
    """Print every case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--json", action="store_true", help="print one mapping instead")
    options = parser.parse_args()
    found = measured(options.rounds)
    if options.json:
        json.dump(found, sys.stdout)
        return 0
    for case, figures in found.items():
        off = figures["all off"]
        shown = (f"{name} {ns:.0f} ({100 * (ns / off - 1):+.1f} %)" for name, ns in figures.items())
        sys.stdout.write(f"{case:24}: {', '.join(shown)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
