"""The buckets of a histogram, before any format."""

from __future__ import annotations

from exporters.seen import filled
from tierce_exporters.prometheus.metric import Scale


def test_a_classic_bound_counts_all_buckets_that_end_there_or_before() -> None:
    # Bucket 16 ends at 2^-14, bucket 34 at 2^4.
    scale = Scale(shift=30, exponents=range(-14, 5))
    counts = scale.cumulative(filled({0: 1, 16: 2, 17: 4, 34: 8, 35: 16, 39: 32}))
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (3, 7, 7, 15)
    assert (scale.bounds[0], scale.bounds[-1]) == (2.0**-14, 16.0)
    assert len(counts) == len(scale.bounds)
