"""What the numbers of a page mean."""

from __future__ import annotations

from exporters.seen import filled, operation
from tierce_exporters.prometheus.reading import (
    DURATIONS,
    FAILED,
    LAST,
    SIZES,
    count,
    counted,
    is_root,
    latencies,
    nanoseconds,
    replica_of,
)


def test_counted_numbers_can_be_added_and_read_back() -> None:
    one = operation({3: 2}, length=512, failed=1, total_ns=1_500_000_000, last=2)
    numbers = counted(one)
    assert (numbers[FAILED], numbers[LAST], count(numbers)) == (1, 2, 2)
    assert nanoseconds(numbers) == 1_500_000_000
    assert latencies(numbers).total == 1.5
    assert latencies(numbers).buckets == one.buckets


def test_a_second_is_a_bound_of_times_and_a_block_one_of_sizes() -> None:
    for scale, bucket, bound in ((DURATIONS, 30, 1.0), (SIZES, 12, 4096.0)):
        counts = dict(zip(scale.bounds, scale.cumulative(filled({bucket: 3})), strict=True))
        assert counts[bound] == 3
        assert counts[bound / 2] == 0


def test_stages_are_told_apart_by_their_names() -> None:
    assert is_root("volume")
    assert not is_root("device")
    assert replica_of("jiva.replica/replica-1") == "replica-1"
    assert replica_of("device") == ""
