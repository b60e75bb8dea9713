"""What descriptions name is imported in a child, and what is missing is told."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from core.registry.conftest import MakePlugin
from tierce import EngineDescription, ReplicatorDescription, StoreDescription
from tierce.registry import Registry, find_unusable, missing, references

ENGINE = EngineDescription(name="e", summary="E.", factory="stranger_a:Engine", contract=2)


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger_a.py").write_text("print('noise')\nclass Engine: pass\n")
    (tmp_path / "stranger_bug.py").write_text("import nowhere_at_all\n")
    (tmp_path / "stranger_end.py").write_text("import os\nos._exit(7)\n")
    (tmp_path / "stranger_hang.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def told(plugin: MakePlugin, *engines: EngineDescription) -> list[str]:
    registry = Registry.build([("p", plugin(engines=list(engines)), "tierce-p")])
    return [str(error) for error in missing(registry)]


def test_what_is_there_is_nothing_to_tell(plugin: MakePlugin) -> None:
    assert told(plugin, ENGINE) == []


def test_what_is_missing_is_one_line_with_plugin_and_package(plugin: MakePlugin) -> None:
    nameless = attrs.evolve(ENGINE, factory="stranger_a:Enginee")
    bug = attrs.evolve(ENGINE, name="f", lifecycle="stranger_bug:Life")
    assert told(plugin, nameless, bug) == [
        "plugin 'p' (package tierce-p): factory of engine 'e': stranger_a has no 'Enginee'",
        "plugin 'p' (package tierce-p): lifecycle of engine 'f': can't import stranger_bug: "
        "ModuleNotFoundError: No module named 'nowhere_at_all'",
    ]


def test_an_import_that_ends_its_process_costs_a_child(plugin: MakePlugin) -> None:
    ends = attrs.evolve(ENGINE, factory="stranger_end:Engine")
    after = attrs.evolve(ENGINE, name="f", factory="stranger_a:Other")
    first, second = told(plugin, ends, after)
    assert first.endswith("factory of engine 'e': importing it ends its process (exit code 7)")
    assert second.endswith("stranger_a has no 'Other'")


def test_an_import_that_hangs_is_told(plugin: MakePlugin) -> None:
    hangs = attrs.evolve(ENGINE, factory="stranger_hang:Engine")
    registry = Registry.build([("p", plugin(engines=[hangs]), "")])
    (only,) = missing(registry, seconds=0.5)
    assert str(only).endswith("factory of engine 'e': importing it takes more than 0.5 s")


def test_only_what_is_wanted_is_imported(plugin: MakePlugin) -> None:
    broken = attrs.evolve(ENGINE, name="f", factory="stranger_bug:Engine")
    store = StoreDescription(name="s", summary="S.", factory="stranger_bug:S", contract=2)
    module = plugin(engines=[ENGINE, broken], stores=[store])
    registry = Registry.build([("p", module, "")])
    assert missing(registry, {("engine", "e")}) == []
    assert len(missing(registry)) == 2


def test_what_is_built_on_what_is_missing_can_not_be_used_either(plugin: MakePlugin) -> None:
    replicator = ReplicatorDescription(
        name="r", summary="R.", factory="stranger_a:Engine", member="stranger_a:Engine", contract=2
    )
    store = StoreDescription(name="s", summary="S.", factory="stranger_bug:S", contract=2)
    pairing = attrs.evolve(ENGINE, name="pair", factory="", replicator="r", store="s")
    module = plugin(engines=[ENGINE, pairing], stores=[store], replicators=[replicator])
    registry = Registry.build([("p", module, "")])
    found = find_unusable(registry)
    assert list(found) == [("store", "s"), ("engine", "pair")]
    assert "factory of store 's': can't import stranger_bug" in found["engine", "pair"]
    left = Registry(registry._candidates, unusable=found)
    assert (list(left.engines), list(left.stores), list(left.replicators)) == (["e"], [], ["r"])


def test_what_is_known_is_not_looked_at_again(plugin: MakePlugin) -> None:
    module = plugin(engines=[attrs.evolve(ENGINE, factory="stranger_bug:Engine")])
    registry = Registry.build([("p", module, "")])
    assert references(registry) == {"stranger_bug:Engine"}
    assert find_unusable(registry, references(registry)) == {}
