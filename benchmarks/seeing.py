"""What it costs that I/Os can be seen into: on servers, and in one process without sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.servers import Tierce, file_volume, jiva_volume

HERE = Path(__file__).parent
#: How much is seen, and what tells a server so (`seeing_site`).
SEEING = {"all off": "off", "default": "", "1 in 100": "100", "1 in 1": "1"}
ENGINES = ("file", "jiva x3")
DEPTHS = (1, 8, 32)
OPS = ("read", "write")


def contenders(folder: Path, size_bytes: int) -> dict[str, Tierce]:
    """Return a server for each engine and each way of seeing."""
    made = {}
    for index, (seeing, every) in enumerate(SEEING.items()):
        own = folder / f"seeing-{index}"
        own.mkdir()
        volumes = (file_volume(own, size_bytes), jiva_volume(own, size_bytes, 3))
        for engine, volume in zip(ENGINES, volumes, strict=True):
            name = engine.replace(" ", "")
            environment = {
                **os.environ,
                "PYTHONPATH": _path(HERE / "seeing_site"),
                "TIERCE_BENCH_EVERY": every,
            }
            made[_key(engine, seeing)] = Tierce(name, own, volume, environment)
    return made


def cases() -> dict[str, tuple[str, ...]]:
    """Return the load generator's arguments by case."""
    return {
        f"{op} d{depth}": ("--op", op, "--bytes", "4096", "--depth", str(depth))
        for op in OPS
        for depth in DEPTHS
    }


def in_process(rounds: int) -> dict[str, dict[str, float]]:
    """Return nanoseconds an I/O by case and by what is seen, of a target without sockets."""
    done = subprocess.run(
        [sys.executable, "-m", "measures.io_cost", "--json", "--rounds", str(rounds)],
        env={**os.environ, "PYTHONPATH": _path(HERE.parent / "tests")},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def tables(found: Mapping[str, Any]) -> list[str]:
    """Return what was found, in Markdown.

    Args:
        found: "in_process": see there. "servers": by engine and seeing, by case, the rounds.
    """
    heads = list(SEEING)
    lines = [
        "## What seeing costs",
        "",
        "An I/O can be seen into: it is counted at each stage, and one in a thousand, 20 a second "
        "at most, is followed. *All off* counts and follows nothing on servers; in one process it "
        "counts what was counted before any of that, initiators' and the engine's I/Os.",
        "",
        "Nanoseconds an I/O in a target's process, without sockets, the best of many rounds in "
        "turn; with jiva its three replicas are in the same process:",
        "",
        "| case | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for case, figures in found["in_process"].items():
        off = figures["all off"]
        more = [f"{figures[head]:.0f} ({100 * (figures[head] / off - 1):+.1f} %)" for head in heads]
        cells = [f"{off:.0f}", *more[1:]]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Of servers, in turn: medians of IOPS, and of CPU us per I/O of all their processes:",
        "",
        "| case | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for engine in ENGINES:
        for case in cases():
            cells = [_cell(found["servers"][_key(engine, head)][case]) for head in heads]
            lines.append(f"| {engine} {case} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _path(folder: Path) -> str:
    """Return a PYTHONPATH with the folder before what is there already."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def _key(engine: str, seeing: str) -> str:
    return f"{engine}, {seeing}"


def _cell(rounds: Sequence[Mapping[str, float]]) -> str:
    iops, used = (sorted(one[key] for one in rounds) for key in ("iops", "server_us"))
    return f"{iops[len(iops) // 2] / 1e3:.1f}k, {used[len(used) // 2]:.1f} us"
