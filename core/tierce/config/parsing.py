"""From values that know their line to instances of option classes, and back to plain values.

One walk over `tierce.registry.OptionType` does for core's own sections and for every plugin's.
Whatever is wrong is one ConfigError: where, what, what was expected, what was found, and the
nearest valid name.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from tierce.config.quantity import (
    check_address,
    check_path,
    find_variables,
    format_size,
    parse_duration,
    parse_size,
)
from tierce.config.source import Value, from_plain
from tierce.errors import ConfigError, TierceError, explain
from tierce.options import PATH_UNITS, OptionInfo, option_info
from tierce.registry import (
    AnyType,
    EnumType,
    MappingType,
    NestedType,
    OptionType,
    ScalarType,
    TupleType,
    nearest,
    option_types,
)

T = TypeVar("T")

#: What `Config.origins` says of a value that the file does not mention.
DEFAULT = "default"


@attrs.define
class Reading:
    """What one reading of a file gathers on its way.

    Attributes:
        base: The folder that relative paths start from.
        origins: Where each value came from, as in `Config.origins`.
        advice: As in `Config.advice`.
        refused: Where volumes that are wrong go, as in `Config.refused`; None: the first ends it.
    """

    base: Path
    origins: dict[str, str] = attrs.field(factory=dict)
    advice: list[str] = attrs.field(factory=list)
    refused: dict[str, ConfigError] | None = None


def options_from_mapping(
    options: type[T], mapping: Mapping[str, Any], *, base: Path, origin: str
) -> T:
    """Return an instance of an option class from plain values.

    Args:
        options: The option class.
        mapping: What the config file would hold for it.
        base: The folder that relative paths start from.
        origin: What errors name as the file.

    Raises:
        ConfigError: The values are wrong.
    """
    return parse_options(options, from_plain(mapping, origin), Reading(base), "")


def parse_options(options: type[T], value: Value, reading: Reading, path: str) -> T:
    """Return an instance of an option class.

    Args:
        options: The option class.
        value: A mapping, or nothing for all defaults.
        reading: What is gathered.
        path: The value's own key in `Config.origins`; empty at the top.

    Raises:
        ConfigError: The values are wrong.
    """
    items = entries(value, path)
    types = option_types(options)
    for key in items:
        if key not in types:
            raise value.error(f"{_at(path)}unknown option {key!r}{nearest(key, types)}", key=key)
    found = {}
    for field in attrs.fields(options):  # type: ignore[arg-type]
        info, kind = option_info(field), types[field.name]
        where = _join(path, field.name)
        if field.name in items:
            found[field.name] = parse_value(kind, info, items[field.name], reading, where)
            reading.origins[where] = value.origin_of(field.name)
        elif field.default is attrs.NOTHING:
            raise value.error(f"{_at(path)}the option {field.name!r} is missing: {info.doc}")
        else:
            found |= _default(field, kind, value, reading, where)
    return _make(options, found, value, reading, path)


def entries(value: Value, path: str) -> Mapping[str, Value]:
    """Return the items of a mapping; none of nothing.

    Raises:
        ConfigError: It is something else.
    """
    if value.content is None:
        return {}
    if not isinstance(value.content, dict):
        raise value.error(f"{_at(path)}expected a mapping, got {value.describe()}")
    return value.content


def _default(
    field: attrs.Attribute[Any], kind: OptionType, value: Value, reading: Reading, where: str
) -> dict[str, Any]:
    """Return what to pass for an absent field: nothing, unless its default depends on the file."""
    reading.origins[where] = DEFAULT
    default: Any = field.default
    if isinstance(kind, NestedType) and getattr(default, "factory", None) is kind.kind:
        empty = Value({}, value.file, value.line)
        return {field.name: parse_options(kind.kind, empty, reading, where)}
    if option_info(field).unit in PATH_UNITS and isinstance(default, str):
        return {field.name: _absolute(default, reading.base)}
    return {}


def _make(
    options: type[T], found: Mapping[str, Any], value: Value, reading: Reading, path: str
) -> T:
    """Make the instance, and ask it what is wrong with its options together."""
    try:
        made = options(**found)
        wrong = _sentence(made, "check")
        advice = _sentence(made, "advice")
    except (ValueError, TierceError) as error:
        raise value.error(f"{_at(path)}{error}") from error
    except (Exception, SystemExit) as error:
        # Validators and checks are the plugin's own and may raise anything.
        whose = f"{options.__name__} of {options.__module__}"
        raise value.error(
            f"{_at(path)}its option class {whose} failed: {explain(error)}"
        ) from error
    if wrong:
        raise value.error(f"{_at(path)}{wrong}")
    if advice:
        reading.advice.append(f"{value.origin}: {_at(path)}{advice}")
    return made


def _sentence(made: object, method: str) -> str:
    """Call an optional method of an option class: `check` or `advice`."""
    ask = getattr(made, method, None)
    answer = ask() if callable(ask) else None
    return str(answer) if answer else ""


def parse_value(
    kind: OptionType, info: OptionInfo, value: Value, reading: Reading, path: str
) -> Any:
    """Return what one option is set to.

    Raises:
        ConfigError: The value is wrong.
    """
    if isinstance(kind, AnyType):
        return value
    if value.content is None and kind.is_optional:
        return None
    if isinstance(kind, NestedType):
        return parse_options(kind.kind, value, reading, path)
    if isinstance(kind, TupleType):
        return tuple(
            parse_value(kind.item, info, one, reading, f"{path}[{index}]")
            for index, one in enumerate(_elements(kind, info, value, path))
        )
    if isinstance(kind, MappingType):
        return {
            key: parse_value(kind.item, info, one, reading, _join(path, key))
            for key, one in entries(value, path).items()
        }
    if isinstance(kind, EnumType):
        return _enum(kind.kind, info, value, path)
    assert isinstance(kind, ScalarType), f"no parser for {kind!r}"
    found = _scalar(kind, info, value, reading, path)
    _check_range(found, info, value, path)
    return found


def _elements(kind: TupleType, info: OptionInfo, value: Value, path: str) -> Iterable[Value]:
    if not isinstance(value.content, list):
        raise _wrong(kind, info, value, path)
    return value.content


def _enum(kind: type[enum.Enum], info: OptionInfo, value: Value, path: str) -> enum.Enum:
    for member in kind:
        if value.content == member.value and type(value.content) is type(member.value):
            return member
    names = [str(member.value) for member in kind]
    got = "that" if info.secret else value.describe()
    near = nearest(value.content, names) if isinstance(value.content, str) else ""
    raise value.error(f"{_at(path)}expected one of {', '.join(names)}, got {got}{near}")


def _scalar(
    kind: ScalarType, info: OptionInfo, value: Value, reading: Reading, path: str
) -> bool | int | float | str:
    content = value.content
    if kind.kind is bool and isinstance(content, bool):
        return content
    if kind.kind is str and isinstance(content, str):
        return _text(content, info, value, reading, path)
    if kind.kind in {int, float} and isinstance(content, str) and info.unit in _PARSERS:
        try:
            number = _PARSERS[info.unit](content)
        except ValueError as error:
            raise value.error(f"{_at(path)}{error}") from error
        if kind.kind is float or number == int(number):
            return kind.kind(number)
        raise value.error(f"{_at(path)}expected a whole number of {info.unit}, got {content!r}")
    if kind.kind is int and isinstance(content, int) and not isinstance(content, bool):
        return content
    if kind.kind is float and isinstance(content, int | float) and not isinstance(content, bool):
        return _float(content, value, path)
    raise _wrong(kind, info, value, path)


def _float(number: float, value: Value, path: str) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise value.error(f"{_at(path)}{value.describe()} is too large") from error


_PARSERS = {"bytes": parse_size, "seconds": parse_duration}


def _text(content: str, info: OptionInfo, value: Value, reading: Reading, path: str) -> str:
    if info.unit in PATH_UNITS:
        try:
            check_path(content)
        except ValueError as error:
            raise value.error(f"{_at(path)}{error}") from error
        if variables := find_variables(content):
            reading.advice.append(
                f"{value.origin}: {_at(path)}{' '.join(variables)} is taken as it stands: "
                "variables are not replaced"
            )
        return _absolute(content, reading.base)
    if info.unit == "address":
        try:
            return check_address(content)
        except ValueError as error:
            raise value.error(f"{_at(path)}{error}") from error
    return content


def _absolute(path: str, base: Path) -> str:
    return os.path.normpath(base.absolute() / path)


def _check_range(found: float | str, info: OptionInfo, value: Value, path: str) -> None:
    if info.choices and found not in info.choices:
        choices = [str(one) for one in info.choices]
        got = "that" if info.secret else value.describe()
        near = nearest(found, choices) if isinstance(found, str) else ""
        raise value.error(f"{_at(path)}expected one of {', '.join(choices)}, got {got}{near}")
    if isinstance(found, str | bool):
        return
    # Without a minimum of its own, a size or a duration still can't be negative.
    minimum = info.minimum if info.minimum is not None else (0 if info.unit in _PARSERS else None)
    for bound, is_wrong, word in (
        (minimum, minimum is not None and found < minimum, "at least"),
        (info.maximum, info.maximum is not None and found > info.maximum, "at most"),
    ):
        if is_wrong:
            assert bound is not None
            raise value.error(
                f"{_at(path)}expected {word} {quantity(bound, info.unit)}, got {value.describe()}"
            )


def quantity(number: float, unit: str) -> str:
    """Return a number with its unit, as messages and pages show it."""
    if unit == "bytes":
        return format_size(int(number)) if number else "0 B"
    text = f"{number:g}" if abs(number) < 1e6 else str(number)
    return f"{text} s" if unit == "seconds" else text


def _wrong(kind: OptionType, info: OptionInfo, value: Value, path: str) -> ConfigError:
    got = "something else" if info.secret else value.describe()
    hint = ""
    if isinstance(kind, ScalarType) and kind.kind is str and value.content is not None:
        hint = "; put quotes around it" if not isinstance(value.content, list | dict) else ""
    return value.error(f"{_at(path)}expected {expected(kind, info)}, got {got}{hint}")


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_UNIT_WORDS = {
    "bytes": "a size such as 64 KiB or 1 GiB",
    "seconds": "a duration such as 200 ms or 5 s",
    "path": "a path",
    "folder": "a path",
    "file": "a path",
    "address": "HOST:PORT",
}


def expected(kind: OptionType, info: OptionInfo) -> str:
    """Say in a few words what an option takes."""
    if isinstance(kind, TupleType):
        text = f"a list ({expected(kind.item, info)} each)"
    elif isinstance(kind, EnumType):
        text = f"one of {', '.join(str(member.value) for member in kind.kind)}"
    elif isinstance(kind, ScalarType):
        text = _UNIT_WORDS.get(info.unit) or _WORDS[kind.kind]
    else:
        text = "a mapping"
    return f"{text}, or nothing" if kind.is_optional else text


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return f"{path}: " if path else ""
