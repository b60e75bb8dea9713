"""Is what a field of a description holds of the type that the field declares?

A stranger writes descriptions without a type checker, and `concurrency="serial"` reads well: what
it would do is run the engine as whatever the core takes the string for.
"""

from __future__ import annotations

import enum
import types
import typing
from typing import Any

import attrs


def wrong_field(described: Any) -> str | None:
    """Return what is wrong with the first field of an attrs instance that is not of its type, as a
    clause: which one, what it holds, what was expected. None if all are right."""
    hints = typing.get_type_hints(type(described))
    for field in attrs.fields(type(described)):
        value, hint = getattr(described, field.name), hints[field.name]
        if not _fits(value, hint):
            return f"{field.name} is {value!r}; expected {_expected(hint)}"
    return None


def _fits(value: object, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in arguments)
    if origin is type:
        return isinstance(value, type)
    if origin in (tuple, frozenset):
        # Those of descriptions hold any number of one type: tuple[T, ...], frozenset[T].
        return isinstance(value, origin) and all(_fits(one, arguments[0]) for one in value)
    if origin is not None:
        return isinstance(value, origin)
    # A bool is an int to Python and a mistake to whoever reads `contract=True`; a member of an
    # IntEnum is one that was meant.
    return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)


def _expected(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        members = ", ".join(str(one) for one in hint)
        return f"a tierce.{hint.__name__}: {members}"
    if hint is type(None):
        return "None"
    if typing.get_origin(hint) is type:
        return "a class"
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
