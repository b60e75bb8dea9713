"""What the counters of data processes mean: the one place that knows their buckets and stages.

Bucket b of a page counts what took from 2^(b-1) up to 2^b ticks of 2^-30 s; so every bound is a
power of two of a second, exact in all formats, and bucket b is bucket b - 30 of a native histogram
of schema 0. Sizes are counted likewise: bucket b those above 2^(b-1) up to 2^b bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tierce import ROOT_STAGE, OperationStatistics, ProcessStatistics
from tierce_exporters.prometheus.metric import Exemplar, Histogram, Scale

#: 61 us to 16 s.
DURATIONS = Scale(shift=30, exponents=range(-14, 5))
#: 512 bytes to 128 MiB.
SIZES = Scale(shift=0, exponents=range(9, 28))
#: What a stage of the target is called that is a replica's: "jiva.replica/NAME".
_OF_REPLICA = ".replica/"
_NS_PER_S = 1_000_000_000
#: Of `counted`: bytes, failed, last, nanoseconds, then the buckets.
BYTES, FAILED, LAST, _NS, _BUCKETS = range(5)

_BUCKET_COUNT = 40
#: A page counts in ticks of 2^-30 s, and takes 1 ns for 1100 / 1024 of one.
_TICKS, _TICKS_SHIFT = 1100, 10

assert max(len(DURATIONS.exponents), len(SIZES.exponents)) < 20, "series are stored one by one"


def counted(one: OperationStatistics) -> tuple[int, ...]:
    """Return what has been counted as numbers that can be added."""
    return (one.bytes, one.failed, one.last, one.total_ns, *one.buckets)


def latencies(
    numbers: tuple[int, ...], exemplars: Mapping[int, Exemplar] | None = None
) -> Histogram:
    """Return the histogram of numbers of `counted`."""
    return Histogram(numbers[_BUCKETS:], seconds(numbers[_NS]), exemplars or {})


def bucket_of(elapsed_ns: int) -> int:
    """Return the bucket that a time counts in, as a page has it."""
    return min((elapsed_ns * _TICKS >> _TICKS_SHIFT).bit_length(), _BUCKET_COUNT - 1)


def nanoseconds(numbers: tuple[int, ...]) -> int:
    """Return the sum of the latencies of numbers of `counted`."""
    return numbers[_NS]


def count(numbers: tuple[int, ...]) -> int:
    """Return how many operations there were, failed ones too."""
    return sum(numbers[_BUCKETS:])


def is_root(stage: str) -> bool:
    """Return whether a stage of a target counts what initiators see."""
    return stage == ROOT_STAGE


def replica_of(stage: str) -> str:
    """Return the replica whose answers a stage of a target counts; empty if it counts none's."""
    return stage.partition(_OF_REPLICA)[2]


def operations(process: ProcessStatistics) -> Iterator[tuple[str, str, OperationStatistics]]:
    """Yield stage, operation and what was counted."""
    for stage, counts in process.stages.items():
        for operation, one in counts.items():
            yield stage, operation, one


def seconds(ns: int) -> float:
    """Return nanoseconds as seconds."""
    return ns / _NS_PER_S
