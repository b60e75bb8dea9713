"""Whose mistake an error is, and how it says so."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from core.registry.conftest import MakePlugin
from tierce import ConflictError, EngineDescription, PluginError, StoreDescription
from tierce.registry import Registry, blaming, culprit, mistake

ENGINE = EngineDescription(name="e", summary="E.", factory="stranger_a:Engine", contract=2)
STORE = StoreDescription(name="s", summary="S.", factory="stranger_b.parts:Store", contract=2)
OUTER = "def call(inner):\n    inner()\n"
INNER = "def fail():\n    raise KeyError('table')\n"


@pytest.fixture
def registry(plugin: MakePlugin) -> Registry:
    return Registry.build(
        [
            ("a", plugin(engines=[ENGINE]), "tierce-a"),
            ("b", plugin(stores=[STORE]), "tierce-b"),
        ]
    )


def module(name: str, source: str) -> ModuleType:
    made = ModuleType(name)
    exec(source, made.__dict__)
    return made


def raised(registry: Registry) -> KeyError:
    """What `b`, which `a` calls, raises."""
    outer, inner = module("stranger_a", OUTER), module("stranger_b.parts", INNER)
    with pytest.raises(KeyError) as caught:
        outer.call(inner.fail)
    return caught.value


@pytest.mark.parametrize("error", [KeyError("table"), SystemExit(3)])
def test_what_a_plugin_raises_names_it_and_what_it_was_to_do(
    registry: Registry, error: BaseException
) -> None:
    with pytest.raises(PluginError) as caught, blaming(registry, "engine", "e", "create"):
        raise error
    why = "KeyError: 'table'" if isinstance(error, KeyError) else "SystemExit: 3"
    expected = f"plugin 'a' (package tierce-a): engine e: it failed in create: {why}"
    assert str(caught.value) == expected
    assert caught.value.__cause__ is error


def test_an_error_that_says_what_is_wrong_passes_as_it_is(registry: Registry) -> None:
    for error in (ConflictError("taken"), OSError("gone")):
        with pytest.raises(type(error)) as caught, blaming(registry, "engine", "e", "create"):
            raise error
        assert caught.value is error


def test_a_plugin_error_is_said_of_who_brings_it(registry: Registry) -> None:
    with pytest.raises(PluginError) as caught, blaming(registry, "engine", "e", "create"):
        raise PluginError("it is none", plugin="stranger_a")
    assert str(caught.value) == "plugin 'a' (package tierce-a): engine e: it is none"
    twice = mistake(registry, "engine", "e", caught.value.why)
    assert str(twice) == str(caught.value)


def test_the_culprit_is_the_plugin_that_is_innermost_on_the_traceback(registry: Registry) -> None:
    error = raised(registry)
    assert culprit(registry, error) == "plugin 'b' (package tierce-b)"
    with pytest.raises(PluginError) as caught, blaming(registry, "engine", "e", "create"):
        raise error
    assert str(caught.value).endswith("'table' (raised by plugin 'b' (package tierce-b))")


def test_a_bug_of_core_is_nobodys_and_a_plugin_error_says_itself_whose_it_is(
    registry: Registry,
) -> None:
    with pytest.raises(KeyError) as caught:
        sys.modules["no such module"]
    assert culprit(registry, caught.value) == ""
    assert culprit(registry, PluginError("it is none", plugin="a")) == ""
