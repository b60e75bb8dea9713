"""What processes cost: CPU and memory, from /proc."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import attrs

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time of these processes so far, user and system, in seconds."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) * _TICK_S
    return total


def cpu_ns(pids: Iterable[int]) -> int:
    """Return the CPU time of these processes' threads so far, to the nanosecond."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text().split()[0])
    return total


def name_of(pid: int) -> str:
    """Return the process's own name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


@attrs.frozen
class Memory:
    """Of one process.

    Attributes:
        name: Its name.
        rss_kib: Resident, in KiB.
        pss_kib: Its share of what is resident, in KiB.
    """

    name: str
    rss_kib: int
    pss_kib: int


def memory_of(pid: int) -> Memory:
    """Return what a process holds."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE))
    return Memory(name_of(pid), int(found["Rss"]), int(found["Pss"]))
