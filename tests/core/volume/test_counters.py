"""A stage's words: buckets whose bounds are powers of two of a second, and what readers get."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tierce import Op
from tierce.volume.counters import (
    BUCKET_COUNT,
    STAGE_WORDS,
    PageStage,
    bound_ns,
    bucket_of,
    operations_of,
    parked_of,
    quantile,
)


def stage() -> tuple[PageStage, memoryview]:
    words = memoryview(bytearray(STAGE_WORDS * 8)).cast("Q")
    return PageStage(words), words


@given(elapsed_ns=st.integers(0, 1 << 45))
def test_a_time_counts_in_the_bucket_whose_bounds_hold_it(elapsed_ns: int) -> None:
    bucket = bucket_of(elapsed_ns)
    # What is added for the want of a division is less than 0.05 %.
    assert bucket == BUCKET_COUNT - 1 or elapsed_ns <= bound_ns(bucket)
    assert bucket < 2 or elapsed_ns * 1.0005 >= bound_ns(bucket - 1)


def test_bounds_are_powers_of_two_of_a_second() -> None:
    assert bound_ns(30) == 10**9
    assert bound_ns(24) == 15_625_000
    assert bucket_of(10**9 - 10**6) == 30
    assert bucket_of(10**9 + 10**6) == 31


@given(st.lists(st.tuples(st.integers(0, 1 << 45), st.integers(1, 32)), max_size=30))
def test_the_count_is_the_sum_of_the_buckets_failed_ones_too(runs: list[tuple[int, int]]) -> None:
    counted, words = stage()
    for elapsed_ns, count in runs:
        counted.add(Op.READ, count, count * 512, elapsed_ns)
        counted.fail(Op.READ)
    found = operations_of(words)
    if not runs:
        assert found == {}
        return
    read = found["read"]
    assert read["count"] == sum(read["buckets"]) == sum(count for _, count in runs)
    assert read["bytes"] == 512 * read["count"]
    assert read["failed"] == len(runs)
    assert read["total_ns"] == sum(elapsed_ns * count for elapsed_ns, count in runs)
    for elapsed_ns, _count in runs:
        assert read["buckets"][bucket_of(elapsed_ns)]


def test_what_is_parked_is_what_was_said_last() -> None:
    counted, words = stage()
    counted.park(3, 500)
    counted.park(1, 900)
    assert parked_of(words) == (1, 900)
    assert operations_of(words) == {}


def filled(elapsed: Sequence[int]) -> list[int]:
    buckets = [0] * BUCKET_COUNT
    for each in elapsed:
        buckets[bucket_of(each)] += 1
    return buckets


@given(elapsed=st.lists(st.integers(0, 1 << 37), min_size=1, max_size=50))
def test_a_quantile_bounds_what_was_measured(elapsed: list[int]) -> None:
    median = sorted(elapsed)[(len(elapsed) - 1) // 2]
    assert quantile(filled(elapsed), 0.5) >= median


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile([0] * BUCKET_COUNT, 0.99) == 0
