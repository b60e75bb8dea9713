"""What `top` shows of a volume, and how it fits a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from core.seeing.volumes import MS, interval, operation, replicated
from tierce.seeing.top import (
    STAGE_COLUMNS,
    VOLUME_COLUMNS,
    findings_of,
    is_trouble,
    sorted_rows,
    stage_rows,
    table,
    volume_row,
)
from tierce.services import Parked

COLUMNS = {column.key: column for column in VOLUME_COLUMNS}


def row(name: str = "demo", **more: Any) -> dict[str, Any]:
    found = interval(
        {
            "volume": {
                "read": operation((20, 1.0), length=20 * 4096),
                "write": operation((10, 3.0), length=10 * 4096),
                "discard": operation((10, 3.0), length=0),
            },
            "device": {"read": (20, 0.9), "write": (10, 2.9), "discard": (10, 2.9)},
        },
        name=name,
        parked={"device": Parked(2, 0.5), "filter.f": Parked(3, 0.6)},
    )
    return {**volume_row(found), **more}


def test_a_row_has_rates_latencies_and_what_is_pending() -> None:
    one = row()
    assert (one["volume"], one["health"]) == ("demo", "healthy")
    assert (one["reads_per_s"], one["writes_per_s"]) == (2.0, 2.0)
    assert (one["read_bytes_per_s"], one["written_bytes_per_s"]) == (8192.0, 4096.0)
    assert one["mean_ns"] == 2 * MS
    assert 0.9 * MS < one["p50_ns"] < 2 * MS < one["p99_ns"] < 4 * MS
    assert (one["in_flight"], one["oldest_s"]) == (3, 0.6)
    assert one["dominant"] == "the engine"


def test_what_takes_most_of_the_time_is_what_takes_it_over_all_operations() -> None:
    assert volume_row(replicated(sync={"replica-2": 20}))["dominant"] == "replica-2's fdatasync"


def test_a_volume_that_does_nothing_has_a_row_too() -> None:
    idle = volume_row(interval({"volume": {}}))
    assert (idle["mean_ns"], idle["p99_ns"], idle["in_flight"], idle["dominant"]) == (0, 0, 0, "")
    _head, line = table([idle], VOLUME_COLUMNS, 200)
    assert line.split() == ["demo", "healthy", *["-"] * 10]


def test_stages_are_told_for_the_target_and_each_member() -> None:
    rows = {(one["stage"], one["operation"]): one for one in stage_rows(replicated())}
    assert rows["replica-2: replica.sync", "flush"]["mean_ns"] == pytest.approx(0.9 * MS)
    assert rows["jiva.replica/replica-2", "write"]["last_share"] == pytest.approx(1 / 3)
    assert rows["device", "write"]["last_share"] is None
    assert rows["volume", "write"]["per_s"] == 30.0


def test_the_findings_are_those_of_why_with_the_most_time_first() -> None:
    found = findings_of(replicated(sync={"replica-2": 20}))
    assert [one.operation for one in found] == ["flush", "write"]


def test_rows_are_sorted_by_any_column_and_the_other_way() -> None:
    rows = [row("b", p99_ns=1.0), row("a", p99_ns=3.0), row("c", p99_ns=2.0)]

    def order(key: str, *, is_reversed: bool = False) -> str:
        return "".join(
            one["volume"] for one in sorted_rows(rows, COLUMNS[key], is_reversed=is_reversed)
        )

    assert order("volume") == "abc"
    assert order("volume", is_reversed=True) == "cba"
    assert order("p99_ns") == "acb"
    assert order("p99_ns", is_reversed=True) == "bca"
    for key in COLUMNS:
        assert sorted(order(key)) == ["a", "b", "c"]
    lasts: list[dict[str, Any]] = [{"last_share": None}, {"last_share": 0.5}, {"last_share": None}]
    last = next(column for column in STAGE_COLUMNS if column.key == "last_share")
    assert sorted_rows(lasts, last, is_reversed=False)[0] == {"last_share": 0.5}


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 20, 5])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = table([row(), row("a-longer-name")], VOLUME_COLUMNS, width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 3
    assert lines[1].startswith("demo"[:width])


def test_columns_that_matter_less_go_first_and_the_sorted_one_stays() -> None:
    head = table([row()], VOLUME_COLUMNS, 60)[0]
    assert "P50" not in head
    assert {"VOLUME", "HEALTH", "P99"} <= set(head.split())
    assert "P50" in table([row()], VOLUME_COLUMNS, 60, always="p50_ns")[0]


def test_health_that_calls_for_somebody() -> None:
    assert is_trouble("degraded")
    assert not is_trouble("healthy")
    assert not is_trouble("")
