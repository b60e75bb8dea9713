"""Whose time an I/O was that was written down."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.seeing.volumes import MS, interval, record
from tierce.seeing.causes import Cause, Kind
from tierce.seeing.interval import VolumeInterval
from tierce.seeing.record_times import record_times
from tierce.services import TraceRecord

REPLICATED: Any = {"device": {"write": (1, 1.0)}, "jiva.replica/replica-2": {"write": (1, 1.0)}}
STAGES = (
    *("frontend.parse", "frontend.send", "filter.a", "filter.a.wait", "filter.a.call", "device"),
    *("engine.wait", "engine.call", "jiva.admit", "jiva.replicate", "jiva.local_miss", "other.one"),
    *("jiva.replica/replica-1", "jiva.replica/replica-2", "replica.queue/replica-2"),
    *("replica.sync/replica-2", "pool.index/replica-1"),
)


@given(
    st.lists(
        st.builds(
            record,
            st.sampled_from([60.0, 300.0]),
            st.tuples(st.sampled_from(STAGES), st.integers(0, 300), st.integers(0, 300)),
            st.tuples(st.sampled_from(STAGES), st.integers(0, 300), st.integers(0, 300)),
            st.tuples(st.sampled_from(STAGES), st.integers(0, 300), st.integers(0, 300)),
        )
    ),
    st.booleans(),
)
def test_whatever_is_written_down_the_parts_sum_to_the_whole(
    records: list[TraceRecord], is_replicated: bool
) -> None:
    found = record_times(records, interval(REPLICATED if is_replicated else {}))
    total = sum(sum(times.values()) for times in found.values())
    assert all(ns > 0 for times in found.values() for ns in times.values())
    assert math.isclose(total, sum(one.elapsed_ns for one in records), abs_tol=1e-6)


def dominant(one: TraceRecord, during: VolumeInterval) -> Cause:
    times = record_times([one], during)[one.operation]
    return max(times, key=lambda cause: times[cause])


@pytest.mark.parametrize(
    ("stage", "cause"),
    [
        ("filter.f", Cause(Kind.FILTER, "f")),
        ("filter.f.wait", Cause(Kind.FILTER_WAIT, "f")),
        ("filter.f.call", Cause(Kind.FILTER, "f")),
        ("device", Cause(Kind.ENGINE)),
        ("engine.wait", Cause(Kind.ENGINE_WAIT)),
        ("engine.call", Cause(Kind.ENGINE_CALL)),
        ("jiva.local_miss", Cause(Kind.LOCAL_MISS)),
        ("frontend.parse", Cause(Kind.FRONTEND)),
        ("frontend.send", Cause(Kind.SEND)),
        ("somebody.else", Cause(Kind.PART, "somebody.else")),
    ],
)
def test_a_stage_is_a_cause(stage: str, cause: Cause) -> None:
    assert dominant(record(100, (stage, 1, 98)), interval({})) == cause


def test_what_no_stage_had_was_the_front_ends() -> None:
    assert dominant(record(100), interval({})) == Cause(Kind.FRONTEND)


def test_what_no_replica_had_was_the_replicators() -> None:
    assert dominant(record(100, ("device", 0, 100)), interval(REPLICATED)) == Cause(
        Kind.REPLICATION
    )
    admitted = record(100, ("device", 0, 100), ("jiva.admit", 0, 99))
    assert dominant(admitted, interval(REPLICATED)) == Cause(Kind.REPLICATION)


def test_what_a_replica_has_timed_tells_its_disk_from_its_queue_and_the_link() -> None:
    def of(stage: str) -> Cause:
        trip = ("jiva.replica/replica-2", 1.0, 98.0)
        return dominant(record(100, trip, (stage, 2.0, 95.0)), interval(REPLICATED))

    assert of("replica.sync/replica-2") == Cause(Kind.SYNC, "replica-2")
    assert of("replica.sync_wait/replica-2") == Cause(Kind.QUEUE, "replica-2")
    assert of("replica.queue/replica-2") == Cause(Kind.QUEUE, "replica-2")
    assert of("replica.apply/replica-2") == Cause(Kind.APPLY, "replica-2")
    short = record(
        100, ("jiva.replica/replica-2", 1.0, 98.0), ("replica.apply/replica-2", 50.0, 0.1)
    )
    assert dominant(short, interval(REPLICATED)) == Cause(Kind.LINK, "replica-2")


def test_what_a_replica_has_not_timed_is_told_by_what_its_page_allows() -> None:
    late = record(100, ("jiva.replica/replica-2", 1.0, 98.0))

    def of(page: Any) -> Cause:
        return dominant(late, interval(REPLICATED, page))

    assert of({}) == Cause(Kind.REPLICA, "replica-2")
    quick = {"replica.apply": {"write": (9, 0.1)}, "replica.sync": {"flush": (9, 8.0)}}
    assert of({"replica-2": quick}) == Cause(Kind.LINK, "replica-2")
    assert of({"replica-2": {"replica.apply": {}}}) == Cause(Kind.LINK, "replica-2")
    slow = {"replica.apply": {"write": (9, 0.1)}, "replica.sync": {"flush": (1, 90.0)}}
    assert of({"replica-2": slow}) == Cause(Kind.SYNC, "replica-2")


def test_operations_are_told_apart() -> None:
    found = record_times([record(60), record(70, operation="flush")], interval({}))
    assert {name: sum(times.values()) / MS for name, times in found.items()} == {
        "write": 60.0,
        "flush": 70.0,
    }
