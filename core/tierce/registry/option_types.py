"""The types of options, read from the annotations of an option class.

The config parser, the JSON Schema and the reference pages all walk these values, so an option is
declared once. Field types that are understood are listed in `tierce.options`.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs


class UnsupportedOptionError(Exception):
    """An option class declares what the config can't parse: its author's mistake."""


@attrs.frozen
class OptionType:
    """A type of option.

    Attributes:
        is_optional: The annotation ends in `| None`: null is a value too.
    """

    is_optional: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class ScalarType(OptionType):
    """One of bool, int, float, str."""

    kind: type[bool | int | float | str]


@attrs.frozen
class EnumType(OptionType):
    """A member of an enum, written by its value."""

    kind: type[enum.Enum]


@attrs.frozen
class TupleType(OptionType):
    """A list of one type: `tuple[T, ...]`."""

    item: OptionType


@attrs.frozen
class MappingType(OptionType):
    """Names of the user's own, each with a value of one type: `dict[str, T]`."""

    item: OptionType


@attrs.frozen
class NestedType(OptionType):
    """An option class within an option class."""

    kind: type[Any]


@attrs.frozen
class AnyType(OptionType):
    """What the parser leaves as it is, for a second pass that knows more. Core's own only."""


def option_types(options: object) -> Mapping[str, OptionType]:
    """Return the type of each field of an option class, in order.

    Raises:
        UnsupportedOptionError: It is not a frozen attrs class, or a field's type is not one that
            the config understands; the message names the class and the field.
    """
    if not (isinstance(options, type) and attrs.has(options)):
        raise UnsupportedOptionError(f"{options!r} is not an attrs class")
    try:
        hints = typing.get_type_hints(options)
    except Exception as error:
        # Evaluating a stranger's annotations may raise anything.
        raise UnsupportedOptionError(f"{options.__name__}: {error}") from error
    found = {}
    for field in attrs.fields(options):
        if not field.init or field.alias != field.name:
            raise UnsupportedOptionError(
                f"{options.__name__}.{field.name}: an option is set by its own name"
            )
        found[field.name] = _type_of(hints.get(field.name), f"{options.__name__}.{field.name}")
    return found


def _type_of(hint: Any, where: str) -> OptionType:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return _optional(arguments, where)
    if hint is Any:
        return AnyType()
    if hint in {bool, int, float, str}:
        return ScalarType(hint)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return TupleType(_type_of(arguments[0], where))
    if origin is dict and arguments[0] is str:
        return MappingType(_type_of(arguments[1], where))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return EnumType(hint)
    if isinstance(hint, type) and attrs.has(hint):
        option_types(hint)
        return NestedType(hint)
    raise UnsupportedOptionError(f"{where}: the config does not understand the type {hint!r}")


def _optional(arguments: tuple[Any, ...], where: str) -> OptionType:
    others = [one for one in arguments if one is not type(None)]
    if len(others) != 1 or len(arguments) != 2:
        raise UnsupportedOptionError(f"{where}: of unions, only `T | None` is understood")
    return attrs.evolve(_type_of(others[0], where), is_optional=True)
