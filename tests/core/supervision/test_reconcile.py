"""What to do next, without any process."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce.process.plan import Plan, Role
from tierce.supervision.reconcile import (
    Action,
    GiveUp,
    Kill,
    Look,
    Observed,
    Start,
    Stop,
    reconcile,
    restart_delay_s,
)

PORTAL = Plan("portal", Role.PORTAL)
TARGET = Plan("target.demo", Role.TARGET, "demo", {"size": 1})
MEMBER = Plan("member.demo.replica-1", Role.MEMBER, "demo", {})
OTHER_TARGET = Plan("target.other", Role.TARGET, "other", {})
FORK_SERVER = Plan("template", Role.FORK_SERVER)
ALL = (PORTAL, TARGET, MEMBER, OTHER_TARGET, FORK_SERVER)
TIMEOUT_S = 10.0


def running(plan: Plan) -> Observed:
    return Observed(plan.name, plan.role, plan.volume, plan.digest)


def down(plan: Plan, start_at: float = 0.0) -> Observed:
    return Observed(
        plan.name, plan.role, plan.volume, plan.digest, is_running=False, start_at=start_at
    )


def decide(
    desired: Iterable[Plan], observed: Iterable[Observed], now: float = 100.0
) -> list[Action]:
    plans = {plan.name: plan for plan in desired}
    return reconcile(plans, observed, now, stop_timeout_s=TIMEOUT_S)


def test_what_is_wanted_and_unknown_is_started() -> None:
    assert decide([TARGET, PORTAL], []) == [Start(TARGET), Start(PORTAL)]


def test_nothing_is_forked_by_a_fork_server_of_other_plugins_or_other_code() -> None:
    before = attrs.evolve(FORK_SERVER, settings={"code": "of before"})
    portal = attrs.evolve(PORTAL, settings={"listen": "elsewhere"})
    desired = [FORK_SERVER, portal, TARGET]
    going = attrs.evolve(running(before), stop_asked_at=100.0)
    # It goes at once, beside the portal, and what would be started waits for its successor.
    assert decide(desired, [running(before), running(PORTAL)])[:2] == [
        Stop("template", "its settings have changed"),
        Stop("portal", "its settings have changed"),
    ]
    assert decide(desired, [going, down(PORTAL)]) == [Look(110.0)]
    assert decide(desired, [running(FORK_SERVER), down(PORTAL)]) == [Start(portal), Start(TARGET)]


def test_what_runs_as_planned_is_left_alone() -> None:
    assert decide(ALL, map(running, ALL)) == []


def test_what_would_lose_its_data_by_a_restart_goes_on_until_it_ends_by_itself() -> None:
    memory = attrs.evolve(TARGET, is_volatile=True)
    before = attrs.evolve(TARGET, settings={"size": 2})
    assert decide([memory], [running(before)]) == []
    assert decide([TARGET], [running(before)])[0] == Stop(
        "target.demo", "its settings have changed"
    )
    assert decide([memory], [down(before)]) == [Start(memory)]
    assert decide([], [running(before)])[0] == Stop("target.demo", "no longer wanted")


def test_what_died_is_started_once_its_back_off_is_over() -> None:
    assert decide([TARGET], [down(TARGET, start_at=101.0)]) == [Look(101.0)]
    assert decide([TARGET], [down(TARGET, start_at=101.0)], now=101.0) == [Start(TARGET)]


def test_what_is_not_wanted_is_stopped() -> None:
    actions = decide([], [running(TARGET)])
    assert actions == [Stop("target.demo", "no longer wanted"), Look(110.0)]


def test_what_runs_by_another_plan_is_stopped_and_then_started_by_the_new_one() -> None:
    changed = attrs.evolve(TARGET, settings={"size": 2})
    assert decide([changed], [running(TARGET)]) == [
        Stop("target.demo", "its settings have changed"),
        Look(110.0),
    ]
    assert decide([changed], [down(TARGET)]) == [Start(changed)]


def test_a_member_stops_only_after_the_target_of_its_volume() -> None:
    both = [running(TARGET), running(MEMBER)]
    assert decide([], both) == [Stop("target.demo", "no longer wanted"), Look(110.0)]
    asked = attrs.evolve(running(TARGET), stop_asked_at=99.0)
    assert decide([], [asked, running(MEMBER)]) == [Look(109.0)]
    alone = decide([], [running(MEMBER)])
    assert alone == [Stop("member.demo.replica-1", "no longer wanted"), Look(110.0)]


def test_a_member_does_not_wait_for_the_target_of_another_volume() -> None:
    actions = decide([], [running(OTHER_TARGET), running(MEMBER)])
    assert {action.name for action in actions if isinstance(action, Stop)} == {
        "target.other",
        "member.demo.replica-1",
    }


def test_when_all_must_go_the_portal_goes_first_and_the_fork_server_last() -> None:
    order = []
    alive = [running(plan) for plan in ALL]
    while alive:
        stopped = [action.name for action in decide([], alive) if isinstance(action, Stop)]
        assert stopped
        order.append(sorted(stopped))
        alive = [one for one in alive if one.name not in stopped]
    assert order == [
        ["portal"],
        ["target.demo", "target.other"],
        ["member.demo.replica-1"],
        ["template"],
    ]


def test_what_does_not_stop_in_time_is_killed_once_and_looked_for_again() -> None:
    asked = attrs.evolve(running(TARGET), stop_asked_at=90.0)
    assert decide([], [asked], now=99.0) == [Look(100.0)]
    assert decide([], [asked], now=100.0) == [Kill("target.demo"), Look(110.0)]


def test_what_was_killed_and_is_still_there_is_waited_for_while_anything_is_wanted() -> None:
    asked = attrs.evolve(running(TARGET), stop_asked_at=90.0, killed_at=100.0)
    assert decide([PORTAL], [asked, running(PORTAL)], now=105.0) == [Look(110.0)]
    assert decide([PORTAL], [asked, running(PORTAL)], now=111.0) == []


def test_what_the_kernel_keeps_is_left_behind_at_the_end_of_everything() -> None:
    asked = attrs.evolve(running(TARGET), stop_asked_at=90.0, killed_at=100.0)
    assert decide([], [asked], now=105.0) == [Look(110.0)]
    assert decide([], [asked], now=110.0) == [GiveUp("target.demo")]


def test_what_was_asked_to_stop_stops_even_if_it_is_wanted_again() -> None:
    asked = attrs.evolve(running(TARGET), stop_asked_at=90.0)
    assert decide([TARGET], [asked], now=95.0) == [Look(100.0)]
    assert decide([TARGET], [asked], now=100.0) == [Kill("target.demo"), Look(110.0)]


def test_what_was_fenced_stays_down() -> None:
    fenced = attrs.evolve(down(TARGET), is_fenced=True)
    assert decide([TARGET], [fenced]) == []


@given(
    desired=st.sets(st.sampled_from(ALL)),
    alive=st.sets(st.sampled_from(ALL)),
)
def test_carrying_out_what_is_said_ends_at_what_is_wanted(
    desired: set[Plan], alive: set[Plan]
) -> None:
    observed = {plan.name: running(plan) for plan in alive}
    for _round in range(12):
        for action in decide(desired, observed.values()):
            if isinstance(action, Start):
                assert action.plan.name not in observed
                observed[action.plan.name] = running(action.plan)
            elif isinstance(action, Stop):
                del observed[action.name]
    assert set(observed) == {plan.name for plan in desired}
    assert decide(desired, observed.values()) == []


@pytest.mark.parametrize(
    ("failure_count", "delay_s"), [(1, 0.125), (2, 0.25), (5, 2.0), (9, 30.0), (10_000, 30.0)]
)
def test_the_back_off_doubles_up_to_its_limit(failure_count: int, delay_s: float) -> None:
    assert restart_delay_s(failure_count, 30.0) == delay_s
