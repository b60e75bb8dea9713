"""What is wrong with one plugin leaves that one out, with a reason, and the others go on."""

from __future__ import annotations

import errno
import subprocess
import sys
import types
from collections.abc import Callable

import attrs
import pytest

from tierce import (
    CONTRACT,
    Concurrency,
    EngineDescription,
    Event,
    PluginError,
    ReplicatorDescription,
    StoreDescription,
    hookimpl,
)
from tierce.registry import Candidate, PluginRecord, Registry

MakePlugin = Callable[..., types.ModuleType]

MEMORY = EngineDescription(
    name="memory", summary="In memory.", factory="example:Memory", contract=2
)
STORE = StoreDescription(name="chain", summary="A chain.", factory="example:Chain", contract=2)
REPLICATOR = ReplicatorDescription(
    name="copies",
    summary="Copies.",
    factory="example:open_device",
    member="example:Member",
    contract=2,
)
PAIRING = EngineDescription(
    name="chained",
    summary="Both.",
    replicator="copies",
    store="chain",
    lifecycle="example:Life",
    contract=2,
)


def record(registry: Registry, name: str) -> PluginRecord:
    return next(one for one in registry.plugins if one.name == name)


def candidate(name: str, plugin: object, package: str = "example-package") -> Candidate:
    return Candidate(name, package, "1.0", lambda: plugin)


def test_what_plugins_bring_is_found_by_name(plugin: MakePlugin) -> None:
    registry = Registry.build(
        [
            ("one", plugin(engines=[MEMORY]), "package-one"),
            ("two", plugin(stores=[STORE], replicators=(REPLICATOR,), engines=[PAIRING]), ""),
        ]
    )
    # What a pairing leaves out is its replicator's.
    whole = attrs.evolve(PAIRING, factory="example:open_device", concurrency=Concurrency.BATCH)
    assert registry.engines == {"memory": MEMORY, "chained": whole}
    assert registry.stores == {"chain": STORE}
    assert registry.replicators == {"copies": REPLICATOR}
    assert record(registry, "one").provides == ("engine memory",)
    assert [one.state for one in registry.plugins] == ["enabled", "enabled"]
    assert next(iter(registry.descriptions())) == ("engine", "memory", MEMORY)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("no module named torch"), "ImportError: no module named torch"),
        (OSError(errno.ENOENT, "No such file", "words"), "words: No such file"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_broken_and_the_others_go_on(
    plugin: MakePlugin, error: Exception, said: str
) -> None:
    def fail() -> object:
        raise error

    registry = Registry(
        [Candidate("bad", "bad-package", "1", fail), candidate("good", plugin(engines=[MEMORY]))]
    )
    assert record(registry, "bad").state == "broken"
    assert record(registry, "bad").reason == f"it can't be imported: {said}"
    assert list(registry.engines) == ["memory"]


def test_a_plugin_that_exits_on_import_ends_nobody_else(plugin: MakePlugin) -> None:
    def leave() -> object:
        raise SystemExit(3)

    registry = Registry(
        [Candidate("bad", "", "", leave), candidate("good", plugin(engines=[MEMORY]))]
    )
    assert record(registry, "bad").state == "broken"
    assert list(registry.engines) == ["memory"]


def test_of_two_that_bring_one_name_the_later_is_left_out_and_both_are_named(
    plugin: MakePlugin,
) -> None:
    registry = Registry.build(
        [
            ("first", plugin(engines=[MEMORY]), "package-one"),
            ("second", plugin(engines=[MEMORY], stores=[STORE]), "package-two"),
        ]
    )
    second = record(registry, "second")
    assert second.state == "broken"
    assert "'first' (package package-one)" in second.reason
    assert "'memory'" in second.reason
    assert second.origin == "plugin 'second' (package package-two)"
    assert not registry.stores, "nothing of a broken plugin is used"


def test_one_plugin_cannot_bring_a_name_twice(plugin: MakePlugin) -> None:
    registry = Registry.build([("one", plugin(engines=[MEMORY, MEMORY]), "")])
    assert "twice" in record(registry, "one").reason


def test_of_two_plugins_of_one_name_the_later_is_left_out(plugin: MakePlugin) -> None:
    registry = Registry.build(
        [("same", plugin(engines=[MEMORY]), "a"), ("same", plugin(stores=[STORE]), "b")]
    )
    assert [one.state for one in registry.plugins] == ["enabled", "broken"]
    assert "taken by plugin 'same' (package a)" in registry.plugins[1].reason


def test_an_engine_over_a_replicator_that_nobody_brings_breaks_its_plugin(
    plugin: MakePlugin,
) -> None:
    registry = Registry.build([("one", plugin(engines=[PAIRING], stores=[STORE]), "")])
    assert record(registry, "one").state == "broken"
    assert "replicator 'copies'" in record(registry, "one").reason


def test_a_plugin_left_out_takes_with_it_those_that_build_on_it(plugin: MakePlugin) -> None:
    bad = EngineDescription(name="x", summary="X.", replicator="nowhere", contract=2)
    registry = Registry.build(
        [
            ("below", plugin(engines=[bad], stores=[STORE], replicators=[REPLICATOR]), ""),
            ("above", plugin(engines=[PAIRING]), ""),
            ("apart", plugin(engines=[MEMORY]), ""),
        ]
    )
    assert [one.state for one in registry.plugins] == ["broken", "broken", "enabled"]


def test_only_enabled_plugins_are_loaded(plugin: MakePlugin) -> None:
    def fail() -> object:
        raise AssertionError("loaded")

    candidates = [Candidate("off", "", "", fail), candidate("on", plugin(engines=[MEMORY]))]
    registry = Registry(candidates, enable=["on"])
    assert record(registry, "off").state == "disabled"
    assert "plugins.enable" in record(registry, "off").reason
    registry = Registry(candidates, disable=["off"])
    assert record(registry, "off").state == "disabled"
    assert "plugins.disable" in record(registry, "off").reason


def test_enabling_what_is_not_installed_names_the_nearest(plugin: MakePlugin) -> None:
    candidates = [candidate("jiva", plugin()), candidate("iscsi", plugin())]
    with pytest.raises(PluginError, match=r"'jvia'.*not installed; the nearest is 'jiva'"):
        Registry(candidates, enable=["jvia"])


def test_what_is_enabled_is_explained(plugin: MakePlugin) -> None:
    registry = Registry([candidate("one", plugin(engines=[MEMORY]))])
    assert registry.explain("one") == (
        "plugin 'one' (package example-package) is enabled, brings engine memory"
    )
    assert registry.explain("memory") == (
        "engine memory is enabled; plugin 'one' (package example-package) brings it"
    )


def test_what_a_disabled_plugin_would_bring_is_explained(plugin: MakePlugin) -> None:
    registry = Registry([candidate("one", plugin(engines=[MEMORY]))], enable=[])
    assert "engine memory is not enabled" in registry.explain("memory")
    assert "plugins.enable" in registry.explain("memory")


def test_why_a_plugin_is_broken_is_explained(plugin: MakePlugin) -> None:
    registry = Registry([candidate("one", plugin(engines=[PAIRING]))])
    assert "broken" in registry.explain("one")
    assert "replicator 'copies'" in registry.explain("one")


def test_explaining_an_unknown_name_names_the_nearest(plugin: MakePlugin) -> None:
    registry = Registry([candidate("one", plugin(engines=[MEMORY]))])
    with pytest.raises(PluginError, match=r"the nearest is 'memory'"):
        registry.explain("memroy")


def test_the_plugins_left_out_are_named_for_a_message(plugin: MakePlugin) -> None:
    registry = Registry([candidate("one", plugin(engines=[MEMORY]))], disable=["one"])
    assert registry.left_out() == "; plugins left out: one (disabled: plugins.disable names it)"
    assert Registry([]).left_out() == ""


def test_whoever_wants_to_hear_of_events_is_a_listener(plugin: MakePlugin) -> None:
    heard: list[tuple[str, Event]] = []
    registry = Registry.build(
        [("one", _listener("one", heard), ""), ("two", plugin(engines=[MEMORY]), "")]
    )
    event = Event("volume.created", "It is there.", "volume/demo")
    (listener,) = registry.listeners
    listener.hear(event)
    assert (listener.plugin, heard) == ("one", [("one", event)])


def test_a_listener_that_is_given_up_is_shown_as_such() -> None:
    registry = Registry.build([("bad", _listener("bad", []), "")])
    said = registry.listeners[0].give_up(OSError(errno.EPIPE, "Broken pipe"))
    assert record(registry, "bad").state == "enabled"
    assert record(registry, "bad").reason.endswith("no longer called: Broken pipe")
    assert "'bad'" in said


def _listener(name: str, heard: list[tuple[str, Event]]) -> types.ModuleType:
    module = types.ModuleType(name)

    def tierce_event(event: Event) -> None:
        heard.append((name, event))

    module.__dict__["tierce_event"] = hookimpl(tierce_event)
    return module


def test_the_shipped_plugins_are_whole() -> None:
    registry = Registry.load()
    assert [one.reason for one in registry.plugins if one.package == "tierce"].count("") == len(
        [one for one in registry.plugins if one.package == "tierce"]
    )
    assert {"memory", "file", "jiva"} <= set(registry.engines)
    assert "iscsi" in registry.frontends
    assert all(one.contract == CONTRACT for _, _, one in registry.descriptions())


def test_listing_loads_nothing_heavy() -> None:
    heavy = (
        "lmdb",
        "yaml",
        "tierce.server",
        "tierce.process",
        "tierce.volume",
        "tierce.state",
        "tierce_jiva.device",
        "tierce_jiva.replica_process",
        "tierce_iscsi.frontend",
        "asyncio",
    )
    code = (
        "import sys; from tierce.registry import Registry; list(Registry.load().descriptions());"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
