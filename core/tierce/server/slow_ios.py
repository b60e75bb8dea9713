"""The last I/Os of a volume that took too long, and what made them so, in a line each."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tierce.errors import FormatError
from tierce.process.telling import format_time
from tierce.volume.trace_ring import SLOT_COUNT, TraceRing

#: So many are shown.
SHOWN_COUNT = 5
#: Of the stages of each so many, those that took longest.
STAGE_COUNT = 5
_NS_PER_MS = 1_000_000


def slow_ios(path: Path) -> list[str]:
    """Return the last ones that a ring has, the newest last; none if it can't be read."""
    try:
        ring = TraceRing.open(path)
    except FormatError:
        return []
    found: list[str] = []
    with contextlib.closing(ring):
        last = ring.next_number
        for number in range(last - 1, max(last - SLOT_COUNT, 0) - 1, -1):
            record = ring.read(number)
            if record is not None and record["is_slow"]:
                found.append(describe(record))
            if len(found) == SHOWN_COUNT:
                break
    return found[::-1]


def describe(record: dict[str, Any]) -> str:
    """Say what an I/O was, how long it took, and how long its longest stages."""
    what = f"{record['operation'].upper()} of {record['length']} bytes at {record['offset']}"
    text = f"{format_time(record['start_ns'])} {what} took {_ms(record['elapsed_ns'])}"
    if record["code"] != "good":
        text += f" ({record['code']})"
    stages = [
        f"{one['stage']}{'/' * bool(one['member'])}{one['member']} {_ms(one['elapsed_ns'])}"
        for one in sorted(record["stages"], key=lambda one: -one["elapsed_ns"])
    ]
    left = len(stages) - STAGE_COUNT
    if left > 0:
        stages[STAGE_COUNT:] = [f"{left} more"]
    return text + (f": {', '.join(stages)}" if stages else "")


def _ms(elapsed_ns: int) -> str:
    return f"{elapsed_ns / _NS_PER_MS:.1f} ms"
