"""Measure Tierce beside tgt and istgt: servers in turn, several rounds, one run.

python -m benchmarks.run [--rounds N] [--seconds S] [--quick | --only-seeing] [--write]
                         [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from benchmarks import report, seeing
from benchmarks.cases import CASES, Case
from benchmarks.processes import cpu_ns, cpu_s, memory_of, name_of
from benchmarks.servers import (
    Istgt,
    MissingServerError,
    Server,
    Tgt,
    Tierce,
    file_volume,
    jiva_volume,
)

HERE = Path(__file__).parent
SIZE_BYTES = 512 << 20
#: What is read and written: less than the files, so that all of it stays in the page cache.
SPAN_BYTES = 256 << 20
_IDLE_VOLUMES = 10


class Startable(Protocol):
    """A server that is not started yet."""

    def start(self) -> Server:
        """Start it."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class Load:
    """The load generator.

    Args:
        folder: Where it is built.
        seconds: How long each run lasts.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._program = folder / "load"
        self._seconds = seconds
        source = HERE / "load" / "load.c"
        subprocess.run(["cc", "-O2", "-o", str(self._program), str(source), "-liscsi"], check=True)

    def fill(self, server: Server) -> None:
        """Write the span once, 4 KiB at a time, no two neighbours in turn, through the server: so
        every server's file lies in the page cache in folios of 4 KiB."""
        self._run(server.url, ("--op", "fill", "--bytes", "4096", "--depth", "32"), None)

    def run(
        self, server: Server, arguments: tuple[str, ...], cpus: set[int] | None = None
    ) -> dict[str, float]:
        """Run once; add the server's CPU per I/O."""
        before = cpu_s(server.pids)
        found = self._run(server.url, (*arguments, "--seconds", str(self._seconds)), cpus)
        used = cpu_s(server.pids) - before
        found["server_us"] = used * 1e6 / max(found["count"], 1)
        return found

    def hold(self, server_url: str, seconds: float) -> subprocess.Popen[str]:
        """Open a session and leave it idle: one read, then nothing."""
        script = (
            "import ctypes, sys, time\n"
            "lib = ctypes.CDLL('libiscsi.so.7')\n"
            "for name in ('iscsi_create_context', 'iscsi_parse_full_url'):\n"
            "    getattr(lib, name).restype = ctypes.c_void_p\n"
            "class Url(ctypes.Structure):\n"
            "    _fields_ = [('portal', ctypes.c_char * 256), ('target', ctypes.c_char * 256)]\n"
            "context = ctypes.c_void_p(lib.iscsi_create_context(b'iqn.2026-11.io.tierce:idle'))\n"
            "parsed = lib.iscsi_parse_full_url(context, sys.argv[1].encode())\n"
            "url = Url.from_address(parsed)\n"
            "lib.iscsi_set_targetname(context, url.target)\n"
            "lib.iscsi_set_session_type(context, 2)\n"
            "assert lib.iscsi_full_connect_sync(context, url.portal, 0) == 0\n"
            "print('up', flush=True)\n"
            "end = time.monotonic() + float(sys.argv[2])\n"
            "import select\n"
            "while time.monotonic() < end:\n"
            "    ready = select.select([lib.iscsi_get_fd(context)], [], [], 1)[0]\n"
            "    if ready: assert lib.iscsi_service(context, 1) == 0\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, server_url, str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if process.stdout.readline().strip() != "up":
            raise RuntimeError(f"can't open a session on {server_url}")
        return process

    def _run(self, url: str, arguments: tuple[str, ...], cpus: set[int] | None) -> dict[str, float]:
        command = [str(self._program), url, "--span", str(SPAN_BYTES), *arguments]
        if cpus is not None:
            command = ["taskset", "-c", ",".join(map(str, sorted(cpus))), *command]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        found: dict[str, float] = json.loads(done.stdout)
        return found


def contenders(folder: Path) -> dict[str, Startable]:
    """Return who is measured, in the order of the tables."""
    made: dict[str, Startable] = {}
    for name, peer in (("tgt", Tgt), ("istgt", Istgt)):
        try:
            made[name] = peer(folder, SIZE_BYTES)
        except MissingServerError as error:
            print(f"left out: {error}", file=sys.stderr)
    made["file"] = Tierce("file", folder, file_volume(folder, SIZE_BYTES))
    made["jiva x1"] = Tierce("jiva1", folder, jiva_volume(folder, SIZE_BYTES, 1))
    made["jiva x3"] = Tierce("jiva3", folder, jiva_volume(folder, SIZE_BYTES, 3))
    return made


def measure(
    load: Load, servers: Mapping[str, Server], rounds: int
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Visit the servers in turn, case by case, round by round."""
    every = set(range(os.cpu_count() or 1))
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        name: {case.name: [] for case in CASES} for name in servers
    }
    for number in range(rounds):
        for case in CASES:
            # What the case before left to be written back must not disturb this one.
            os.sync()
            for name, server in servers.items():
                found[name][case.name].append(_one(load, server, case, every))
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return found


def _one(load: Load, server: Server, case: Case, every: set[int]) -> dict[str, float]:
    if not case.one_core:
        return load.run(server, case.arguments)
    server.pin({0})
    try:
        return load.run(server, case.arguments, {0})
    finally:
        server.pin(every)


def flush_interference(load: Load, servers: Mapping[str, Server]) -> dict[str, Any]:
    """Read p99 at depth 16, with and without flushes on the same session."""
    reads = ("--op", "read", "--bytes", "4096", "--depth", "16")
    found = {}
    for name, server in servers.items():
        runs = [
            (load.run(server, reads), load.run(server, (*reads, "--flush-every-ms", "10")))
            for _ in range(3)
        ]
        runs.sort(key=lambda pair: pair[1]["p99_us"])
        found[name] = {"without": runs[1][0], "with": runs[1][1]}
    return found


def cost_of_seeing(load: Load, folder: Path, rounds: int) -> dict[str, Any]:
    """Visit servers that see more and less in turn, and measure in one process besides."""
    made = seeing.contenders(folder, SIZE_BYTES)
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {} for name in made}
    servers: dict[str, Server] = {}
    try:
        for name, server in made.items():
            servers[name] = server.start()
            load.fill(servers[name])
        for _ in range(rounds):
            for case, arguments in seeing.cases().items():
                os.sync()
                for name, one in servers.items():
                    found[name].setdefault(case, []).append(load.run(one, arguments))
    finally:
        for name in servers:
            made[name].stop()
    return {"servers": found, "in_process": seeing.in_process(20 * rounds)}


def idle(load: Load, folder: Path, seconds: int) -> dict[str, Any]:
    """Ten open volumes, ten idle sessions: what they cost."""
    volumes = "".join(
        jiva_volume(folder, 64 << 20, 3, name=f"idle-{number}") for number in range(_IDLE_VOLUMES)
    )
    tierce = Tierce("idle", folder, volumes)
    server = tierce.start()
    base = server.url.removesuffix("bench/0")
    holders = [load.hold(f"{base}idle-{number}/0", seconds + 30) for number in range(_IDLE_VOLUMES)]
    try:
        time.sleep(5)
        data = [pid for pid in server.pids if name_of(pid).startswith(("target", "member"))]
        others = [pid for pid in server.pids if pid not in data]
        before = cpu_ns(data), cpu_ns(others)
        time.sleep(seconds)
        after = cpu_ns(data), cpu_ns(others)
        return {
            "volumes": _IDLE_VOLUMES,
            "engine": "jiva with 3 replicas",
            "processes": len(data),
            "seconds": seconds,
            "data_ms": (after[0] - before[0]) / 1e6,
            "other_ms": (after[1] - before[1]) / 1e6,
            "memory": [
                attrs.asdict(memory_of(pid))
                for pid in sorted(server.pids, key=name_of)
                if pid in others or name_of(pid).startswith(("target.idle-0", "member.idle-0"))
            ],
        }
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()
        tierce.stop()


def how(rounds: int, seconds: float) -> list[str]:
    """Say how it was measured."""
    return [
        f"{rounds} rounds; in each, every case visits every server in turn for {seconds:g} s. One "
        "client session on libiscsi over loopback. All files lie in the page cache, filled through "
        "the server by 4 KiB writes, no two neighbours in turn (so in 4 KiB folios), and no flush "
        "but where named; before each case everything is written back to the disk. "
        "Cases with *one core*: client and server pinned to CPU 0; all others unpinned, all "
        "processes on all CPUs. Reads of jiva come from a local replica's file; a write is "
        "answered when all replicas have applied it.",
    ]


def main() -> int:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="1 round, no idle measurement")
    parser.add_argument(
        "--only-seeing", action="store_true", help="what seeing costs, and nothing else"
    )
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    parser.add_argument("--json", type=Path, help="write every figure there")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    extras: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tierce-bench-") as name:
        folder = Path(name)
        load = Load(folder, options.seconds)
        if options.only_seeing:
            print("\n".join(seeing.tables(cost_of_seeing(load, folder, rounds))))
            return 0
        started = contenders(folder)
        servers: dict[str, Server] = {}
        try:
            for key, contender in started.items():
                servers[key] = contender.start()
                load.fill(servers[key])
            found = measure(load, servers, rounds)
            ours = {key: one for key, one in servers.items() if key != "istgt"}
            extras["flush"] = flush_interference(load, ours)
        finally:
            for key in servers:
                started[key].stop()
        extras["seeing"] = cost_of_seeing(load, folder, rounds)
        if not options.quick:
            extras["idle"] = idle(load, folder, options.idle_seconds)
    text = report.write(found, extras, how(rounds, options.seconds))
    print(text)
    if options.write:
        (HERE / "RESULTS.md").write_text(text + "\n")
    if options.json:
        options.json.write_text(json.dumps({"rounds": found, "extras": extras}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
