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
import random
import re
import selectors
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import attrs

from iscsi.fuzz_connection import mutate, random_session
from iscsi.initiator import command, nop_out, read_10, request, task_management, text, write_10
from serving.server import IQN, Server
from serving.volumes import jiva, volume
from system.wire import Address, Wire

#: An honest initiator's pings and logins take no longer, whatever the storm.
NOP_S_MAX, LOGIN_S_MAX = 0.5, 2.0
TARGET = f"{IQN}:demo"
INQUIRY = bytes((0x12, 0, 0, 0, 96, 0))
LBA_STATUS = bytes((0x9E, 0x12)) + bytes(8) + b"\0\0\0\x40\0\0"
MIB = 1 << 20
#: Sessions of most storms: what a target takes by default, but one for the honest initiator and
#: one for its logins.
SESSION_COUNT = 14
#: Storms that send target cold resets, which end every session.
ENDS_ALL = frozenset({"mutants"})
FORK = multiprocessing.get_context("fork")

Seen = Counter[str]


@attrs.frozen
class Size:
    """How large a storm is.

    Attributes:
        seconds: How long it lasts.
        runs: Mutated sessions, all in all.
        connections: Slow connections.
        logins: Logins at once.
        sessions: Sessions of the storm that wants many.
    """

    seconds: float = 20.0
    runs: int = 100_000
    connections: int = 1000
    logins: int = 500
    sessions: int = 600


SHORT = Size(seconds=2.0, runs=300, connections=200, logins=100, sessions=100)


# -- the storms: each runs in a process of its own -------------------------------------------------


def sessions(address: Address, count: int, **keys: str) -> list[Wire]:
    wires = []
    for number in range(1, count + 1):
        # One after the other: of connections that say nothing the portal keeps some hundreds only.
        wires.append(Wire(address, TARGET, initiator="storm", number=number))
        assert wires[-1].login(**keys) == 0
    return wires


def pour(wires: list[Wire], streams: list[bytes], stop: Event, *, reads: bool) -> Seen:
    """Send as fast as the sockets take it; drop the answers, or leave them."""
    seen: Seen = Counter()
    with selectors.DefaultSelector() as selector:
        for wire, stream in zip(wires, streams, strict=True):
            wire.socket.setblocking(False)
            mask = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
            selector.register(wire.socket, mask, memoryview(stream))
        while not stop.is_set():
            for key, events in selector.select(0.1):
                try:
                    _pour_some(selector, key, events, seen)
                except BlockingIOError:
                    continue
                except OSError:
                    seen["sessions that were ended"] += 1
                    selector.unregister(key.fileobj)
    return seen


def _pour_some(
    selector: selectors.BaseSelector, key: selectors.SelectorKey, events: int, seen: Seen
) -> None:
    connection, left = key.fileobj, key.data
    assert isinstance(connection, socket.socket)
    if events & selectors.EVENT_READ and not connection.recv(MIB):
        raise ConnectionResetError
    if events & selectors.EVENT_WRITE:
        left = left[connection.send(left[: 1 << 18]) :]
        seen["KiB that were taken"] += (len(key.data) - len(left)) >> 10
        # What was taken whole is only listened to from now on.
        selector.modify(connection, key.events if left else selectors.EVENT_READ, left)


def flood(address: Address, stop: Event, _size: Size) -> Seen:
    """Small commands of every kind, as fast as they are taken."""
    kinds: list[Callable[[int], bytes]] = [
        lambda n: command(INQUIRY, n, read=96),
        lambda n: command(LBA_STATUS, n, read=64),
        lambda n: nop_out(n, tag=n),
        lambda n: request(4, n, text({"SendTargets": ""}), tag=n),
        lambda n: command(read_10(0, 8), n, read=4096),
        lambda n: command(write_10(0, 8, fua=True), n, write=4096, data=bytes(4096)),
    ]
    wires = sessions(address, SESSION_COUNT)
    streams = [
        b"".join(kinds[index % len(kinds)](n) for n in range(1, 60_000 if index % 6 < 5 else 6000))
        for index in range(len(wires))
    ]
    return pour(wires, streams, stop, reads=True)


def deaf(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that ask for much and never read it."""
    wires = sessions(address, SESSION_COUNT)
    reads = b"".join(command(read_10(0, 2048), n, read=MIB) for n in range(1, 129))
    pings = b"".join(nop_out(129, bytes(1024), tag=n) for n in range(1, 2000))
    return pour(wires, [reads + pings] * len(wires), stop, reads=False)


def mute(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that announce large writes and never send their data."""
    wires = sessions(address, SESSION_COUNT)
    stream = b"".join(
        command(write_10(0, 2048), n, write=MIB, data=bytes(64 << 10)) for n in range(1, 129)
    )
    return pour(wires, [stream] * len(wires), stop, reads=True)


def tiny(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that take 512 bytes in a PDU and read much."""
    wires = sessions(address, SESSION_COUNT, MaxRecvDataSegmentLength="512")
    stream = b"".join(command(read_10(0, 2048), n, read=MIB) for n in range(1, 2000))
    return pour(wires, [stream] * len(wires), stop, reads=True)


def resets(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that write, abort and reset, all the time."""
    wires = sessions(address, SESSION_COUNT)
    stream = b"".join(
        command(write_10(n % 64, 1), n, write=512, data=bytes(512))
        + task_management(1 + n % 6, n + 1, task=n)
        for n in range(1, 30_000)
    )
    return pour(wires, [stream] * len(wires), stop, reads=True)


def logins(address: Address, stop: Event, size: Size) -> Seen:
    """Logins by the hundred at once; each must be answered."""
    seen: Seen = Counter()
    wave = 0
    while not stop.is_set():
        wires = []
        for number in range(size.logins):
            wire = Wire(address, TARGET, initiator="storm", number=wave << 16 | number)
            wire.socket.sendall(wire.login_request())
            wires.append(wire)
        for wire in wires:
            try:
                seen[f"logins answered {wire.answer().login_status:#06x}"] += 1
            except (OSError, EOFError) as error:
                seen[f"logins unanswered ({type(error).__name__})"] += 1
            wire.close()
        wave += 1
    return seen


def slow(address: Address, stop: Event, size: Size) -> Seen:
    """Connections that say a byte at a time, and never whom they want."""
    seen: Seen = Counter()
    whole = Wire(address, TARGET).login_request()
    wires: dict[Wire, int] = {}
    while not stop.is_set():
        while len(wires) < size.connections:
            with contextlib.suppress(OSError):
                wires[Wire(address, TARGET, initiator="slow")] = 0
                seen["connections"] += 1
        for wire, at in list(wires.items()):
            try:
                wire.socket.send(whole[at : at + 1])
                wires[wire] = min(at + 1, len(whole) - 2)
            except OSError:
                del wires[wire]
                wire.close()
        stop.wait(0.05)
    return seen


def mutants(address: Address, stop: Event, size: Size) -> Seen:
    """Sessions that are mostly right, with some bytes changed, lost or repeated."""
    seen: Seen = Counter()
    dice = random.Random(size.runs)
    while seen["runs"] < size.runs:
        seed = dice.getrandbits(32)
        wire = Wire(address, TARGET, initiator="mutant", number=seed & 7, timeout_s=5)
        stream = random_session(seed)
        begin = wire.login_request()
        with contextlib.suppress(OSError):
            if seed % 8:
                wire.socket.sendall(begin + mutate(stream, seed))
            else:
                wire.socket.sendall(mutate(begin, seed) + stream)
            wire.socket.shutdown(socket.SHUT_WR)
            while wire.socket.recv(1 << 16):
                pass
        wire.close()
        seen["runs"] += 1
    stop.wait(0)
    return seen


def many(address: Address, stop: Event, size: Size) -> Seen:
    """Many sessions on one target, each of which says something now and then."""
    wires = sessions(address, size.sessions)
    seen: Seen = Counter({"sessions": len(wires)})
    while not stop.is_set():
        for wire in wires:
            wire.ping()
            seen["pings"] += 1
    return seen


STORMS = {
    one.__name__: one for one in (flood, deaf, mute, tiny, resets, logins, slow, mutants, many)
}


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
