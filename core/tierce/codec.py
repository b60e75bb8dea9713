"""JSON values of everything that core itself keeps or sends, and back: plans, events, requests,
records, settings, and option instances.

An attrs class is a mapping by field, an enum its value, a tuple a list, a path its text. What is
read must be what is declared: text is never made of a number. Fields with a default may be missing,
others that are not known are left out of account, so that two versions of Tierce understand each
other.

What people write (the config file, a command's words) and what another version of a plugin may have
written (its options) is read by the option parser (`tierce.config`), which says where and what was
expected. What lies beside a volume's bytes is sealed (`tierce.durable`), in formats of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import attrs

from tierce.errors import ProtocolError
from tierce.options import option_info

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

#: What JSON values are of.
_JSON = (dict, list, str, bool, int, float, type(None))
#: What is shown in the place of a secret that is set.
HIDDEN = "***"


def to_json(value: Any, *, hide_secrets: bool = False) -> Any:
    """Return a value as JSON values.

    Args:
        value: An instance of an attrs class, or a list or mapping of them.
        hide_secrets: Replace every option that is a secret and set; for what is shown or logged.
    """
    kind: Any = type(value)
    return _teller(kind, hide_secrets=hide_secrets)(value)


def from_json(kind: type[T], values: Any) -> T:
    """Return what `to_json` made the values of.

    Raises:
        ProtocolError: They are of something else.
    """
    any_kind: Any = kind
    try:
        made: T = _maker(any_kind)(values, kind)
    except KeyError as error:
        raise ProtocolError(f"not a {kind.__name__}: it lacks {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"not a {kind.__name__}: {error}") from error
    return made


def prepare(*kinds: Any) -> None:
    """Make what the first value of each kind would have to make: a process does it before it forks
    others, which share it then."""
    for kind in kinds:
        _maker(kind)
    for kind in (*kinds, *_JSON):
        _teller(kind, hide_secrets=False)


# Kept here, since the library forgets what it has made whenever it meets another kind of mapping:
# to make it anew for an event costs 1.2 ms, and 1 MB of a forked process.
@functools.cache
def _maker(kind: Any) -> Callable[[Any, Any], Any]:
    return _converter(hide_secrets=False).get_structure_hook(kind)


@functools.cache
def _teller(kind: Any, *, hide_secrets: bool) -> Callable[[Any], Any]:
    return _converter(hide_secrets=hide_secrets).get_unstructure_hook(kind)


@functools.cache
def _converter(*, hide_secrets: bool) -> Converter:
    # Loaded here, so that commands which need none of it answer at once.
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415

    converter = Converter(detailed_validation=False, unstruct_collection_overrides={tuple: list})
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(Path, lambda value, _kind: Path(_text(value, str)))
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(int, _exactly(int, "a whole number"))
    converter.register_structure_hook(float, _number)
    converter.register_unstructure_hook(Path, str)
    # Its own would take a text for a list of letters.
    converter.register_structure_hook_factory(_is_tuple, _tuple)
    converter.register_structure_hook_factory(_is_mapping, _mapping)
    if hide_secrets:

        @converter.register_unstructure_hook_factory(attrs.has)
        def hiding(kind: type[Any]) -> Callable[[Any], Any]:
            secrets: dict[str, Any] = {
                field.name: override(unstruct_hook=_hide)
                for field in attrs.fields(kind)
                if option_info(field).secret
            }
            return make_dict_unstructure_fn(kind, converter, **secrets)

    return converter


def _text(value: Any, _kind: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r:.60}")
    # The word alone, of a text that is an enum's member as well.
    return str(value)


def _exactly(kind: type[Any], word: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _kind: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {word}, got {value!r:.60}")
        return value

    return structure


def _number(value: Any, _kind: Any) -> float:
    if type(value) not in {int, float}:
        raise TypeError(f"expected a number, got {value!r:.60}")
    return float(value)


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    item = get_args(kind)[0]
    assert get_args(kind) == (item, ...), "tuples are of one kind here"
    structure = converter.get_structure_hook(item)

    def structure_all(value: Any, _kind: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, got {value!r:.60}")
        return tuple(structure(one, item) for one in value)

    return structure_all


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in {dict, Mapping}


def _mapping(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    key, item = get_args(kind)
    assert key is str, "keys of JSON are text"
    structure = converter.get_structure_hook(item)

    def structure_all(value: Any, _kind: Any) -> Any:
        if not isinstance(value, dict) or any(type(one) is not str for one in value):
            raise TypeError(f"expected a mapping, got {value!r:.60}")
        return {one: structure(what, item) for one, what in value.items()}

    return structure_all


def _hide(value: Any) -> Any:
    return None if value is None else HIDDEN
