"""Whether I/O is held up by what looks at it, when that hangs, refuses, stands or is much.

    PYTHONPATH=tests python -m measures.held_up [--seconds S] [--only NAME]

One write at a time goes to a volume of three replicas, ten times in turn while all is quiet, while
something is wrong, and beside a burner: a process of the lowest priority (nice 19) that takes as
much CPU as what is wrong took more than quiet did. So what is compared with the burner is what is
held up beyond the CPU that is taken. Prints the medians of the p99 latencies, disturbed against
burner, and the most memory that a target and an exporter had.

Logs on a full disk need root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import attrs
from benchmarks.processes import cpu_s
from benchmarks.run import Load
from benchmarks.servers import children_of

from serving.server import Server
from system import disturbing
from system.disturbing import Behave, Peer

ROUNDS = 10
#: What was promised: the median p99 disturbed, by that beside the burner.
RATIO_MAX = 1.10
_LOAD = ("--op", "write", "--bytes", "4096", "--depth", "1", "--span", str(8 << 20))
#: A burner takes its share in slices of so long.
_SLICE_S = 0.01
_BURN = """
import sys, time
share, slice_s = map(float, sys.argv[1:])
while True:
    end = time.process_time() + share * slice_s
    began = time.monotonic()
    while time.process_time() < end:
        pass
    time.sleep(max(slice_s - (time.monotonic() - began), 0))
"""


@attrs.frozen
class Run:
    """One run of the load.

    Attributes:
        p99_us: Of its writes.
        cpus: How many CPUs were busy beside it: with the server, exporters, commands that look at
            I/Os, who scrapes and who is sent to; or with the burners.
    """

    p99_us: float
    cpus: float


@attrs.frozen
class Place:
    """A server that is measured, where its metrics are asked for, and the load's program."""

    server: Server
    address: str
    load: Path

    def run(self, seconds: float, beside: AbstractContextManager[object]) -> Run:
        """Write for so long, one block at a time, beside something."""
        words = [str(self.load), self.server.url(), *_LOAD, "--seconds", str(seconds)]
        with beside:
            began, before = time.monotonic(), self._beside_cpu_s()
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            used = self._beside_cpu_s() - before
            return Run(json.loads(done.stdout)["p99_us"], used / (time.monotonic() - began))

    def rss_mb(self) -> tuple[float, float]:
        """What the target has, and the largest exporter."""
        exporters = max(self.server.rss_kib(name) for name in disturbing.SERVICES)
        return self.server.rss_kib("target.demo") / 1024, exporters / 1024

    def _beside_cpu_s(self) -> float:
        """What all have used that don't serve these writes; peers and who scrapes are in here."""
        pids = self.server.pids()
        serving = {pid for name, pid in pids.items() if name.startswith(("target.", "member."))}
        beside = {*self.server.left(), *children_of(os.getpid())} - serving
        return cpu_s(beside)


#: What is wrong meanwhile, on a server that is there.
Disturb = Callable[[Place], AbstractContextManager[object]]


@attrs.frozen
class Case:
    """What is wrong: where exporters send to, and what is done besides."""

    behave: Behave | None
    disturb: Disturb
    is_logs_full: bool = False


def _follows(place: Place) -> AbstractContextManager[object]:
    return disturbing.every_io_slow(place.server)


@contextlib.contextmanager
def _stands(place: Place) -> Iterator[None]:
    with disturbing.every_io_slow(place.server), place.server.stopped(disturbing.SERVICES):
        yield


@contextlib.contextmanager
def _fills(place: Place) -> Iterator[None]:
    logs = place.server.data / "logs"
    disturbing.fill(logs)
    with disturbing.every_io_slow(place.server):
        yield
    (logs / "filler").unlink()


CASES = {
    "nobody there": Case(None, _follows),
    "refusing": Case(disturbing.refuses, _follows),
    "hanging": Case(disturbing.hangs, _follows),
    "slow": Case(disturbing.is_slow, _follows),
    "logs full": Case(disturbing.hangs, _fills, is_logs_full=True),
    "exporters stopped": Case(disturbing.hangs, _stands),
    "a hundred scrapes": Case(disturbing.hangs, lambda place: disturbing.scraped(place.address)),
}


@contextlib.contextmanager
def burning(cpus: float) -> Iterator[None]:
    """Take so many CPUs at the lowest priority, as far as it gets them."""
    count = max(math.ceil(cpus), 1)
    words = [sys.executable, "-c", _BURN, str(cpus / count), str(_SLICE_S)]
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            burner = stack.enter_context(subprocess.Popen(["nice", "-n", "19", *words]))
            stack.callback(burner.kill)
        yield


@attrs.define
class Found:
    """The runs of a case by round, and memory in MB of a target and the largest exporter."""

    quiet: list[Run] = attrs.field(factory=list)
    disturbed: list[Run] = attrs.field(factory=list)
    burner: list[Run] = attrs.field(factory=list)
    memory: tuple[float, float] = (0.0, 0.0)

    def row(self, name: str) -> str:
        parts = (self.quiet, self.disturbed, self.burner)
        p99 = [statistics.median(run.p99_us for run in runs) for runs in parts]
        cpus = [statistics.median(run.cpus for run in runs) for runs in parts]
        ratio = p99[1] / p99[2]
        return (
            f"{name:18}"
            + "".join(f"{us:7.0f} ({busy:4.2f})" for us, busy in zip(p99, cpus, strict=True))
            + f"{ratio:7.2f}{self.memory[0]:8.1f}{self.memory[1]:9.1f}"
            + ("" if ratio <= RATIO_MAX else f"  above {RATIO_MAX:.2f}")
        )


def measure(case: Case, load: Path, seconds: float) -> Found:
    """Measure one case on a server of its own."""
    found = Found()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if case.is_logs_full:
            stack.enter_context(disturbing.full(folder / "data" / "logs"))
        peer = stack.enter_context(Peer(case.behave))
        server = stack.enter_context(Server(folder))
        place = Place(server, disturbing.serve(server, peer), load)
        # What is written the first time takes longer.
        place.run(seconds, nullcontext())
        for _ in range(ROUNDS):
            quiet = place.run(seconds, nullcontext())
            disturbed = place.run(seconds, case.disturb(place))
            more = max(disturbed.cpus - quiet.cpus, 0.0)
            found.quiet.append(quiet)
            found.disturbed.append(disturbed)
            found.burner.append(place.run(seconds, burning(more)))
        found.memory = place.rss_mb()
    return found


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each run lasts")
    parser.add_argument("--only", choices=CASES, help="this case alone")
    given = parser.parse_args()
    print("median p99 in us (CPUs busy beside); ratio of disturbed to burner; RSS in MB")
    heads = f"{'':18}{'quiet':>14}{'disturbed':>14}{'burner':>14}"
    print(f"{heads}{'ratio':>7}{'target':>8}{'exporter':>9}")
    with tempfile.TemporaryDirectory() as folder:
        Load(Path(folder), given.seconds)
        for name, case in CASES.items():
            if given.only not in (None, name):
                continue
            if case.is_logs_full and os.geteuid() != 0:
                print(f"{name:18}left out: needs root")
                continue
            found = measure(case, Path(folder) / "load", given.seconds)
            print(found.row(name), flush=True)


if __name__ == "__main__":
    main()
