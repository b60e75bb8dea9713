"""One stage's words in a statistics page: what they are, and how they are added to.

For each operation (`tierce.Op`) a stage has `OP_WORDS` words: bytes, failed, last, nanoseconds,
then 40 buckets. How many operations there were is the sum of the buckets, failed ones included.
After the operations it has two gauges: how many are parked now, and since when the oldest
(CLOCK_MONOTONIC in ns; 0 while none is).

Bucket b counts what took from 2^(b-1) up to 2^b ticks of 2^-30 s, so that its bounds are powers of
two of a second: exact as the bounds of a classic Prometheus histogram (0.015625, 1), and the same
as those of a native one of schema 0, whose index is b - 30.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tierce.block.operation import Op

OP_COUNT = len(Op)
BUCKET_COUNT = 40
#: Bytes, failed, last, nanoseconds: `PageStage.add` walks over them in this order.
FIXED_WORDS = 4
OP_WORDS = FIXED_WORDS + BUCKET_COUNT
#: Parked now, and since when the oldest.
GAUGE_WORDS = 2
STAGE_WORDS = OP_COUNT * OP_WORDS + GAUGE_WORDS
#: The root's sizes: for each operation as many buckets. Bucket b counts those above 2^(b-1) up to
#: 2^b bytes: what most ask for, 4096 bytes, is a bound.
SIZE_WORDS = OP_COUNT * BUCKET_COUNT
_BYTES, _FAILED, _LAST, _NS = range(FIXED_WORDS)
_GAUGES_AT = OP_COUNT * OP_WORDS
_LAST_BUCKET = BUCKET_COUNT - 1
#: Ticks of 2^-30 s in 1 ns are 1.0737; 1100 / 1024 is 0.05 % more, and needs no division.
_TICKS, _TICKS_SHIFT = 1100, 10


def bucket_of(elapsed_ns: int) -> int:
    """Return the bucket that a time counts in."""
    bucket = (elapsed_ns * _TICKS >> _TICKS_SHIFT).bit_length()
    return bucket if bucket < BUCKET_COUNT else _LAST_BUCKET


def bound_ns(bucket: int) -> int:
    """Return the time up to which a bucket counts, in ns."""
    return (10**9 << bucket) >> 30


def quantile(buckets: Sequence[int], share: float) -> int:
    """Return the upper bound in ns of the bucket in which the quantile lies; 0 if all are empty."""
    wanted = share * sum(buckets)
    seen = 0
    for bucket, count in enumerate(buckets):
        seen += count
        if count and seen >= wanted:
            return bound_ns(bucket)
    return 0


class PageStage:
    """One stage's counters: see `tierce.Stage`. Its words are written by nobody else."""

    __slots__ = ("_kept", "_words")

    def __init__(self, words: memoryview) -> None:
        self._words = words
        #: The same numbers: to read them from here takes a third of reading the page.
        self._kept = words.tolist()

    def add(self, op: int, count: int, length: int, elapsed_ns: int) -> None:
        """Count `count` operations of kind `op`, `length` bytes in all, `elapsed_ns` each."""
        words, kept, at = self._words, self._kept, op * OP_WORDS
        if length:
            words[at] = kept[at] = kept[at] + length
        at += _NS
        words[at] = kept[at] = kept[at] + elapsed_ns * count
        # As `bucket_of`.
        bucket = (elapsed_ns * _TICKS >> _TICKS_SHIFT).bit_length()
        at += 1 + (bucket if bucket < BUCKET_COUNT else _LAST_BUCKET)
        words[at] = kept[at] = kept[at] + count

    def fail(self, op: int, count: int = 1) -> None:
        """Count failed operations, which `add` has counted."""
        at = op * OP_WORDS + _FAILED
        self._words[at] = self._kept[at] = self._kept[at] + count

    def last(self, op: int, count: int = 1) -> None:
        """Count those that were the last of several that ran beside each other."""
        at = op * OP_WORDS + _LAST
        self._words[at] = self._kept[at] = self._kept[at] + count

    def size(self, op: int, count: int, length: int) -> None:
        """Only the root keeps sizes."""

    def park(self, count: int, since_ns: int) -> None:
        """So many are pending now, the oldest since that time."""
        words = self._words
        words[_GAUGES_AT] = count
        words[_GAUGES_AT + 1] = since_ns


class RootStage(PageStage):
    """The counters of the stage that initiators see: with sizes.

    Args:
        words: Of the stage.
        sizes: Words of its sizes.
    """

    __slots__ = ("_kept_sizes", "_sizes")

    def __init__(self, words: memoryview, sizes: memoryview) -> None:
        super().__init__(words)
        self._sizes = sizes
        self._kept_sizes = sizes.tolist()

    def size(self, op: int, count: int, length: int) -> None:
        """Count `count` operations of kind `op` by their size, `length` bytes each."""
        bits = (length - 1).bit_length() if length else 0
        at = op * BUCKET_COUNT + (bits if bits < BUCKET_COUNT else _LAST_BUCKET)
        self._sizes[at] = self._kept_sizes[at] = self._kept_sizes[at] + count


def operations_of(words: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return what a stage's words say, by the operation's name; of those that there were."""
    found = {}
    for op in Op:
        first = op * OP_WORDS
        buckets = list(words[first + FIXED_WORDS : first + OP_WORDS])
        count = sum(buckets)
        if count or words[first + _FAILED]:
            found[op.name.lower()] = {
                "count": count,
                "bytes": words[first + _BYTES],
                "failed": words[first + _FAILED],
                "last": words[first + _LAST],
                "total_ns": words[first + _NS],
                "p50_ns": quantile(buckets, 0.50),
                "p99_ns": quantile(buckets, 0.99),
                "buckets": buckets,
            }
    return found


def parked_of(words: Sequence[int]) -> tuple[int, int]:
    """Return how many are parked, and since when the oldest (CLOCK_MONOTONIC, ns)."""
    return words[_GAUGES_AT], words[_GAUGES_AT + 1]


def sizes_of(words: Sequence[int]) -> dict[str, list[int]]:
    """Return the sizes by the operation's name; of those that there were."""
    found = {}
    for op in Op:
        buckets = list(words[op * BUCKET_COUNT : (op + 1) * BUCKET_COUNT])
        if any(buckets):
            found[op.name.lower()] = buckets
    return found


def without_gauges(words: Sequence[int]) -> list[int]:
    """Return a stage's words for the process after the one that wrote them: nothing is parked."""
    return [*words[:_GAUGES_AT], *([0] * GAUGE_WORDS)]
