"""What the kernel says of processes is read whatever they are called."""

from __future__ import annotations

import os
from pathlib import Path

from tierce_exporters.prometheus.machine import Usage, usage_of

STAT = "7 ((odd) name) S 1 7 7 0 -1 4194560 10 0 0 0 {utime} {stime} 0 0 20 0 1 0 99 1000 {rss} 18"


def write(proc: Path, text: str) -> None:
    (proc / "7").mkdir()
    (proc / "7" / "stat").write_text(text)


def test_cpu_and_memory_are_read_in_seconds_and_bytes(tmp_path: Path) -> None:
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    write(tmp_path, STAT.format(utime=2 * ticks_per_s, stime=ticks_per_s // 2, rss=3))
    assert usage_of(7, tmp_path) == Usage(2.5, 3 * os.sysconf("SC_PAGE_SIZE"))


def test_a_process_that_is_gone_or_ends_just_now_uses_nothing(tmp_path: Path) -> None:
    assert usage_of(7, tmp_path) is None
    write(tmp_path, "7 (name")
    assert usage_of(7, tmp_path) is None


def test_the_kernels_own_words_are_understood() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None
    assert usage.resident_bytes > 1 << 20
