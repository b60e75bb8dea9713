"""From what is seen of a volume to its health."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce.health import Condition, Health
from tierce.server.assessing import Sight, assess
from tierce.state import Phase
from tierce.statuses import MemberStatus, VolumeStatus


def see(**seen: Any) -> Condition:
    return assess(Sight(**{"name": "demo", "phase": Phase.READY, "target_phase": "up", **seen}))


@pytest.mark.parametrize(
    ("seen", "health", "why"),
    [
        ({}, Health.HEALTHY, ""),
        ({"published": VolumeStatus(trouble="its past")}, Health.HEALTHY, ""),
        ({"published": VolumeStatus(state="serving")}, Health.HEALTHY, ""),
        (
            {"published": VolumeStatus(state="stopped", trouble="too few")},
            Health.STALLED,
            "too few",
        ),
        ({"published": VolumeStatus(state="opening")}, Health.OPENING, ""),
        (
            {"published": VolumeStatus(state="degraded", medium="a flush")},
            Health.DEGRADED,
            "a flush",
        ),
        ({"published": VolumeStatus(state="electing")}, Health.OPENING, ""),
        ({"published": VolumeStatus(state="read-only")}, Health.READ_ONLY, ""),
        ({"published": VolumeStatus(state="ended")}, Health.DOWN, ""),
        ({"published": VolumeStatus(state="dancing")}, Health.UNKNOWN, "its state 'dancing'"),
        ({"published": None}, Health.UNKNOWN, "can't be read"),
        ({"is_silent": True}, Health.STALLED, "does not answer"),
        ({"unreachable_why": "no portal"}, Health.DEGRADED, "no portal"),
        ({"members": ("one's process is down",)}, Health.DEGRADED, "one's process is down"),
        ({"target_phase": ""}, Health.OPENING, "is starting"),
        ({"target_phase": "starting"}, Health.OPENING, "is starting"),
        ({"target_phase": "closing"}, Health.DOWN, "is ending"),
        ({"target_phase": "down", "target_trouble": "no file"}, Health.DOWN, "no file"),
        ({"is_served": False, "unserved_why": "not named"}, Health.DOWN, "not named"),
        ({"fenced": "ballot 9"}, Health.FENCED, "ballot 9"),
        ({"phase": Phase.DELETING, "fenced": "ballot 9"}, Health.DELETING, ""),
    ],
)
def test_what_is_seen_makes_the_health(seen: dict[str, Any], health: Health, why: str) -> None:
    found = see(**seen)
    assert found.health is health
    assert why in found.why
    assert bool(found.todo) == (health is not Health.HEALTHY)


def test_a_degraded_volume_names_the_replicas_that_are_not_in_sync() -> None:
    replicas = (
        MemberStatus(name="replica-1", state="in-sync"),
        MemberStatus(name="replica-2", state="down", trouble="its process is not up"),
        MemberStatus(name="replica-3", state="rebuilding", progress=0.254),
    )
    found = see(published=VolumeStatus(state="degraded", members=replicas))
    assert found.health is Health.DEGRADED
    assert found.why == ("replica-2 is down: its process is not up; replica-3 is rebuilding (25%)")


def test_a_worse_state_is_not_hidden_by_the_portals() -> None:
    found = see(published=VolumeStatus(state="stopped"), unreachable_why="no portal")
    assert found.health is Health.STALLED


def test_what_to_do_names_the_volume() -> None:
    assert see(fenced="ballot 9").todo.endswith("`tierce volume claim demo`")
    found = see(target_phase="down", target_trouble="no file", target_log="logs/target.demo.log")
    assert found.todo == "look at its log: logs/target.demo.log"


def test_a_target_of_another_version_serves_and_what_to_do_about_it_is_said() -> None:
    found = see(published=None, is_adopted=True)
    assert found.health is Health.UNKNOWN
    assert "its target was taken over" in found.why
    assert "it serves as it did" in found.why
    assert "stop the server and start it" in found.todo
    # One that this server has started is of this version.
    assert "look at its target's log" in see(published=None).todo


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_whatever_an_engine_publishes_is_some_health(state: str, trouble: str, member: str) -> None:
    members = (MemberStatus(name="one", state=member),)
    published = VolumeStatus(state=state, trouble=trouble, members=members)
    assert see(published=published).health in Health
