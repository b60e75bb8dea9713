"""A field of a description that is not of its type is named, with what was expected."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from tierce import Concurrency, EngineDescription, FilterDescription, NoOptions
from tierce.registry.field_types import wrong_field

ENGINE = EngineDescription(name="e", summary="E.", factory="a:b", contract=2)
FILTER = FilterDescription(
    name="f", summary="F.", factory="a:b", operations=frozenset({"READ"}), contract=2
)


class Shade(enum.IntFlag):
    DARK = 1


@attrs.frozen(kw_only=True)
class Other:
    """The types that no description has today and that one may have."""

    count: int = 0
    shade: Shade = Shade.DARK
    parts: tuple[int, ...] = ()
    note: str | None = None
    table: Mapping[str, int] = attrs.field(factory=dict)


def test_a_string_for_an_enum_is_refused_by_name() -> None:
    wrong: Any = "serial"
    said = wrong_field(attrs.evolve(ENGINE, concurrency=wrong))
    assert said is not None
    assert said.startswith("concurrency is 'serial'; expected a tierce.Concurrency: ")
    assert "Concurrency.SERIAL" in said


@pytest.mark.parametrize(
    ("described", "field", "value"),
    [
        (ENGINE, "summary", None),
        (ENGINE, "durable", "no"),
        (ENGINE, "durable", 1),
        (ENGINE, "options", NoOptions()),
        (ENGINE, "factory", print),
        (FILTER, "operations", ["READ"]),
        (FILTER, "operations", frozenset({1})),
        (Other(), "count", True),
        (Other(), "count", "1"),
        (Other(), "shade", 1),
        (Other(), "parts", (1, "2")),
        (Other(), "note", 5),
        (Other(), "table", []),
    ],
)
def test_every_field_is_held_against_its_type(described: Any, field: str, value: Any) -> None:
    said = wrong_field(attrs.evolve(described, **{field: value}))
    assert said is not None
    assert said.startswith(f"{field} is {value!r}; expected ")


@pytest.mark.parametrize(
    "described",
    [
        ENGINE,
        FILTER,
        attrs.evolve(ENGINE, concurrency=Concurrency.INLINE),
        Other(),
        Other(note="x", parts=(1, 2), table={"a": 1}),
    ],
)
def test_what_is_right_is_left_alone(described: Any) -> None:
    assert wrong_field(described) is None
