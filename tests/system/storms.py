"""What hostile and unlucky initiators do to honest ones: storms on a real server, and beside each
an honest initiator whose pings and logins are timed.

    python -m system.storms [--seconds 20] [--runs 100000] [--engine file] [NAME ...]

Run from `tests` (or `make storms`). Prints for each storm how long the honest one's NOPs and logins
took, and the target's and the portal's peak memory; ends with 1 if a process died, a login was not
answered, or a bar was missed. The tests run a short form, in which nothing is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import attrs

from serving.server import Server
from serving.volumes import jiva, volume
from system.hostile import ENDS_ALL, STORMS, TARGET, Seen, Size
from system.wire import Address, Wire

#: An honest initiator's pings and logins take no longer, whatever the storm.
NOP_S_MAX, LOGIN_S_MAX = 0.5, 2.0
FORK = multiprocessing.get_context("fork")


# -- the honest one --------------------------------------------------------------------------------


@attrs.define
class Honest:
    """What an honest initiator had to bear.

    Attributes:
        pings: How long each took, in seconds.
        logins: How long each took until it was in, in seconds.
        endings: How often its session was ended.
        faults: What should not have been.
    """

    pings: list[float] = attrs.field(factory=list)
    logins: list[float] = attrs.field(factory=list)
    endings: int = 0
    faults: list[str] = attrs.field(factory=list)


def be_honest(address: Address, stop: Event) -> Honest:
    """Ping on one session, and log in and out beside it, until the storm is over."""
    felt = Honest()
    wire = _log_in(address, 1)
    number = 0
    while not stop.wait(0.02):
        try:
            felt.pings.append(_timed(wire.ping))
        except (OSError, EOFError):
            felt.endings += 1
            wire = _log_in(address, 1)
        try:
            if number % 10 == 0:
                felt.logins.append(_timed(lambda: _log_in(address, 2).close()))
        except (OSError, EOFError, AssertionError) as error:
            felt.faults.append(f"a login: {type(error).__name__}: {error}")
            break
        number += 1
    wire.close()
    return felt


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _log_in(address: Address, number: int) -> Wire:
    """Log in until that is possible: `try again` is an answer, and time goes on."""
    while True:
        wire = Wire(address, TARGET, initiator="honest", number=number)
        status = wire.login()
        if not status:
            return wire
        wire.close()
        assert status >> 8 == 3, f"refused with {status:#06x}"
        time.sleep(0.05)


# -- running ---------------------------------------------------------------------------------------


@attrs.frozen
class Report:
    """What came of a storm.

    Attributes:
        name: The storm's.
        seen: What it counted.
        honest: What the honest initiator felt.
        peak_mib: Peak memory of the target and of the portal while it lasted.
        deaths: Processes that are not the ones they were.
    """

    name: str
    seen: Seen
    honest: Honest
    peak_mib: dict[str, int]
    deaths: list[str]

    @property
    def faults(self) -> list[str]:
        """What must never be."""
        faults = [key for key in self.seen if "unanswered" in key]
        if self.honest.endings and self.name not in ENDS_ALL:
            faults.append(f"an honest session was ended {self.honest.endings} times")
        return [*self.deaths, *self.honest.faults, *faults]

    @property
    def is_in_time(self) -> bool:
        """True if the honest initiator's bars were kept."""
        return max(self.honest.pings) <= NOP_S_MAX and max(self.honest.logins) <= LOGIN_S_MAX

    def __str__(self) -> str:
        pings = sorted(self.honest.pings) or [float("nan")]
        worst = max(self.honest.logins, default=float("nan"))
        peaks = ", ".join(f"{name} {mib} MiB" for name, mib in self.peak_mib.items())
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.seen.items()))
        return (
            f"{self.name:8} NOP p50 {pings[len(pings) // 2] * 1e3:.1f} ms, "
            f"p99 {pings[len(pings) * 99 // 100] * 1e3:.0f} ms, max {pings[-1] * 1e3:.0f} ms "
            f"of {len(pings)}; logins max {worst * 1e3:.0f} ms of {len(self.honest.logins)}; "
            f"peak {peaks}; {counts}" + "".join(f"; FAULT: {fault}" for fault in self.faults)
        )


@contextlib.contextmanager
def serving(folder: Path, engine: str) -> Iterator[Server]:
    """A server with one volume and room for all sessions."""
    if engine == "jiva":
        made = jiva("demo", "64 MiB")
    else:
        options = {"path": str(folder / "demo.img")} if engine == "file" else {}
        made = volume("demo", engine, "64 MiB", **options)
    with Server(folder) as server:
        listen = [f"127.0.0.1:{server.port}"]
        server.configure(made, frontends={"iscsi": {"listen": listen, "session_count_max": 1024}})
        server.start()
        while True:
            with contextlib.suppress(OSError, EOFError):
                wire = Wire(("127.0.0.1", server.port), TARGET)
                status = wire.login()
                wire.close()
                if not status:
                    break
            assert server.is_serving, server.story()
            time.sleep(0.1)
        yield server


def run_storm(server: Server, name: str, size: Size) -> Report:
    """Let one storm rage beside an honest initiator."""
    address = ("127.0.0.1", server.port)
    before = server.pids()
    watched = {"target": before["target.demo"], "portal": before["portal"]}
    for pid in watched.values():
        # Resets the peak (proc(5)).
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    stop, storm_stop = FORK.Event(), FORK.Event()
    honest = _begin(be_honest, address, stop)
    storm = _begin(STORMS[name], address, storm_stop, size)
    if name != "mutants":
        time.sleep(size.seconds)
        storm_stop.set()
    seen = storm()
    stop.set()
    felt = honest()
    peaks = {which: _peak_mib(pid) for which, pid in watched.items()}
    after = server.pids()
    deaths = [f"{one} died" for one, pid in before.items() if after.get(one) != pid]
    if isinstance(seen, str):
        deaths.append(seen)
        seen = Counter()
    return Report(name, seen, felt, peaks, deaths)


def _begin(work: Callable[..., Any], *arguments: object) -> Callable[[], Any]:
    """Run something in a process of its own; return what waits for its result."""
    ours, theirs = FORK.Pipe()

    def run() -> None:
        try:
            theirs.send(work(*arguments))
        except Exception as error:  # noqa: BLE001 - it is the other process's to judge
            theirs.send(f"{work.__name__} failed: {error!r}")

    process = FORK.Process(target=run)
    process.start()
    theirs.close()

    def wait() -> Any:
        result = ours.recv()
        process.join()
        return result

    return wait


def _peak_mib(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) >> 10
    return 0


def main() -> None:
    """Run the storms that are named, or all."""
    args = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    args.add_argument("--seconds", type=float, default=Size().seconds)
    args.add_argument("--runs", type=int, default=Size().runs)
    args.add_argument("--engine", default="file", choices=("memory", "file", "jiva"))
    args.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STORMS))
    chosen = args.parse_args()
    size = attrs.evolve(Size(), seconds=chosen.seconds, runs=chosen.runs)
    is_good = True
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), chosen.engine) as server:
        for name in chosen.names or STORMS:
            report = run_storm(server, name, size)
            print(report, flush=True)
            is_good = is_good and not report.faults and report.is_in_time
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
