"""The types of options are read from annotations; what the config can't parse is refused."""

# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

import enum
from typing import Any

import attrs
import pytest

from tierce import NoOptions, option
from tierce.registry import (
    AnyType,
    EnumType,
    MappingType,
    NestedType,
    ScalarType,
    TupleType,
    UnsupportedOptionError,
    option_types,
)


class Mode(enum.Enum):
    FAST = "fast"


@attrs.frozen
class Inner:
    path: str = option(doc="A path.", unit="path")


@attrs.frozen
class Everything:
    switch: bool = option(doc="x")
    count: int = option(doc="x")
    share: float = option(doc="x")
    text: str | None = option(doc="x")
    mode: Mode = option(doc="x")
    inner: Inner = option(doc="x")
    inners: tuple[Inner, ...] = option(doc="x")
    by_name: dict[str, int] = option(doc="x")
    whatever: Any = option(doc="x")


def test_every_type_of_the_contract_is_understood() -> None:
    assert option_types(Everything) == {
        "switch": ScalarType(bool),
        "count": ScalarType(int),
        "share": ScalarType(float),
        "text": ScalarType(str, is_optional=True),
        "mode": EnumType(Mode),
        "inner": NestedType(Inner),
        "inners": TupleType(NestedType(Inner)),
        "by_name": MappingType(ScalarType(int)),
        "whatever": AnyType(),
    }


def test_no_options_are_options_too() -> None:
    assert option_types(NoOptions) == {}


@pytest.mark.parametrize(
    "annotation",
    [
        bytes,
        complex,
        "list[int]",
        "tuple[int, int]",
        "dict[int, str]",
        "int | str",
        "set[int]",
        "int | str | None",
        "Nowhere",
    ],
)
def test_other_types_are_refused_by_name(annotation: Any) -> None:
    options = attrs.make_class("Options", {"color": attrs.field(type=annotation)}, frozen=True)
    with pytest.raises(UnsupportedOptionError, match="Options"):
        option_types(options)


@pytest.mark.parametrize("options", [dict, 5, None, "Options"])
def test_what_is_no_attrs_class_is_refused(options: Any) -> None:
    with pytest.raises(UnsupportedOptionError, match="attrs"):
        option_types(options)


@attrs.frozen
class Private:
    _hidden: int = option(default=1, doc="x")


def test_an_option_is_set_by_its_own_name() -> None:
    with pytest.raises(UnsupportedOptionError, match="_hidden"):
        option_types(Private)
