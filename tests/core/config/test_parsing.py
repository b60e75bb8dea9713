"""Option classes from plain values, and back."""

# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from tierce import ConfigError, option
from tierce.codec import to_json
from tierce.config import options_from_mapping


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Part:
    path: str = option(doc="x", default="part", unit="path")
    secret: str | None = option(doc="x", default=None, secret=True)


@attrs.frozen
class Whole:
    colour: Colour = option(doc="x", default=Colour.RED)
    parts: tuple[Part, ...] = option(doc="x", default=())
    first: Part = option(doc="x", factory=Part)
    named: dict[str, Part] = option(doc="x", factory=dict)
    wait_s: int = option(doc="x", default=1, unit="seconds")
    positive: int = attrs.field(default=1, validator=attrs.validators.gt(0))


def make(**values: Any) -> Whole:
    return options_from_mapping(Whole, values, base=Path("/base"), origin="a command")


def test_what_is_made_goes_to_json_and_comes_back_equal() -> None:
    whole = make(parts=({"path": "a"},), named={"x": {"path": Path("b"), "secret": "s"}})
    mapping = json.loads(json.dumps(to_json(whole)))
    assert options_from_mapping(Whole, mapping, base=Path("/elsewhere"), origin="") == whole


def test_paths_start_from_the_base_also_where_they_are_a_default() -> None:
    whole = make(parts=[{}])
    assert whole.parts[0].path == "/base/part"
    assert whole.first.path == "/base/part"


def test_secrets_are_hidden_where_they_are_set() -> None:
    whole = make(parts=[{"secret": "s"}, {}])
    parts = to_json(whole, hide_secrets=True)["parts"]
    assert [part["secret"] for part in parts] == ["***", None]
    assert to_json(whole)["parts"][0]["secret"] == "s"


@pytest.mark.parametrize("value", ["1500 ms", 1.5])
def test_a_whole_number_of_seconds_is_one(value: Any) -> None:
    assert make(wait_s="2000 ms").wait_s == 2
    with pytest.raises(ConfigError, match=r"whole number|duration"):
        make(wait_s=value)


def test_what_a_validator_says_is_told() -> None:
    with pytest.raises(ConfigError, match=r"a command: .*'positive' must be > 0"):
        make(positive=-1)


@pytest.mark.parametrize("value", [object(), {1: 2}, float("nan"), float("inf"), {"a", "b"}])
def test_what_is_no_json_value_is_told(value: Any) -> None:
    with pytest.raises(ConfigError, match="a command"):
        make(parts=value)


def test_what_holds_itself_is_told() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ConfigError, match="too deep"):
        make(parts=endless)
