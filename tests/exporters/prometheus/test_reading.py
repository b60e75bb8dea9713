"""What the buckets of a page mean."""

from __future__ import annotations

from exporters.seen import operation
from tierce_exporters.prometheus.reading import (
    CLASSIC_EXPONENTS,
    counted,
    cumulative,
    is_root,
    latencies,
)


def test_a_classic_bound_counts_all_buckets_that_end_there_or_before() -> None:
    # Bucket 16 ends at 2^-14 s, bucket 34 at 2^4 s.
    buckets = operation({0: 1, 16: 2, 17: 4, 34: 8, 35: 16, 39: 32}).buckets
    counts = dict(zip(CLASSIC_EXPONENTS, cumulative(buckets), strict=True))
    assert (counts[-14], counts[-13], counts[3], counts[4]) == (3, 7, 7, 15)


def test_counted_numbers_can_be_added_and_read_back() -> None:
    numbers = counted(operation({3: 2}, length=512, failed=1, total_ns=1_500_000_000))
    assert numbers[:2] == (512, 1)
    assert latencies(numbers).sum_s == 1.5
    assert latencies(numbers).buckets[3] == 2


def test_the_volumes_own_stage_counts_what_initiators_see() -> None:
    assert is_root("volume")
    assert not is_root("frontend.send")
    assert not is_root("device")
