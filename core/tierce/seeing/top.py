"""What `tierce volume top` shows: rows from what volumes did between two looks, and tables of them
that fit a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from tierce.health import Health
from tierce.seeing.interval import MEMBER_MARK, NOTHING, Counted, VolumeInterval
from tierce.seeing.self_times import self_times
from tierce.seeing.why import OperationFinding, finding_of
from tierce.seeing.wording import amount, duration, percent

Row = dict[str, Any]

_READS = ("read",)
#: What changes bytes for an initiator.
_WRITES = ("write", "write_zeroes", "compare_and_write", "discard")
_GAP = "  "
_WORDS_OF_TROUBLE = frozenset(one.value for one in Health) - {Health.HEALTHY.value}


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        key: Of the rows, and what it is sorted by.
        heading: What stands above it.
        text: Returns what a cell shows.
        rank: Where there is no room for all, those of the highest rank go first; 0 never goes.
        is_text: It is aligned to the left, and sorted from the beginning of the alphabet.
    """

    key: str
    heading: str
    text: Callable[[Any], str]
    rank: int
    is_text: bool = False


def _text(value: Any) -> str:
    return str(value) or "-"


def _rate(value: float) -> str:
    return amount(value) if value else "-"


def _time(value: float) -> str:
    return duration(value) if value else "-"


def _age(value: float) -> str:
    return duration(value * 1e9) if value else "-"


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


VOLUME_COLUMNS = (
    Column("volume", "VOLUME", _text, 0, is_text=True),
    Column("health", "HEALTH", _text, 1, is_text=True),
    Column("reads_per_s", "R/s", _rate, 2),
    Column("writes_per_s", "W/s", _rate, 2),
    Column("read_bytes_per_s", "R B/s", _rate, 5),
    Column("written_bytes_per_s", "W B/s", _rate, 5),
    Column("mean_ns", "MEAN", _time, 3),
    Column("p50_ns", "P50", _time, 7),
    Column("p99_ns", "P99", _time, 1),
    Column("in_flight", "FLIGHT", _rate, 6),
    Column("oldest_s", "OLDEST", _age, 4),
    Column("dominant", "MOST OF THE TIME", _text, 3, is_text=True),
)
STAGE_COLUMNS = (
    Column("stage", "STAGE", _text, 0, is_text=True),
    Column("operation", "OPERATION", _text, 1, is_text=True),
    Column("per_s", "/s", _rate, 2),
    Column("bytes_per_s", "B/s", _rate, 5),
    Column("mean_ns", "MEAN", _time, 1),
    Column("p50_ns", "P50", _time, 6),
    Column("p99_ns", "P99", _time, 2),
    Column("failed", "FAILED", _rate, 4),
    Column("last_share", "LAST", _share, 3),
)


def volume_row(interval: VolumeInterval) -> Row:
    """Return what a volume did, in numbers and one word."""
    every = NOTHING
    for counted in interval.root.values():
        every = every.plus(counted)
    reads, writes = _sum(interval, _READS), _sum(interval, _WRITES)
    parked = interval.parked.values()
    times: dict[str, float] = {}
    for found in findings_of(interval):
        for one in found.causes:
            times[one.cause.label] = times.get(one.cause.label, 0.0) + found.total_ns * one.share
    return {
        "volume": interval.name,
        "health": interval.health,
        "reads_per_s": reads.count / interval.seconds,
        "writes_per_s": writes.count / interval.seconds,
        "read_bytes_per_s": reads.bytes / interval.seconds,
        "written_bytes_per_s": writes.bytes / interval.seconds,
        "mean_ns": every.mean_ns,
        "p50_ns": every.quantile_ns(0.5),
        "p99_ns": every.quantile_ns(0.99),
        # Each stage has what those below it have, too.
        "in_flight": max((one.count for one in parked), default=0),
        "oldest_s": max((one.oldest_s for one in parked), default=0.0),
        "dominant": max(times, key=lambda label: times[label], default=""),
    }


def stage_rows(interval: VolumeInterval) -> list[Row]:
    """Return what each stage of a volume did of each operation: of its target, then of each of its
    members."""
    rows = [
        _stage_row(interval, stage, operation, counted)
        for stage, operations in interval.stages.items()
        for operation, counted in operations.items()
    ]
    for member, stages in interval.members.items():
        rows += [
            _stage_row(interval, f"{member}: {stage}", operation, counted)
            for stage, operations in stages.items()
            for operation, counted in operations.items()
        ]
    return rows


def findings_of(interval: VolumeInterval) -> list[OperationFinding]:
    """Return whose time each kind of operation was, the one with the most first."""
    times = self_times(interval)
    found = [finding_of(name, interval.root[name], one) for name, one in times.items() if one]
    return sorted(found, key=lambda one: -one.total_ns)


def sorted_rows(rows: Iterable[Row], column: Column, *, is_reversed: bool) -> list[Row]:
    """Return rows in order: numbers from the largest down, words from A on; or the other way."""

    def key(row: Row) -> tuple[bool, Any]:
        value = row[column.key]
        return value is not None, value

    return sorted(rows, key=key, reverse=is_reversed == column.is_text)


def table(
    rows: Sequence[Row], columns: Sequence[Column], width: int, *, always: str = ""
) -> list[str]:
    """Return lines of at most so many characters, the headings first: what there is no room for is
    left out column by column.

    Args:
        rows: What to show.
        columns: How.
        width: Characters of a line.
        always: The key of a column that is not left out.
    """
    cells = {
        column.key: [column.heading, *(column.text(row[column.key]) for row in rows)]
        for column in columns
    }
    widths = {key: max(map(len, one)) for key, one in cells.items()}
    shown = list(columns)
    while len(shown) > 1 and _width(widths, shown) > width:
        droppable = [one for one in shown if one.rank and one.key != always]
        if not droppable:
            break
        # Of one rank the last one.
        shown.remove(max(reversed(droppable), key=lambda one: one.rank))
    return [_line(cells, widths, shown, index)[:width] for index in range(len(rows) + 1)]


def is_trouble(word: str) -> bool:
    """True if a health calls for somebody."""
    return word in _WORDS_OF_TROUBLE


def _width(widths: Mapping[str, int], columns: Sequence[Column]) -> int:
    *first, last = columns
    # The last one may be cut, as far as its heading.
    tail = len(last.heading) if last.is_text else widths[last.key]
    return sum(widths[one.key] + len(_GAP) for one in first) + tail


def _line(
    cells: Mapping[str, Sequence[str]],
    widths: Mapping[str, int],
    columns: Sequence[Column],
    index: int,
) -> str:
    parts = [
        f"{cells[one.key][index]:{'<' if one.is_text else '>'}{widths[one.key]}}" for one in columns
    ]
    return _GAP.join(parts).rstrip()


def _stage_row(interval: VolumeInterval, stage: str, operation: str, counted: Counted) -> Row:
    is_beside = MEMBER_MARK in stage and any(
        interval.of(one, operation).last for one in interval.trips.values()
    )
    return {
        "stage": stage,
        "operation": operation,
        "per_s": counted.count / interval.seconds,
        "bytes_per_s": counted.bytes / interval.seconds,
        "mean_ns": counted.mean_ns,
        "p50_ns": counted.quantile_ns(0.5),
        "p99_ns": counted.quantile_ns(0.99),
        "failed": counted.failed,
        "last_share": counted.last / counted.count if is_beside and counted.count else None,
    }


def _sum(interval: VolumeInterval, operations: Sequence[str]) -> Counted:
    found = NOTHING
    for operation in operations:
        found = found.plus(interval.root.get(operation, NOTHING))
    return found
