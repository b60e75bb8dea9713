"""What the counters of data processes mean: the one place that knows their buckets and stages.

Bucket b of a page counts operations of 2^(b-1) up to 2^b ticks of 2^-30 s. So every bound is a
power of two of a second, exact in all formats, and bucket b is bucket b - 30 of a native histogram
of schema 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from tierce import ROOT_STAGE, OperationStatistics, ProcessStatistics
from tierce_exporters.prometheus.metric import Latencies

#: Bucket b ends at 2^(b - TICK_BITS) s.
TICK_BITS = 30
#: The bounds of classic histograms, as powers of two of a second: 61 us to 16 s.
CLASSIC_EXPONENTS = range(-14, 5)

_NS_PER_S = 1_000_000_000

assert len(CLASSIC_EXPONENTS) < 20, "a histogram's series are stored one by one"


def counted(one: OperationStatistics) -> tuple[int, ...]:
    """Return what has been counted as numbers that can be added: bytes, failed, ns, buckets."""
    return (one.bytes, one.failed, one.total_ns, *one.buckets)


def latencies(numbers: tuple[int, ...]) -> Latencies:
    """Return the histogram of numbers of `counted`."""
    return Latencies(numbers[3:], numbers[2] / _NS_PER_S)


def is_root(stage: str) -> bool:
    """Return whether a stage of a target counts what initiators see."""
    return stage == ROOT_STAGE


def operations(process: ProcessStatistics) -> Iterator[tuple[str, str, OperationStatistics]]:
    """Yield stage, operation and what was counted."""
    for stage, counts in process.stages.items():
        for operation, one in counts.items():
            yield stage, operation, one


def start_s(start_ns: int) -> float:
    """Return a page's time in seconds since the epoch."""
    return start_ns / _NS_PER_S


def cumulative(buckets: tuple[int, ...]) -> list[int]:
    """Return how many took at most 2^e s, for each e of `CLASSIC_EXPONENTS`."""
    first = CLASSIC_EXPONENTS[0] + TICK_BITS + 1
    below = sum(buckets[:first])
    counts = [below]
    for count in buckets[first : first + len(CLASSIC_EXPONENTS) - 1]:
        below += count
        counts.append(below)
    return counts
