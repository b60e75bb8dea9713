"""What happened between two looks is the difference of what they say."""

from __future__ import annotations

from core.seeing.volumes import MS, interval, operation, volume
from tierce.seeing.interval import NOTHING, between, bound_ns


def test_what_was_there_before_is_taken_away() -> None:
    before = volume(
        {"volume": {"read": (3, 1.0)}}, {"replica-1": {"replica.read": {"read": (3, 1)}}}
    )
    after = volume(
        {"volume": {"read": [(3, 1.0), (2, 4.0)], "write": (1, 8.0)}},
        {"replica-1": {"replica.read": {"read": [(3, 1), (2, 3.0)]}}},
    )
    found = between(before, after, 2.0)
    assert found.of("volume", "read").count == 2
    assert found.of("volume", "read").mean_ns == 4 * MS
    assert found.of("volume", "write").count == 1
    assert found.of_member("replica-1", "read")["replica.read"].mean_ns == 3 * MS
    assert found.of("device", "read") is NOTHING


def test_counters_that_began_anew_are_all_new() -> None:
    before = volume({"volume": {"read": (100, 1.0)}})
    after = volume({"volume": {"read": (3, 1.0)}}, start_ns=2)
    assert between(before, after, 1.0).of("volume", "read").count == 3
    assert between(None, after, 1.0).of("volume", "read").count == 3


def test_what_falls_without_a_new_beginning_is_nothing() -> None:
    before, after = volume({"device": {"read": (9, 1.0)}}), volume({"device": {"read": (4, 1.0)}})
    assert between(before, after, 1.0).stages["device"] == {}


def test_quantiles_lie_within_their_bucket() -> None:
    counted = interval({"volume": {"read": [(98, 1.0), (2, 100.0)]}}).of("volume", "read")
    assert 0.9 * MS < counted.quantile_ns(0.5) < 2 * MS
    assert 62 * MS < counted.quantile_ns(0.99) < 125 * MS
    assert counted.longest_ns == bound_ns(27)
    assert NOTHING.quantile_ns(0.5) == NOTHING.longest_ns == 0.0


def test_the_slowest_take_their_part_of_the_whole() -> None:
    counted = interval({"volume": {"read": [(90, 1.0), (10, 100.0)]}}).of("volume", "read")
    assert 0.8 < counted.slowest_ns(10) / (1000 * MS) < 1.1
    assert counted.slowest_ns(100) == counted.total_ns
    assert counted.slowest_ns(0) == 0.0


def test_filters_are_told_from_the_outermost_in() -> None:
    found = interval(
        {
            "device": {"read": (1, 1.0)},
            "filter.in": {"read": (1, 2.0)},
            "filter.out": {"read": (1, 3.0)},
            "filter.out.wait": {"read": (1, 9.0)},
        }
    )
    assert found.filters == ("filter.out", "filter.in")


def test_members_are_those_to_which_round_trips_are_made() -> None:
    found = interval({"jiva.replica/replica-1": {"read": (1, 1.0)}, "device": {"read": (1, 1.0)}})
    assert found.trips == {"replica-1": "jiva.replica/replica-1"}


def test_two_operations_are_put_together() -> None:
    found = interval({"volume": {"read": operation((2, 1.0), length=7, failed=1)}})
    both = found.of("volume", "read").plus(found.of("volume", "read"))
    assert (both.count, both.bytes, both.failed, both.total_ns) == (4, 14, 2, 4 * MS)
    assert sum(both.buckets) == 4
