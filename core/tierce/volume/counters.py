"""One stage's words in a statistics page: what they are, and how they are added to.

For each operation (`tierce.Op`) a stage has `OP_WORDS` words: bytes, failed, last, nanoseconds,
then 40 buckets. How many operations there were is the sum of the buckets, failed ones included.
After the operations it has two gauges: how many are parked now, and since when the oldest
(CLOCK_MONOTONIC in ns; 0 while none is).

An addition is kept as it comes, and the words are brought up to date for many at once: whoever
made the stage is told that something waits (`due`), and calls `bring_up` some time later; a list
that is full is counted at once. What is alike but for its time, as nearly all is, lies in one list
of times, which C sums and sorts: measured, an addition with what it is counted for later takes
half as long as one that goes into the page by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tierce.block.operation import Op
from tierce.block.status import Code

OP_COUNT = len(Op)
_CODES = tuple(Code)
BUCKET_COUNT = 40
#: Bytes, failed, last, nanoseconds.
FIXED_WORDS = 4
OP_WORDS = FIXED_WORDS + BUCKET_COUNT
#: Parked now, and since when the oldest.
GAUGE_WORDS = 2
STAGE_WORDS = OP_COUNT * OP_WORDS + GAUGE_WORDS
#: The root's sizes: for each operation as many buckets. Bucket b counts those above 2^(b-1) up to
#: 2^b bytes: what most ask for, 4096 bytes, is a bound.
SIZE_WORDS = OP_COUNT * BUCKET_COUNT
#: What the root has besides its sizes: for each operation how many failed by which code, in the
#: order of `Code`, and how many were slow.
_FAILURES_AT = SIZE_WORDS
_SLOW_AT = _FAILURES_AT + OP_COUNT * len(_CODES)
ROOT_WORDS = _SLOW_AT + OP_COUNT
_BYTES, _FAILED, _LAST, _NS = range(FIXED_WORDS)
_GAUGES_AT = OP_COUNT * OP_WORDS
_LAST_BUCKET = BUCKET_COUNT - 1
#: Additions to a stage that wait to be counted, alike or not.
WAITING_COUNT_MAX = 256
#: Ticks of 2^-30 s in 1 ns are 1.0737; 1100 / 1024 is 0.05 % more, and needs no division.
_TICKS, _TICKS_SHIFT = 1100, 10


def bucket_of(elapsed_ns: int) -> int:
    """Return the bucket that a time counts in."""
    bucket = (elapsed_ns * _TICKS >> _TICKS_SHIFT).bit_length()
    return bucket if bucket < BUCKET_COUNT else _LAST_BUCKET


#: For each bucket the first time, in ns, that is beyond it.
_BEYOND_NS = [-((-1 << bucket + _TICKS_SHIFT) // _TICKS) for bucket in range(BUCKET_COUNT)]


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
    """One stage's counters: see `tierce.Stage`. Its words are written by nobody else.

    Args:
        words: Of the stage.
        due: Called when something waits to be counted and nothing has before: `bring_up` is to be
            called soon. None if all is to be counted at once.
    """

    __slots__ = (
        *("_alike", "_count", "_due", "_kept", "_length", "_limit", "_op", "_others", "_pending"),
        *("_size", "_words"),
    )

    def __init__(self, words: memoryview, due: Callable[[], None] | None = None) -> None:
        self._words = words
        #: The same numbers: to read them from here takes a third of reading the page.
        self._kept = words.tolist()
        self._due = due
        #: How many additions may wait. One while nobody knows of them.
        self._limit = 1
        #: What those that are alike have in common, and their times.
        self._op: int | None = None
        self._count = self._length = self._size = 0
        self._alike: list[float] = []
        #: All others: operation, count, length, time, size.
        self._others: list[tuple[int, int, int, float, int]] = []
        self._pending: Mapping[Any, int] = {}

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        """Count `count` operations of kind `op`, `length` bytes in all, `elapsed_ns` each."""
        if op is self._op and count == self._count and length == self._length:
            alike = self._alike
            alike.append(elapsed_ns)
            if len(alike) < self._limit:
                return
        else:
            others = self._others
            others.append((op, count, length, elapsed_ns, size))
            if len(others) < self._limit:
                return
        self._reached()

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:  # noqa: ARG002 - the root keeps it
        """Count failed operations, which `add` has counted."""
        at = op * OP_WORDS + _FAILED
        self._words[at] = self._kept[at] = self._kept[at] + count

    def last(self, op: int, count: int = 1) -> None:
        """Count those that were the last of several that ran beside each other."""
        at = op * OP_WORDS + _LAST
        self._words[at] = self._kept[at] = self._kept[at] + count

    def size(self, op: int, count: int, length: int) -> None:
        """Only the root keeps sizes."""

    def slow(self, op: int) -> None:
        """Only the root keeps how many were slow."""

    def show(self, pending: Mapping[Any, int]) -> None:
        """Show from now on what is pending there."""
        self._pending = pending

    def parked(self) -> None:
        """Something is pending where nothing was."""
        if self._limit == 1:
            self._reached()

    def bring_up(self) -> bool:
        """Bring the words up to date, and wait for nothing more. True if something is pending, so
        that the gauges will have to be looked at again."""
        self._limit = 1
        self._count_waiting()
        pending, words = self._pending, self._words
        words[_GAUGES_AT] = len(pending)
        words[_GAUGES_AT + 1] = next(iter(pending.values()), 0)
        return bool(pending)

    def _reached(self) -> None:
        if self._limit > 1:
            self._count_waiting()
        elif self._due is None:
            self.bring_up()
        else:
            self._limit = WAITING_COUNT_MAX
            self._due()

    def _count_waiting(self) -> None:
        alike, others = self._alike, self._others
        if alike:
            self._count_alike(alike)
        if others:
            words, kept = self._words, self._kept
            for op, count, length, took_ns, size in others:
                elapsed_ns = int(took_ns)
                at = op * OP_WORDS
                if length:
                    words[at] = kept[at] = kept[at] + length
                at += _NS
                words[at] = kept[at] = kept[at] + elapsed_ns * count
                # As `bucket_of`.
                bucket = (elapsed_ns * _TICKS >> _TICKS_SHIFT).bit_length()
                at += 1 + (bucket if bucket < BUCKET_COUNT else _LAST_BUCKET)
                words[at] = kept[at] = kept[at] + count
                if size:
                    self.size(op, count, size)
        if len(others) > len(alike):
            self._op, self._count, self._length, _, size = others[-1]
            self._size = size or -1
        alike.clear()
        others.clear()

    def _count_alike(self, times: list[float]) -> None:
        """Count what differs in its time alone."""
        assert self._op is not None, "something was alike"
        words, kept, count = self._words, self._kept, self._count
        at, number = self._op * OP_WORDS, len(times)
        words[at] = kept[at] = kept[at] + self._length * number
        at += _NS
        words[at] = kept[at] = kept[at] + int(sum(times)) * count
        times.sort()
        bucket, index = bucket_of(int(times[0])), 0
        while index < number:
            is_last = bucket == _LAST_BUCKET
            end = number if is_last else bisect_left(times, _BEYOND_NS[bucket], index)
            if end > index:
                place = at + 1 + bucket
                words[place] = kept[place] = kept[place] + (end - index) * count
            bucket, index = bucket + 1, end
        if self._size > 0:
            self.size(self._op, count * number, self._size)


class RootStage(PageStage):
    """The counters of the stage that initiators see: with sizes, codes, and what was slow.

    Args:
        words: Of the stage.
        due: See `PageStage`.
        more: Its other words.
    """

    __slots__ = ("_kept_more", "_more")

    def __init__(self, words: memoryview, due: Callable[[], None] | None, more: memoryview) -> None:
        super().__init__(words, due)
        self._more = more
        self._kept_more = more.tolist()
        #: What is told no size is alike to nothing.
        self._size = -1

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        """As `PageStage.add`, with the size of each if it is told."""
        if op is self._op and count == self._count and size == self._size:
            alike = self._alike
            alike.append(elapsed_ns)
            if len(alike) < self._limit:
                return
        else:
            others = self._others
            others.append((op, count, length, elapsed_ns, size))
            if len(others) < self._limit:
                return
        self._reached()

    def size(self, op: int, count: int, length: int) -> None:
        """Count `count` operations of kind `op` by their size, `length` bytes each."""
        bits = (length - 1).bit_length() if length else 0
        at = op * BUCKET_COUNT + (bits if bits < BUCKET_COUNT else _LAST_BUCKET)
        self._more[at] = self._kept_more[at] = self._kept_more[at] + count

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:
        """Count failed operations, and what they failed with."""
        super().fail(op, count)
        if code is not None:
            at = _FAILURES_AT + op * len(_CODES) + _CODES.index(code)
            self._more[at] = self._kept_more[at] = self._kept_more[at] + count

    def slow(self, op: int) -> None:
        """Count one that was slow."""
        at = _SLOW_AT + op
        self._more[at] = self._kept_more[at] = self._kept_more[at] + 1


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


def failures_of(words: Sequence[int]) -> dict[str, dict[str, int]]:
    """Return how many failed with which code, by the operation's name; of those that there were."""
    found = {}
    for op in Op:
        at = _FAILURES_AT + op * len(_CODES)
        counts = zip(_CODES, words[at : at + len(_CODES)], strict=True)
        failed = {code.value: count for code, count in counts if count}
        if failed:
            found[op.name.lower()] = failed
    return found


def slow_of(words: Sequence[int]) -> dict[str, int]:
    """Return how many were slow, by the operation's name; of those that there were."""
    return {op.name.lower(): words[_SLOW_AT + op] for op in Op if words[_SLOW_AT + op]}


def root_of(words: Sequence[int]) -> dict[str, Any]:
    """Return what only the root has, by what it is."""
    return {"sizes": sizes_of(words), "failures": failures_of(words), "slow": slow_of(words)}


def without_gauges(words: Sequence[int]) -> list[int]:
    """Return a stage's words for the process after the one that wrote them: nothing is parked."""
    return [*words[:_GAUGES_AT], *([0] * GAUGE_WORDS)]
