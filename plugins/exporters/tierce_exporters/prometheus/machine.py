"""What the kernel says of a process: how much CPU it has had, and how much memory it has."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: Of /proc/PID/stat behind the name, which may hold anything: utime, stime, rss (proc(5), less 3).
_UTIME, _STIME, _RSS = 11, 12, 21


@attrs.frozen
class Usage:
    """What a process has used.

    Attributes:
        cpu_s: Seconds of CPU since it started.
        resident_bytes: Memory that it holds, what it shares with others too.
    """

    cpu_s: float
    resident_bytes: int


def usage_of(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """Return what a process has used; None if it is gone.

    Args:
        pid: Its number.
        proc: Where the kernel tells of processes.
    """
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        ticks = int(fields[_UTIME]) + int(fields[_STIME])
        return Usage(ticks / _TICKS_PER_S, int(fields[_RSS]) * _PAGE_BYTES)
    except (OSError, IndexError, ValueError):
        return None
