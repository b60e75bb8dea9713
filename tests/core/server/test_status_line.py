"""The live line."""

from __future__ import annotations

from typing import Any

from tierce.server.status_line import (
    Totals,
    describe_rate,
    describe_replicas,
    describe_volume,
    totals,
)

SNAPSHOT: dict[str, Any] = {
    "stages": {
        "volume": {
            "READ": {"count": 100, "bytes": 409_600},
            "WRITE": {"count": 50, "bytes": 204_800},
            "FLUSH": {"count": 9, "bytes": 0},
        },
        "engine": {"READ": {"count": 7, "bytes": 7}},
    },
    "published": {
        "engine": {
            "members": [{"name": "a", "state": "in sync"}, {"name": "b", "state": "lost"}],
        }
    },
}


def test_totals_count_what_initiators_see() -> None:
    assert totals(SNAPSHOT) == Totals(reads=100, writes=50, length=614_400)


def test_a_page_without_stages_counts_nothing() -> None:
    assert totals({"stages": {}, "published": {}}) == Totals()


def test_rates_are_per_second() -> None:
    text = describe_rate(Totals(), Totals(2000, 1000, 10_000_000), 2.0)
    assert text == "1,500 IOPS (r 1,000 w 500) 5.0 MB/s"


def test_a_target_that_started_anew_is_counted_from_zero() -> None:
    text = describe_rate(Totals(500, 500, 5_000_000), Totals(10, 0, 1_000_000), 1.0)
    assert text == "10 IOPS (r 10 w 0) 1.0 MB/s"


def test_replicas_are_counted_by_state() -> None:
    assert describe_replicas(SNAPSHOT["published"]) == "replicas 1 in sync, 1 lost"
    assert describe_replicas({"engine": {"members": "no list"}}) == ""
    assert describe_replicas({}) == ""


def test_a_volume_that_is_not_up_shows_its_phase() -> None:
    assert describe_volume("demo", "down", SNAPSHOT, Totals(), 1.0) == "demo: down"
    assert describe_volume("demo", "up", SNAPSHOT, Totals(), 1.0) == (
        "demo: 150 IOPS (r 100 w 50) 0.6 MB/s, replicas 1 in sync, 1 lost"
    )
