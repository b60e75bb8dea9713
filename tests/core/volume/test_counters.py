"""A stage's words: buckets whose bounds are powers of two of a second, and what readers get."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import Code, Op
from tierce.volume.counters import (
    BUCKET_COUNT,
    ROOT_WORDS,
    STAGE_WORDS,
    WAITING_COUNT_MAX,
    PageStage,
    RootStage,
    bound_ns,
    bucket_of,
    failures_of,
    operations_of,
    parked_of,
    quantile,
    sizes_of,
    slow_of,
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


def test_what_is_parked_is_what_is_in_the_mapping() -> None:
    counted, words = stage()
    pending = {"a": 500, "b": 900}
    counted.show(pending)
    counted.parked()
    assert parked_of(words) == (2, 500)
    assert counted.bring_up()
    del pending["a"]
    counted.bring_up()
    assert parked_of(words) == (1, 900)
    assert operations_of(words) == {}


#: Operations, their number, the bytes of each, and how long they took.
additions = st.lists(
    st.tuples(
        st.sampled_from([Op.READ, Op.WRITE]),
        st.integers(1, 3),
        st.sampled_from([512, 4096]),
        st.integers(0, 1 << 42),
    ),
    max_size=40,
)


@given(additions, st.sets(st.integers(0, 40)), st.booleans())
def test_what_is_counted_later_is_what_is_counted_at_once(
    added: list[tuple[Op, int, int, int]], ups: set[int], is_told: bool
) -> None:
    told: list[None] = []
    more_words = [memoryview(bytearray(ROOT_WORDS * 8)).cast("Q") for _ in range(2)]
    words = [memoryview(bytearray(STAGE_WORDS * 8)).cast("Q") for _ in range(2)]
    at_once = RootStage(words[0], None, more_words[0])
    later = RootStage(words[1], lambda: told.append(None), more_words[1])
    for index, (op, count, size, elapsed_ns) in enumerate(added):
        for counted in (at_once, later):
            counted.add(op, count, count * size, elapsed_ns, size if is_told else 0)
            counted.last(op)
        if index in ups:
            later.bring_up()
            assert words[0].tolist() == words[1].tolist()
    assert len(told) <= 1 + len(ups), "it is told once until it is brought up to date"
    later.bring_up()
    assert words[0].tolist() == words[1].tolist()
    assert more_words[0].tolist() == more_words[1].tolist()
    assert bool(added and is_told) is any(more_words[1])


@pytest.mark.parametrize("lengths", [(512,), (512, 1024)])
def test_no_more_than_so_many_additions_wait(lengths: tuple[int, ...]) -> None:
    words = memoryview(bytearray(STAGE_WORDS * 8)).cast("Q")
    counted, told = PageStage(words, lambda: told.append(None)), list[None]()
    number = 5 * WAITING_COUNT_MAX
    for index in range(number):
        counted.add(Op.READ, 1, lengths[index % len(lengths)], 1000)
        waiting = index + 1 - operations_of(words).get("read", {"count": 0})["count"]
        assert waiting <= 2 * WAITING_COUNT_MAX
    assert told == [None]
    counted.bring_up()
    assert operations_of(words)["read"]["count"] == number


def test_the_root_counts_what_failed_with_what_and_what_was_slow() -> None:
    more = memoryview(bytearray(ROOT_WORDS * 8)).cast("Q")
    words = memoryview(bytearray(STAGE_WORDS * 8)).cast("Q")
    root = RootStage(words, None, more)
    root.size(Op.WRITE, 3, 512)
    root.fail(Op.WRITE, 2, Code.NO_SPACE)
    root.fail(Op.WRITE, 1, Code.ABORTED)
    root.fail(Op.READ, 1, Code.GOOD)
    root.fail(Op.READ)
    root.slow(Op.BLOCK_STATUS)
    assert failures_of(more) == {"write": {"no space": 2, "aborted": 1}, "read": {"good": 1}}
    assert slow_of(more) == {"block_status": 1}
    assert {op: sum(counts) for op, counts in sizes_of(more).items()} == {"write": 3}
    assert operations_of(words)["write"]["failed"] == 3
    assert operations_of(words)["read"]["failed"] == 2


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


def test_counted_together_each_lies_in_its_bucket_also_at_the_bounds() -> None:
    # The last one of each bucket, and the first one beyond it.
    firsts = [-((-1 << bucket + 10) // 1100) for bucket in range(BUCKET_COUNT - 1)]
    times = [each for first in firsts for each in (first - 1, first)]
    expected = [0] * BUCKET_COUNT
    for each in times:
        expected[bucket_of(each)] += 1
    words = memoryview(bytearray(STAGE_WORDS * 8)).cast("Q")
    made = PageStage(words, lambda: None)
    made.add(Op.READ, 1, 512, 0)
    made.bring_up()
    for each in times:
        made.add(Op.READ, 1, 512, each)
    made.bring_up()
    expected[0] += 1
    assert operations_of(words)["read"]["buckets"] == expected
