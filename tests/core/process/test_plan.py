"""Plans and events as values that travel."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import Event, ProtocolError
from tierce.codec import from_json, to_json
from tierce.process.plan import Plan, Role

PLAN = Plan("target.demo", Role.TARGET, "demo", {"a": [1, {"b": None}]})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def test_a_plan_comes_back_as_it_was_sent() -> None:
    assert from_json(Plan, to_json(PLAN)) == PLAN
    assert from_json(Plan, to_json(PLAN)).digest == PLAN.digest


def test_a_digest_does_not_depend_on_the_order_of_settings() -> None:
    one = Plan("x", Role.TARGET, settings={"a": 1, "b": 2})
    assert one.digest == Plan("x", Role.TARGET, settings={"b": 2, "a": 1}).digest
    assert one.digest != Plan("x", Role.TARGET, settings={"a": 1, "b": 3}).digest


def test_what_may_change_while_it_runs_makes_no_other_plan() -> None:
    one = Plan("x", Role.TARGET, settings={"a": 1}, live={"b": 1})
    assert one.digest == Plan("x", Role.TARGET, settings={"a": 1}, live={"b": 2}).digest
    assert from_json(Plan, to_json(one)).live == {"b": 1}


@given(JSON)
def test_any_json_is_a_plan_or_a_protocol_error(values: Any) -> None:
    with pytest.raises(ProtocolError):
        from_json(Plan, values)


@given(JSON)
def test_any_json_is_an_event_or_a_protocol_error(values: Any) -> None:
    with pytest.raises(ProtocolError):
        from_json(Event, values)


def test_an_event_comes_back_as_it_was_sent() -> None:
    event = Event("a.b", "what happened", "volume/demo", "warning", {"pid": 1})
    assert from_json(Event, to_json(event)) == event


def test_what_accepts_stops_before_what_serves_and_that_before_what_keeps() -> None:
    assert Role.PORTAL.rank < Role.TARGET.rank < Role.MEMBER.rank < Role.FORK_SERVER.rank
    assert Role.SERVICE.rank == Role.FORK_SERVER.rank
