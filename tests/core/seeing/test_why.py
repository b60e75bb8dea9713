"""`why` names what dominates, says what to do, and says so where nothing is slow."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given

from core.seeing.test_self_times import counts
from core.seeing.volumes import interval, operation, record, replicated
from tierce.seeing.causes import Cause, Kind
from tierce.seeing.why import Findings, Verdict, decide, decide_by_records
from tierce.services import Parked


def local(**slow: float) -> Any:
    """A volume of one filter and a simple engine, of which some stages take longer, in ms."""
    wait, call = slow.get("engine_wait", 0.01), slow.get("engine_call", 0.05)
    device = wait + call + slow.get("engine", 0.01)
    turn = slow.get("turn", 0.0)
    inner = device + slow.get("filter", 0.01) + turn
    whole = inner + slow.get("frontend", 0.01)
    count = 100
    return interval(
        {
            "volume": {"read": (count, whole)},
            "filter.pace": {"read": (count, inner)},
            "filter.pace.wait": {"read": (count, turn)},
            "device": {"read": (count, device)},
            "engine.wait": {"read": (count, wait)},
            "engine.call": {"read": (count, call)},
            **({"frontend.send": {"read": (count, slow["send"])}} if "send" in slow else {}),
        }
    )


def simple(**slow: float) -> Any:
    """A volume whose engine counts nothing itself."""
    return interval(
        {"volume": {"read": (9, 0.1 + slow["ms"])}, "device": {"read": (9, slow["ms"])}}
    )


@pytest.mark.parametrize(
    ("found", "kind", "name"),
    [
        (local(filter=20), Kind.FILTER, "pace"),
        (local(turn=20), Kind.FILTER_WAIT, "pace"),
        (local(engine_call=20), Kind.ENGINE_CALL, ""),
        (local(engine_wait=20), Kind.ENGINE_WAIT, ""),
        (local(engine=20), Kind.ENGINE, ""),
        (local(frontend=20), Kind.FRONTEND, ""),
        (local(send=20), Kind.SEND, ""),
        (simple(ms=20), Kind.ENGINE, ""),
        (replicated(link={"replica-2": 20}), Kind.LINK, "replica-2"),
        (replicated(apply={"replica-3": 20}), Kind.APPLY, "replica-3"),
        (replicated(sync={"replica-1": 20}), Kind.SYNC, "replica-1"),
        (
            replicated(sync=dict.fromkeys(["replica-1", "replica-2", "replica-3"], 20)),
            Kind.SYNC,
            "",
        ),
        (
            interval(
                {
                    "volume": {"read": (9, 20.0)},
                    "device": {"read": (9, 20.0)},
                    "jiva.local_miss": {"read": (9, 19.0)},
                }
            ),
            Kind.LOCAL_MISS,
            "",
        ),
        (
            interval(
                {
                    "volume": {"write": (9, 20.0)},
                    "device": {"write": (9, 20.0)},
                    "jiva.replica/replica-1": {"write": (9, 1.0, 9)},
                    "jiva.replica/replica-2": {"write": (9, 1.0)},
                }
            ),
            Kind.REPLICATION,
            "",
        ),
    ],
)
def test_each_cause_is_named_with_what_to_do(found: Any, kind: Kind, name: str) -> None:
    said = decide(found, [])
    assert said.verdict is Verdict.SLOW
    first = said.operations[0].dominant
    assert first.cause == Cause(kind, name)
    assert first.share > 0.9
    assert first.cause.label in said.sentence
    assert said.todo == first.cause.todo


def test_the_sentence_says_how_much_of_what_and_how_the_others_are() -> None:
    said = decide(replicated(sync_ms=0.4, sync={"replica-2": 20}), [])
    assert said.sentence == (
        "100 % of the last 10 s' flush time is replica-2's fdatasync (20.4 ms of each); the others "
        "answer in 0.4 ms"
    )


def test_where_nothing_dominates_the_largest_are_named() -> None:
    said = decide(local(filter=5, engine_call=5, frontend=5), [])
    assert said.sentence.startswith("nothing dominates the last 10 s' read time: 33 % ")
    assert said.sentence.count("33 %") == 3


def test_where_nothing_is_slow_that_is_said() -> None:
    said = decide(replicated(), [])
    assert (said.verdict, said.todo) == (Verdict.WELL, "")
    assert said.sentence.startswith("nothing is slow: flushes take ")
    assert "the replicas' fdatasync" in said.sentence


def test_without_io_that_is_said_and_what_to_do() -> None:
    said = decide(interval({"device": {}}), [])
    assert said.verdict is Verdict.NO_IO
    assert said.sentence == "no I/O was seen in the last 10 s"
    assert "tierce volume why demo --for 1min" in said.todo


def test_what_is_not_answered_at_all_is_told_by_what_is_pending() -> None:
    parked = {"device": Parked(3, 8.0), "filter.pace": Parked(3, 8.1)}
    said = decide(interval({}, parked=parked), [])
    assert said.verdict is Verdict.STUCK
    assert said.sentence == "3 I/Os wait in device, the oldest for 8 s"
    assert "tierce volume journal demo" in said.todo


def test_what_is_pending_about_as_long_as_all_take_is_not_stuck() -> None:
    parked = {"device": Parked(1, 1.1)}
    found = interval(
        {"volume": {"read": (9, 1000.0)}, "device": {"read": (9, 1000.0)}}, parked=parked
    )
    assert decide(found, []).verdict is Verdict.SLOW


def test_single_slow_ones_that_an_average_hides_are_told_by_their_records() -> None:
    late = record(
        312,
        ("device", 0, 312),
        ("jiva.replica/replica-2", 0, 311),
        ("jiva.replica/replica-1", 0, 7),
    )
    quick = record(0.4, is_slow=False)
    said = decide(replicated(count=10_000), [late, quick])
    assert said.verdict is Verdict.SLOW_ONES
    assert "1 I/O took up to 312 ms" in said.sentence
    assert "of the time of the slow writes is the link to replica-2" in said.sentence
    assert said.evidence == (late,)


def test_what_the_slowest_waited_for_is_noted_where_an_average_says_something_else() -> None:
    late = record(312, ("device", 0, 312), ("jiva.replica/replica-3", 0, 311))
    said = decide(replicated(sync={"replica-1": 20}), [late])
    assert said.operations[0].dominant.cause == Cause(Kind.SYNC, "replica-1")
    assert said.notes[0].startswith(
        "the slowest write took 312 ms, 100 % of it the link to replica-3"
    )


def test_kept_records_decide_alone_where_they_are_asked_for() -> None:
    late = [record(80.0 + n, ("device", 0, 80), ("jiva.replica/replica-2", 0, 79)) for n in (1, 2)]
    said = decide_by_records([*late, record(1, is_slow=False)], replicated())
    assert said.verdict is Verdict.SLOW_ONES
    assert "the time of the 2 slow writes that are kept is replica-2" in said.sentence
    assert [one.elapsed_ns for one in said.evidence] == [82_000_000, 81_000_000]
    nothing = decide_by_records([], replicated())
    assert (nothing.verdict, nothing.sentence) == (
        Verdict.WELL,
        "no I/O that took too long is kept",
    )


def test_what_else_may_have_to_do_with_it_is_noted() -> None:
    found = interval(
        {"volume": {"read": operation((9, 0.1), failed=2)}},
        health="degraded",
        states={"replica-1": "in-sync", "replica-2": "down"},
    )
    assert decide(found, []).notes == (
        "the volume is degraded",
        "replica-2 is down",
        "2 I/Os failed: `tierce events --volume demo`",
    )


@given(counts(), counts(), counts())
def test_the_shares_of_each_operation_sum_to_1_and_none_is_negative(
    whole: Any, device: Any, trip: Any
) -> None:
    stages = {"volume": whole, "device": device, "jiva.replica/replica-1": trip}
    said: Findings = decide(interval(stages), [])
    for one in said.operations:
        for shares in (one.shares, one.causes):
            assert all(share.share > 0 for share in shares)
            assert math.isclose(sum(share.share for share in shares), 1.0, rel_tol=1e-6)
