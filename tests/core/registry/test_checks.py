"""Every check ends in a sentence that says what is wrong."""

# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

import errno
import types
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from tierce import (
    CONTRACT,
    Concurrency,
    EngineDescription,
    EventDescription,
    FilterDescription,
    Flag,
    FrontendDescription,
    NoOptions,
    Scope,
    ServiceDescription,
    Severity,
    StoreDescription,
    hookimpl,
    option,
)
from tierce.registry import Registry
from tierce.registry.checks import FAMILIES, BrokenPluginError, check_plugin

MakePlugin = Callable[..., types.ModuleType]

ENGINE = EngineDescription(
    name="memory", summary="In memory.", factory="example:Memory", contract=2
)


@attrs.frozen
class Listening:
    listen: tuple[str, ...] = option(default=(), unit="address", doc="Where.")


FRONTEND = FrontendDescription(
    name="wire",
    summary="A wire.",
    factory="example:Frontend",
    router="example:Greeter",
    usage="example:usage",
    identity="example:identity",
    options=Listening,
    contract=2,
)


@attrs.frozen
class Selecting:
    selector: str = option(default="", doc="Whom.")


SERVICE = ServiceDescription(
    name="watch", summary="Watches.", factory="example:watch", options=Selecting, contract=2
)
FILTER = FilterDescription(
    name="slow",
    summary="Slows.",
    factory="example:slow",
    operations=frozenset({"READ", "WRITE", "FLUSH"}),
    contract=2,
)


def reason(plugin: object) -> str:
    with pytest.raises(BrokenPluginError) as caught:
        check_plugin("example", plugin)
    return str(caught.value)


def test_a_whole_plugin_passes(plugin: MakePlugin) -> None:
    loaded = check_plugin(
        "example", plugin(engines=[ENGINE], frontends=[FRONTEND], filters=[FILTER])
    )
    assert loaded.described == (("engine", ENGINE), ("filter", FILTER), ("front end", FRONTEND))


@pytest.mark.parametrize("plugin", [types.ModuleType("empty"), 5])
def test_what_implements_no_hook_is_refused(plugin: object) -> None:
    assert "implements no hook" in reason(plugin)


def test_a_misspelt_hook_is_named_with_the_nearest(plugin: MakePlugin) -> None:
    said = reason(plugin(engine=[ENGINE]))
    assert "tierce_engine is no hook" in said
    assert "the nearest is 'tierce_engines'" in said


def test_an_optional_hook_of_another_core_is_left_alone(plugin: MakePlugin) -> None:
    def tierce_pools() -> list[object]:
        return []

    module = plugin(engines=[ENGINE])
    module.__dict__["tierce_pools"] = hookimpl(tierce_pools, optionalhook=True)
    assert check_plugin("example", module).described == (("engine", ENGINE),)


def test_a_hook_that_ends_the_process_ends_only_its_plugin(plugin: MakePlugin) -> None:
    def generate() -> Iterator[EngineDescription]:
        raise SystemExit(3)
        yield ENGINE

    assert reason(plugin(engines=generate())) == "tierce_engines failed: SystemExit: 3"


def test_a_misspelt_function_without_the_mark_is_found_too() -> None:
    module = types.ModuleType("example")
    module.__dict__["tierce_enginez"] = lambda: [ENGINE]
    assert "tierce_enginez is no hook" in reason(module)


def test_a_hook_without_the_mark_would_not_be_called_and_is_refused() -> None:
    module = types.ModuleType("example")
    module.__dict__["tierce_engines"] = lambda: [ENGINE]
    assert "lacks @tierce.hookimpl" in reason(module)


def test_an_imported_module_with_such_a_name_is_no_hook(plugin: MakePlugin) -> None:
    module = plugin(engines=[ENGINE])
    module.__dict__["tierce_example"] = types.ModuleType("tierce_example")
    check_plugin("example", module)


def test_a_hook_that_takes_what_the_spec_does_not_give_is_refused() -> None:
    module = types.ModuleType("example")

    def tierce_engines(color: str) -> list[EngineDescription]:
        raise AssertionError(color)

    module.__dict__["tierce_engines"] = hookimpl(tierce_engines)
    assert "color" in reason(module)


def test_a_hook_that_raises_is_refused(plugin: MakePlugin) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "models.yaml")
    assert reason(plugin(engines=error)) == (
        "tierce_engines failed: models.yaml: Permission denied"
    )


def test_a_generator_that_raises_is_refused(plugin: MakePlugin) -> None:
    def generate() -> Iterator[EngineDescription]:
        yield ENGINE
        raise OSError(errno.EIO, "Input/output error")

    assert reason(plugin(engines=generate())) == "tierce_engines failed: Input/output error"


@pytest.mark.parametrize("answer", [ENGINE, 5, "memory", [FILTER], [None]])
def test_a_hook_that_returns_something_else_is_refused(plugin: MakePlugin, answer: Any) -> None:
    assert "EngineDescription" in reason(plugin(engines=answer))


def test_a_newer_contract_is_refused_and_says_what_to_upgrade(plugin: MakePlugin) -> None:
    said = reason(plugin(engines=[attrs.evolve(ENGINE, contract=CONTRACT + 1)]))
    assert f"contract {CONTRACT + 1}" in said
    assert "upgrade Tierce" in said


def test_an_older_contract_is_refused_and_says_what_to_upgrade(plugin: MakePlugin) -> None:
    said = reason(plugin(engines=[attrs.evolve(ENGINE, contract=1)]))
    assert "contract 1" in said
    assert "upgrade the plugin's package" in said


def test_a_description_without_a_contract_cannot_be_made(plugin: MakePlugin) -> None:
    def generate() -> Iterator[EngineDescription]:
        make: Any = EngineDescription
        yield make(name="memory", summary="In memory.", factory="example:Memory")

    assert "'contract'" in reason(plugin(engines=generate()))


@pytest.mark.parametrize("contract", [0, -1, "1", None, True])
def test_a_contract_that_is_none_is_refused(plugin: MakePlugin, contract: Any) -> None:
    assert "states the contract" in reason(
        plugin(engines=[attrs.evolve(ENGINE, contract=contract)])
    )


@pytest.mark.parametrize("name", ["", "two words", "-x", "ü", "x" * 64, None])
def test_a_name_that_would_need_quotes_is_refused(plugin: MakePlugin, name: Any) -> None:
    assert "name" in reason(plugin(engines=[attrs.evolve(ENGINE, name=name)]))


def test_a_description_without_a_summary_is_refused(plugin: MakePlugin) -> None:
    assert "no summary" in reason(plugin(engines=[attrs.evolve(ENGINE, summary=" ")]))


@pytest.mark.parametrize("factory", ["", "example", "example.Memory", "example:", None])
def test_a_factory_is_package_module_and_name(plugin: MakePlugin, factory: Any) -> None:
    engine = attrs.evolve(ENGINE, factory=factory or "")
    assert "'package.module:name'" in reason(plugin(engines=[engine]))


def test_a_lifecycle_is_package_module_and_name(plugin: MakePlugin) -> None:
    said = reason(plugin(engines=[attrs.evolve(ENGINE, lifecycle="nowhere")]))
    assert "lifecycle is 'nowhere'" in said


def test_a_store_without_a_replicator_is_refused(plugin: MakePlugin) -> None:
    assert "no replicator" in reason(plugin(engines=[attrs.evolve(ENGINE, store="chain")]))


@attrs.frozen
class Unknown:
    color: complex = option(default=1j, doc="A colour.")


@attrs.frozen
class Anything:
    nested: dict[str, Any] = option(factory=dict, doc="Whatever.")


@attrs.frozen
class Named:
    name: str = option(default="", doc="A name.")


@pytest.mark.parametrize("options", [Unknown, Anything, dict, NoOptions()])
def test_options_that_the_config_does_not_understand_are_refused(
    plugin: MakePlugin, options: Any
) -> None:
    assert "engine 'memory'" in reason(plugin(engines=[attrs.evolve(ENGINE, options=options)]))


def test_a_front_end_says_where_it_listens(plugin: MakePlugin) -> None:
    said = reason(plugin(frontends=[attrs.evolve(FRONTEND, options=NoOptions)]))
    assert "no 'listen'" in said


def test_a_filters_option_cannot_be_called_name(plugin: MakePlugin) -> None:
    assert "'name'" in reason(plugin(filters=[attrs.evolve(FILTER, options=Named)]))


def test_an_option_of_a_service_of_volumes_cannot_be_called_selector(plugin: MakePlugin) -> None:
    said = reason(plugin(services=[attrs.evolve(SERVICE, scope=Scope.VOLUME)]))
    assert said.startswith("service 'watch': an option can't be called 'selector', ")
    # One of the node has no selector of core's.
    assert check_plugin("p", plugin(services=[SERVICE])).described


def test_a_filter_on_the_simple_level_knows_what_there_is_there(plugin: MakePlugin) -> None:
    simple = attrs.evolve(FILTER, concurrency=Concurrency.SERIAL)
    assert check_plugin("p", plugin(filters=[simple])).described
    swaps = attrs.evolve(simple, operations=FILTER.operations | {"COMPARE_AND_WRITE"})
    said = "filter 'slow' is on the simple level (Concurrency.SERIAL), where there is no "
    assert reason(plugin(filters=[swaps])) == said + "COMPARE_AND_WRITE"
    flagged = attrs.evolve(simple, flags=Flag.FUA)
    assert reason(plugin(filters=[flagged])) == said + "FUA"
    inline = attrs.evolve(FILTER, concurrency=Concurrency.INLINE)
    assert "concurrency is INLINE; a filter takes batches (BATCH)" in reason(
        plugin(filters=[inline])
    )


def test_a_filter_knows_operations_that_exist(plugin: MakePlugin) -> None:
    said = reason(plugin(filters=[attrs.evolve(FILTER, operations=frozenset({"RAED"}))]))
    assert "'RAED'" in said
    assert "'READ'" in said
    operations: Any = ["READ"]
    assert "frozenset" in reason(plugin(filters=[attrs.evolve(FILTER, operations=operations)]))


def test_a_filter_that_lacks_what_every_volume_needs_is_refused(plugin: MakePlugin) -> None:
    lacking = attrs.evolve(FILTER, operations=frozenset({"READ", "WRITE"}))
    assert "does not know FLUSH" in reason(plugin(filters=[lacking]))


def test_every_description_has_a_family() -> None:
    assert len({kind for kind, _ in FAMILIES.values()}) == len(FAMILIES)
    assert (StoreDescription, "store") in FAMILIES.values()


EVENT = EventDescription(
    code="example.page.lost", severity=Severity.ERROR, summary="A page is lost.", contract=CONTRACT
)


def test_a_plugins_events_are_found_by_code_beside_cores_and_are_no_thing_that_it_brings(
    plugin: MakePlugin,
) -> None:
    registry = Registry.build([("example", plugin(engines=[ENGINE], events=[EVENT]), "package")])
    assert registry.events["example.page.lost"] is EVENT
    assert "volume.health" in registry.events
    assert registry.plugins[0].provides == ("engine memory",)
    assert [name for _family, name, _one in registry.descriptions()] == ["memory"]


@pytest.mark.parametrize("code", ["lost", "Example.lost", "example..lost", "example.page lost"])
def test_an_events_code_is_dotted_words(plugin: MakePlugin, code: str) -> None:
    said = reason(plugin(events=[attrs.evolve(EVENT, code=code)]))
    assert said == (
        f"tierce_events returned the name {code!r}; expected lower-case words with dots between "
        "them: 'diary.page.lost'"
    )


def test_a_severity_that_is_a_word_is_refused_where_it_is_declared(plugin: MakePlugin) -> None:
    assert "severity" in reason(plugin(events=[attrs.evolve(EVENT, severity="error")]))  # type: ignore[arg-type]


def test_an_event_of_cores_is_not_a_plugins_to_declare(plugin: MakePlugin) -> None:
    events = [attrs.evolve(EVENT, code="volume.health")]
    registry = Registry.build([("example", plugin(engines=[ENGINE], events=events), "package")])
    assert registry.plugins[0].reason == "it brings event 'volume.health', which is core's own"
