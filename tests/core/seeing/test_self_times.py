"""Each moment that an initiator waits belongs to one cause, and they sum to the whole."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.seeing.volumes import MS, interval, operation, replicated
from tierce.seeing.causes import Cause, Kind
from tierce.seeing.interval import VolumeInterval
from tierce.seeing.self_times import self_times

REPLICAS = ("replica-1", "replica-2", "replica-3")
STAGES = (
    *("volume", "frontend.send", "filter.a", "filter.b", "filter.b.wait", "filter.b.call"),
    *("device", "engine.wait", "engine.call", "jiva.local_miss", "somebody.else"),
    *(f"jiva.replica/{name}" for name in REPLICAS),
)
OPERATIONS = ("read", "write", "flush", "write_zeroes", "compare_and_write")
OF_MEMBERS = ("replica.apply", "replica.read", "replica.sync")


def counts() -> st.SearchStrategy[Any]:
    run = st.tuples(st.integers(1, 9), st.sampled_from([0.001, 0.4, 20.0]), st.integers(0, 9))
    made = st.builds(
        lambda runs, failed: operation(*runs, failed=failed),
        st.lists(run, min_size=1, max_size=3),
        st.integers(0, 3),
    )
    return st.dictionaries(st.sampled_from(OPERATIONS), made)


@given(
    st.dictionaries(st.sampled_from(STAGES), counts()),
    st.dictionaries(
        st.sampled_from(REPLICAS), st.dictionaries(st.sampled_from(OF_MEMBERS), counts())
    ),
)
def test_whatever_is_counted_the_parts_sum_to_the_whole_and_none_is_negative(
    target: Any, members: Any
) -> None:
    found = interval(target, members)
    times = self_times(found)
    assert set(times) == set(found.root)
    for name, causes in times.items():
        whole = found.root[name].total_ns + found.of("frontend.send", name).total_ns
        assert all(ns > 0 for ns in causes.values())
        assert math.isclose(sum(causes.values()), whole, rel_tol=1e-6)


def share(found: VolumeInterval, operation: str, kind: Kind, name: str = "") -> float:
    times = self_times(found)[operation]
    return times.get(Cause(kind, name), 0.0) / sum(times.values())


def test_a_stage_is_what_it_took_less_what_is_below_it() -> None:
    found = interval(
        {
            "device": {"read": (10, 1.0)},
            "filter.in": {"read": (10, 3.0)},
            "filter.out": {"read": (10, 6.0)},
            "volume": {"read": (10, 10.0)},
            "frontend.send": {"read": (10, 10.0)},
        },
        seconds=10_000,
    )
    assert share(found, "read", Kind.ENGINE) == pytest.approx(0.05)
    assert share(found, "read", Kind.FILTER, "in") == pytest.approx(0.10)
    assert share(found, "read", Kind.FILTER, "out") == pytest.approx(0.15)
    assert share(found, "read", Kind.FRONTEND) == pytest.approx(0.20, rel=0.001)
    assert share(found, "read", Kind.SEND) == pytest.approx(0.50, rel=0.001)


def test_what_waits_behind_answers_that_are_not_taken_is_the_initiators_time() -> None:
    found = interval(
        {
            "volume": {"read": (470, 66.0)},
            "device": {"read": (470, 0.1)},
            "frontend.send": {"read": (10, 229.0)},
        },
        seconds=3.0,
    )
    assert share(found, "read", Kind.SEND) > 0.75
    quick = interval(
        {
            "volume": {"read": (470, 66.0)},
            "device": {"read": (470, 0.1)},
            "frontend.send": {"read": (1, 0.1)},
        },
        seconds=3.0,
    )
    assert share(quick, "read", Kind.FRONTEND) > 0.99


def test_the_turn_and_the_method_of_an_engine_or_filter_are_told_apart() -> None:
    found = interval(
        {
            "volume": {"read": (10, 10.0)},
            "filter.f": {"read": (10, 10.0)},
            "filter.f.wait": {"read": (10, 3.0)},
            "filter.f.call": {"read": (10, 7.0)},
            "device": {"read": (10, 6.0)},
            "engine.wait": {"read": (10, 4.0)},
            "engine.call": {"read": (10, 2.0)},
        }
    )
    assert share(found, "read", Kind.FILTER_WAIT, "f") == pytest.approx(0.3)
    assert share(found, "read", Kind.FILTER, "f") == pytest.approx(0.1)
    assert share(found, "read", Kind.ENGINE_WAIT) == pytest.approx(0.4)
    assert share(found, "read", Kind.ENGINE_CALL) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("late", "operation", "kind"),
    [
        ("link", "write", Kind.LINK),
        ("link", "flush", Kind.LINK),
        ("apply", "write", Kind.APPLY),
        ("sync", "flush", Kind.SYNC),
    ],
)
@pytest.mark.parametrize("ms", [5, 20, 100])
def test_of_replicas_the_one_that_answers_last_has_the_time(
    late: str, operation: str, kind: Kind, ms: int
) -> None:
    which: Any = {late: {"replica-2": ms}}
    found = replicated(**which)
    mean_ms = share(found, operation, kind, "replica-2") * found.root[operation].mean_ns / MS
    usual_ms = {"link": 0.45 if operation == "write" else 0.1, "apply": 0.05, "sync": 0.9}
    assert mean_ms == pytest.approx(ms + usual_ms[late], rel=0.01)


def test_a_replica_that_stood_still_once_has_that_time() -> None:
    def trip(last: int, *more: tuple[float, ...]) -> dict[str, Any]:
        return {"write": [(999, 0.4, last), *more]}

    found = interval(
        {
            "volume": {"write": [(999, 0.45), (1, 300.1)]},
            "device": {"write": [(999, 0.42), (1, 300.05)]},
            "jiva.replica/replica-1": trip(333, (1, 0.4)),
            "jiva.replica/replica-2": trip(333, (1, 300.0, 1)),
            "jiva.replica/replica-3": trip(333, (1, 0.4)),
        },
        {name: {"replica.apply": {"write": (1000, 0.1)}} for name in REPLICAS},
    )
    times = self_times(found)["write"]
    of_second = sum(ns for cause, ns in times.items() if cause.name == "replica-2") / MS
    assert of_second == pytest.approx(300 + 333 * 0.4, rel=0.2)


def test_one_replica_that_is_asked_at_a_time_is_waited_for() -> None:
    found = interval(
        {
            "volume": {"read": (10, 4.0)},
            "device": {"read": (10, 4.0)},
            "jiva.replica/replica-1": {"read": (5, 4.0)},
            "jiva.replica/replica-2": {"read": (5, 4.0)},
        },
        {"replica-1": {"replica.read": {"read": (5, 3.0)}}},
    )
    assert share(found, "read", Kind.READ, "replica-1") == pytest.approx(0.375)
    assert share(found, "read", Kind.LINK, "replica-1") == pytest.approx(0.125)
    assert share(found, "read", Kind.LINK, "replica-2") == pytest.approx(0.5)


def test_an_answer_that_never_came_was_waited_for() -> None:
    found = interval(
        {
            "volume": {"write": [(9, 1.0), (1, 900.0)]},
            "device": {"write": [(9, 1.0), (1, 900.0)]},
            "jiva.replica/replica-1": {"write": (10, 1.0, 9)},
            "jiva.replica/replica-2": {"write": operation((9, 0.5), (1, 900.0), failed=1)},
        }
    )
    assert share(found, "write", Kind.LINK, "replica-2") > 0.9


def test_a_write_that_must_be_durable_has_the_flush_that_it_is_carried_out_as() -> None:
    found = interval(
        {
            "volume": {"write": (10, 21.0), "flush": (1, 20.0)},
            "device": {"write": (10, 1.0), "flush": (11, 20.0)},
        }
    )
    times = self_times(found)["write"]
    assert times[Cause(Kind.ENGINE)] / MS == pytest.approx(210.0)
    assert Cause(Kind.FRONTEND) not in times


def test_what_an_engine_counts_besides_is_told_by_its_name() -> None:
    found = interval(
        {
            "volume": {"read": (10, 4.0)},
            "device": {"read": (10, 4.0)},
            "jiva.local_miss": {"read": (5, 6.0)},
            "somebody.else": {"read": (5, 1.0)},
        }
    )
    assert share(found, "read", Kind.LOCAL_MISS) == pytest.approx(0.75)
    assert share(found, "read", Kind.PART, "somebody.else") == pytest.approx(0.125)
