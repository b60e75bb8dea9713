"""The door says of each of its calls on which thread it is, whether it may wait, what its failure
costs and since when; and all of it is on the page."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import tierce
from core.cli.test_docs import PAGES
from tierce import hookspecs
from tierce.cli.reference.calls import (
    BLOCKING,
    THREADS,
    Call,
    calls_of,
    functions_in,
    hooks_of,
    making_in,
    methods_of,
    promises_of,
    without_promises,
)
from tierce.cli.reference.calls_page import CHAPTERS
from tierce.descriptions import CONTRACT
from tierce.registry.checks import FAMILIES

ON_PAGE = [kind for chapter in CHAPTERS for kind in chapter.kinds]
DESCRIPTIONS = {kind for kind, _family in FAMILIES.values()}
#: Values of the door with methods of their own, which are plain: they compute from what they hold.
VALUES = {
    *(tierce.Address, tierce.Capabilities, tierce.Request, tierce.Status),
    *(tierce.ExtentHold, tierce.LocalVolume),
}
#: What core calls, for those who read types; what authors derive from says the four things.
SEEN_FROM_CORE = {tierce.Device}
CALLS = [
    *((kind.__name__, call) for kind in ON_PAGE for call in calls_of(kind)),
    *(("hooks", call) for call in hooks_of(hookspecs, "tierce_")),
]


def has_calls(kind: type[Any]) -> bool:
    return bool(methods_of(kind) or functions_in(kind))


def test_every_class_of_the_door_that_is_called_or_calls_is_on_the_page_once() -> None:
    classes = [one for name in tierce.__all__ if inspect.isclass(one := getattr(tierce, name))]
    plain = VALUES | SEEN_FROM_CORE | DESCRIPTIONS
    wanted = {
        one
        for one in classes
        if has_calls(one) and one not in plain and not issubclass(one, Exception | enum.Enum)
    }
    assert wanted <= set(ON_PAGE)
    assert len(ON_PAGE) == len(set(ON_PAGE))
    for kind in ON_PAGE:
        assert f"\n### {kind.__name__}\n" in PAGES["calls.md"]


@pytest.mark.parametrize(("owner", "call"), CALLS, ids=lambda one: getattr(one, "name", one))
def test_a_call_says_its_thread_whether_it_waits_what_its_failure_costs_and_since_when(
    owner: str, call: Call
) -> None:
    assert call.missing == [], f"{owner}.{call.name} says nothing of {call.missing}"
    first = {field: re.split(r"[;:,.]", call.promises[field])[0] for field in call.promises}
    assert first["Thread"] in THREADS, first["Thread"]
    assert first["Blocking"] in BLOCKING, first["Blocking"]
    since = re.fullmatch(r"contract (\d+)\.", call.promises["Since"])
    assert since is not None
    assert 1 <= int(since[1]) <= CONTRACT
    assert call.summary


@attrs.frozen
class Held:
    """What it is given.

    Thread: any thread.
    """

    name: str
    tell: Callable[[str], None]


class Base:
    """A part.

    It is one.

    Making:
        Thread: own thread.
    Thread: data thread.
    Blocking: no, and
        never.
    """

    def first(self) -> None:
        """Do it.

        Failure: as it is.
        """


Base.__module__ = "tierce.example"


class Derived(Base):
    """Another part.

    Thread: worker thread.
    """

    def first(self) -> None:
        """Do it otherwise."""


Derived.__module__ = "tierce.example"


def test_what_a_class_says_holds_for_each_method_and_what_a_method_says_for_its_overrides() -> None:
    made, first = calls_of(Derived.__mro__[1])
    assert (made.name, made.promises["Thread"]) == ("Base(...)", "own thread.")
    assert (made.promises["Blocking"], made.missing) == ("no, and never.", ["Failure", "Since"])
    assert (first.promises["Thread"], first.promises["Failure"]) == ("data thread.", "as it is.")
    (first,) = calls_of(Derived)
    assert (first.summary, first.promises["Thread"]) == ("Do it otherwise.", "worker thread.")
    assert first.promises["Failure"] == "as it is."


def test_the_functions_that_a_context_holds_are_one_call() -> None:
    (only,) = calls_of(Held)
    assert (only.name, only.promises) == ("tell", {"Thread": "any thread."})


def test_the_text_of_a_class_is_without_what_the_table_says() -> None:
    assert without_promises(Base.__doc__) == "A part.\n\nIt is one."
    assert making_in("No such thing.") == {}
    assert promises_of(object) == {}
