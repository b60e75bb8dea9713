"""One codec for what core keeps and sends."""

# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import ActionCall, Event, MemberSpec, ProtocolError, codec, option
from tierce.codec import from_json, prepare, to_json
from tierce.inventory.adoption import Adoption
from tierce.process.plan import Plan, Role
from tierce.process.settings import MemberSettings
from tierce.state import Owner, Phase, VolumeRecord

MEMBER = MemberSpec("replica-1", Path("/srv/a"), "127.0.0.1:0", {"wait_s": 2.5, "all": [1, None]})
#: One of each kind that is kept or sent.
VALUES: tuple[Any, ...] = (
    Event("a.b", "what happened", "volume/demo", "warning", {"pid": 1, "deep": {"a": [True]}}),
    Plan("target.demo", Role.TARGET, "demo", {"a": [1, {"b": None}]}, {"c": 1}, is_volatile=True),
    VolumeRecord("demo", "0f", 1.5, Owner.STATE, Phase.DELETING, {"size": 1}, "x", "y", ("z",)),
    ActionCall(volume="demo", part="engine", action="resize", arguments={"size": 1}, words={}),
    Adoption((Path("/srv/a"), Path("/srv/b")), ("replica-3",), "jiva", "iscsi"),
    MEMBER,
    MemberSettings("demo", "0f", 1 << 40, 512, "jiva", MEMBER, {"depth": 1}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("value", VALUES, ids=lambda one: type(one).__name__)
def test_what_is_sent_comes_back_as_it_was(value: Any) -> None:
    told = to_json(value)
    assert told == json.loads(json.dumps(told))
    assert from_json(type(value), told) == value


@pytest.mark.parametrize("kind", [type(one) for one in VALUES])
@given(values=JSON)
def test_any_other_json_is_a_protocol_error(kind: type[Any], values: Any) -> None:
    with pytest.raises(ProtocolError):
        from_json(kind, values)


@given(st.data())
def test_a_value_with_one_field_of_another_kind_is_refused(data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(VALUES))
    told = to_json(value)
    key = data.draw(st.sampled_from(sorted(told)))
    told[key] = 7 if isinstance(told[key], str) else "text"
    with pytest.raises(ProtocolError, match=f"not a {type(value).__name__}: "):
        from_json(type(value), told)


def test_what_is_missing_is_named_and_what_is_unknown_is_left_out_of_account() -> None:
    told = to_json(MEMBER)
    del told["folder"]
    with pytest.raises(ProtocolError, match="not a MemberSpec: it lacks 'folder'"):
        from_json(MemberSpec, told)
    later = {**to_json(MEMBER), "colour": "of a later version"}
    del later["settings"]
    assert from_json(MemberSpec, later) == attrs.evolve(MEMBER, settings={})


def test_what_is_wrong_is_told_in_words() -> None:
    with pytest.raises(ProtocolError, match="not a MemberSpec: expected text, got 7"):
        from_json(MemberSpec, {**to_json(MEMBER), "name": 7})
    with pytest.raises(ProtocolError, match="not a VolumeRecord: expected a number, got 'now'"):
        from_json(VolumeRecord, {**to_json(VALUES[2]), "created": "now"})


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Part:
    secret: str | None = option(doc="x", default=None, secret=True)
    colour: Colour = option(doc="x", default=Colour.RED)


@attrs.frozen
class Whole:
    parts: tuple[Part, ...] = option(doc="x", default=())
    named: dict[str, Part] = option(doc="x", factory=dict)
    first: Any = option(doc="x", default=None)


def test_secrets_are_hidden_wherever_they_are_set() -> None:
    part = Part("s")
    whole = Whole((part, Part()), {"x": part}, part)
    shown, hidden = {"secret": "s", "colour": "red"}, {"secret": "***", "colour": "red"}
    unset = {"secret": None, "colour": "red"}
    assert to_json(whole) == {"parts": [shown, unset], "named": {"x": shown}, "first": shown}
    assert to_json(whole, hide_secrets=True) == {
        "parts": [hidden, unset],
        "named": {"x": hidden},
        "first": hidden,
    }
    assert to_json([part], hide_secrets=True) == [hidden]


def test_what_is_prepared_is_not_made_again_by_a_process_that_is_forked() -> None:
    prepare(Whole, *(type(one) for one in VALUES))
    made = codec._maker.cache_info().misses, codec._teller.cache_info().misses
    for value in (Whole(), *VALUES):
        assert from_json(type(value), to_json(value)) == value
    assert (codec._maker.cache_info().misses, codec._teller.cache_info().misses) == made
