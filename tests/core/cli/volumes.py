"""Data folders with pages and rings of volumes that no process serves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tierce.block.operation import Op
from tierce.block.status import Code
from tierce.process.paths import Paths
from tierce.tracing import TracedIo
from tierce.volume.statistics import StatisticsPage
from tierce.volume.trace_ring import TraceRing

MS = 1_000_000
#: Stage -> (how many writes, ms each).
Writes = Mapping[str, tuple[int, float]]


class Folder:
    """A data folder, and what targets and members of it have counted."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(data)
        self.paths.make()
        self._pages: dict[tuple[str, str], StatisticsPage] = {}
        monkeypatch.setenv("TIERCE_DATA_DIR", str(data))

    def count(self, volume: str, writes: Writes, member: str = "", op: Op = Op.WRITE) -> None:
        """Count as the volume's target does, or one of its members."""
        page = self.page(volume, member)
        for stage, (number, each_ms) in writes.items():
            page.stage(stage).add(op, number, 4096 * number, int(each_ms * MS))

    def last(self, volume: str, stage: str, number: int) -> None:
        self.page(volume).stage(stage).last(Op.WRITE, number)

    def page(self, volume: str, member: str = "") -> StatisticsPage:
        key = (volume, member)
        if key not in self._pages:
            self._pages[key] = StatisticsPage.create(self.paths.page(volume, member))
        return self._pages[key]

    def write_down(self, volume: str, elapsed_ms: float, *stages: tuple[str, str, float]) -> None:
        """Write an I/O into the ring: its stages are (stage, member, ms)."""
        ring = TraceRing.create(self.paths.traces(volume))
        ring.write(slow_io(elapsed_ms, *stages))
        ring.close()


def slow_io(elapsed_ms: float, *stages: tuple[str, str, float]) -> TracedIo:
    return TracedIo(
        op=Op.WRITE,
        offset=8192,
        length=4096,
        batch=1,
        code=Code.GOOD,
        start_ns=1_700_000_000_000_000_000,
        elapsed_ns=int(elapsed_ms * MS),
        is_sampled=False,
        is_slow=True,
        trace_id=bytes(16),
        span_id=bytes(8),
        stamps=tuple((stage, member, 0, int(ms * MS), 0) for stage, member, ms in stages),
    )
