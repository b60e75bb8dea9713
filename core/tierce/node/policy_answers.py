"""What a policy handler may return: a stranger's answer, checked before anything is done."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping
from typing import Any

from tierce.actions import ActionCall
from tierce.errors import UsageError
from tierce.policies import Evaluation
from tierce.registry import is_promise
from tierce.spec import Event

#: What one document may ask for at once.
ACTION_COUNT_MAX = 256
EVENT_COUNT_MAX = 256
#: What one document may set of one volume.
SETTING_COUNT_MAX = 256


def checked(answer: Any, volumes: Container[str]) -> Evaluation:
    """Return an answer that is one.

    Args:
        answer: What the handler returned.
        volumes: The volumes that it was asked about.

    Raises:
        UsageError: It is none, and what it is.
    """
    if is_promise(answer):
        raise UsageError("its handler is an `async def`; nobody would await it")
    if not isinstance(answer, Evaluation):
        raise UsageError(
            f"its handler returned an instance of {type(answer).__name__}; expected a "
            "tierce.Evaluation"
        )
    next_at: Any = answer.next_at
    is_number = isinstance(next_at, int | float) and not isinstance(next_at, bool)
    if next_at is not None and not (is_number and math.isfinite(next_at)):
        raise UsageError(f"its next_at is {next_at!r}; expected seconds since the epoch, or None")
    _check_list("actions", answer.actions, ActionCall, ACTION_COUNT_MAX)
    _check_list("events", answer.events, Event, EVENT_COUNT_MAX)
    for volume, parts in _mapping("settings", answer.settings).items():
        if volume not in volumes:
            raise UsageError(f"its settings name the volume {volume!r}, which it does not select")
        _check_volume(f"settings of volume {volume}", _mapping("settings", parts))
    return answer


def _check_volume(what: str, parts: Mapping[Any, Any]) -> None:
    count = sum(len(_mapping(what, options)) for options in parts.values())
    if count > SETTING_COUNT_MAX:
        raise UsageError(f"its {what} are {count}; {SETTING_COUNT_MAX} are allowed")
    try:
        json.dumps(parts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"its {what} are no JSON values: {error}") from error


def _mapping(what: str, given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"its {what} hold an instance of {type(given).__name__}, no mapping")
    return given


def _check_list(what: str, given: Any, kind: type[Any], count_max: int) -> None:
    if not isinstance(given, tuple | list):
        raise UsageError(f"its {what} are an instance of {type(given).__name__}; expected a tuple")
    if len(given) > count_max:
        raise UsageError(f"it returned {len(given)} {what} at once; {count_max} are allowed")
    for one in given:
        if not isinstance(one, kind):
            raise UsageError(
                f"its {what} hold an instance of {type(one).__name__}; expected {kind.__name__}"
            )
