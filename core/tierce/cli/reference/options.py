"""Option classes as rows: what `plugin show` and the reference pages tell of each option."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from typing import Any

import attrs

from tierce.config.parsing import quantity
from tierce.options import OptionInfo, option_info
from tierce.registry import (
    EnumType,
    MappingType,
    NestedType,
    OptionType,
    ScalarType,
    TupleType,
    option_types,
)

_UNIT_WORDS = {
    "bytes": "size",
    "seconds": "duration",
    "path": "path",
    "folder": "path",
    "file": "path",
    "address": "HOST:PORT",
}
_WORDS = {bool: "true or false", int: "integer", float: "number", str: "text"}


def option_rows(options: type[Any], prefix: str = "") -> Iterator[dict[str, str]]:
    """Yield name, type, default and documentation of every option, nested ones below theirs."""
    types = option_types(options)
    for field in attrs.fields(options):
        info, kind = option_info(field), types[field.name]
        name = f"{prefix}{field.name}"
        yield {
            "name": name,
            "type": type_text(kind, info),
            "default": default_text(field, info),
            "doc": info.doc + _range(info),
        }
        inner, suffix = _inner(kind)
        if inner is not None:
            yield from option_rows(inner, f"{name}{suffix}.")


def _inner(kind: OptionType) -> tuple[type[Any] | None, str]:
    """Return the option class that an option holds, and how its place in the option is written."""
    if isinstance(kind, NestedType):
        return kind.kind, ""
    if isinstance(kind, TupleType) and isinstance(kind.item, NestedType):
        return kind.item.kind, "[]"
    if isinstance(kind, MappingType) and isinstance(kind.item, NestedType):
        return kind.item.kind, ".NAME"
    return None, ""


def type_text(kind: OptionType, info: OptionInfo) -> str:
    """Name a type as an operator knows it."""
    if isinstance(kind, TupleType):
        text = f"list of {type_text(kind.item, info)}"
    elif isinstance(kind, MappingType):
        text = f"mapping of names to {type_text(kind.item, info)}"
    elif isinstance(kind, EnumType):
        text = " or ".join(str(member.value) for member in kind.kind)
    elif isinstance(kind, ScalarType):
        text = _UNIT_WORDS.get(info.unit) or _WORDS[kind.kind]
    else:
        text = "mapping"
    return f"{text}, or nothing" if kind.is_optional else text


def default_text(field: attrs.Attribute[Any], info: OptionInfo) -> str:
    """Show a field's default as it would be written in the file."""
    default: Any = field.default
    if default is attrs.NOTHING:
        return "required"
    if default is None:
        return "nothing"
    factory = getattr(default, "factory", None)
    if factory is not None:
        return "its defaults" if attrs.has(factory) else "none"
    if isinstance(default, tuple):
        return json.dumps(list(default)) if default else "none"
    if isinstance(default, enum.Enum):
        return str(default.value)
    if isinstance(default, int | float) and not isinstance(default, bool):
        return quantity(default, info.unit)
    return json.dumps(default) if isinstance(default, bool) else str(default) or "empty"


def _range(info: OptionInfo) -> str:
    parts = []
    if info.choices:
        parts.append(f"one of {', '.join(quantity_or_text(one, info) for one in info.choices)}")
    if info.minimum is not None:
        parts.append(f"at least {quantity(info.minimum, info.unit)}")
    if info.maximum is not None:
        parts.append(f"at most {quantity(info.maximum, info.unit)}")
    if info.secret:
        parts.append("secret")
    if info.live:
        parts.append("live")
    return f" ({', '.join(parts)})" if parts else ""


def quantity_or_text(value: Any, info: OptionInfo) -> str:
    """Show a choice as it would be written in the file."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if info.unit == "bytes" else quantity(value, info.unit)
    return str(value)
