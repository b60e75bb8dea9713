"""What `tierce volume show` says of I/Os that took too long."""

from __future__ import annotations

from pathlib import Path

import attrs

from core.volume.test_trace_ring import io
from tierce import Code
from tierce.server.slow_ios import SHOWN_COUNT, slow_ios
from tierce.volume.trace_ring import TraceRing


def test_the_last_slow_ones_are_told_with_what_made_them_slow(tmp_path: Path) -> None:
    ring = TraceRing.create(tmp_path / "ring")
    stamps = (("jiva.replica", "b", 0, 300_000_000, 0), ("device", "", 0, 310_000_000, 0))
    for number in range(SHOWN_COUNT + 2):
        ring.write(attrs.evolve(io(number, *stamps), code=Code.GOOD))
        ring.write(attrs.evolve(io(number), is_slow=False, is_sampled=True))
    ring.write(io(99))
    ring.close()
    shown = slow_ios(tmp_path / "ring")
    assert len(shown) == SHOWN_COUNT
    assert shown[0] == (
        "2001-09-09T01:46:40.000Z WRITE of 4096 bytes at 3 took 312.0 ms: device 310.0 ms, "
        "jiva.replica/b 300.0 ms"
    )
    assert shown[-1].endswith("WRITE of 4096 bytes at 99 took 312.0 ms (write error)")


def test_of_many_stages_the_longest_are_told(tmp_path: Path) -> None:
    ring = TraceRing.create(tmp_path / "ring")
    stages = [("replica.sync", f"r{number}", 0, number * 10_000_000, 0) for number in range(8)]
    ring.write(io(1, *stages))
    ring.close()
    (shown,) = slow_ios(tmp_path / "ring")
    assert ": replica.sync/r7 70.0 ms, replica.sync/r6 60.0 ms, " in shown
    assert shown.endswith(", replica.sync/r3 30.0 ms, 3 more")


def test_where_there_is_no_ring_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert slow_ios(tmp_path / "none") == []
