"""What one plugin must be, before anything of it is used.

Every check ends in a sentence for the operator, who did not write the plugin: what is wrong, and
what to do. The registry adds the plugin's and the package's name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping

import attrs
import pluggy

from tierce import hookspecs
from tierce.block.device import Concurrency
from tierce.block.operation import Op
from tierce.descriptions import (
    CONTRACT,
    Description,
    EngineDescription,
    EventDescription,
    FilterDescription,
    FrontendDescription,
    Listens,
    PolicyHandlerDescription,
    ReplicatorDescription,
    Scope,
    ServiceDescription,
    Startable,
    StoreDescription,
)
from tierce.errors import explain
from tierce.registry.field_types import wrong_field
from tierce.registry.names import nearest
from tierce.registry.option_types import (
    AnyType,
    MappingType,
    NestedType,
    OptionType,
    TupleType,
    UnsupportedOptionError,
    option_types,
)
from tierce.registry.resolving import is_reference

#: Every hook that returns descriptions: its name -> (what it returns, how messages call that).
FAMILIES: Mapping[str, tuple[type[Description], str]] = {
    "tierce_stores": (StoreDescription, "store"),
    "tierce_replicators": (ReplicatorDescription, "replicator"),
    "tierce_engines": (EngineDescription, "engine"),
    "tierce_filters": (FilterDescription, "filter"),
    "tierce_frontends": (FrontendDescription, "front end"),
    "tierce_services": (ServiceDescription, "service"),
    "tierce_policy_handlers": (PolicyHandlerDescription, "policy handler"),
    "tierce_events": (EventDescription, "event"),
}

#: Prefix of every hook.
PREFIX = f"{hookspecs.PROJECT}_"

#: What a description may be called, so that it needs no quotes in YAML.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)

#: What an event's code is.
_CODE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+", re.ASCII)

_A_NAME = "a letter, then letters, digits, '-' and '_', 63 in all at most"
_A_CODE = "lower-case words with dots between them: 'diary.page.lost'"

#: What a filter must know: a volume is nothing without.
_SERVED = frozenset({"READ", "WRITE", "FLUSH"})

#: What a filter on the simple level may know.
_SIMPLE = _SERVED | {"DISCARD", "WRITE_ZEROES", "BLOCK_STATUS"}

#: Attributes that name something to import, and may not be empty where they exist.
_REFERENCES = ("factory", "member", "router", "usage", "identity")
_OPTIONAL_REFERENCES = ("lifecycle", "advice")


class BrokenPluginError(Exception):
    """A plugin is not what it must be. The message is the reason, without the plugin's name."""


@attrs.frozen
class Loaded:
    """A plugin that passed the checks by itself.

    Attributes:
        hooks: Calls its hooks, and no other plugin's.
        described: What it brings: (family, description), the family as messages call it.
    """

    hooks: pluggy.PluginManager
    described: tuple[tuple[str, Description], ...]


def check_plugin(name: str, plugin: object) -> Loaded:
    """Check what was imported, ask it what it brings, and check that.

    Raises:
        BrokenPluginError: It can't be used, and why.
    """
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    _check_names(plugin)
    try:
        hooks.register(plugin, name=name)
        hooks.check_pending()
    except pluggy.PluginValidationError as error:
        raise BrokenPluginError(" ".join(str(error).split())) from error
    if not hooks.get_hookcallers(plugin):
        raise BrokenPluginError("it implements no hook; is its entry point the right module?")
    return Loaded(hooks, tuple(_descriptions(hooks)))


def _check_names(plugin: object) -> None:
    """Refuse a hook that is misspelt, of another version, or not marked: it would be ignored."""
    known = {name for name in vars(hookspecs) if name.startswith(PREFIX)}
    for name in sorted(dir(plugin)):
        if not name.startswith(PREFIX) or not inspect.isroutine(getattr(plugin, name, None)):
            continue
        mark = getattr(getattr(plugin, name), f"{hookspecs.PROJECT}_impl", None)
        if name not in known:
            if mark and mark["optionalhook"]:
                continue  # another core's: so one plugin can span two
            raise BrokenPluginError(f"{name} is no hook of this Tierce{nearest(name, known)}")
        if mark is None:
            raise BrokenPluginError(f"{name} lacks @tierce.hookimpl, so it would not be called")
        if inspect.iscoroutinefunction(getattr(plugin, name)):
            raise BrokenPluginError(f"{name} is an `async def`; nobody would await it")


def _descriptions(hooks: pluggy.PluginManager) -> Iterator[tuple[str, Description]]:
    for hook, (kind, family) in FAMILIES.items():
        try:
            answers = list(getattr(hooks.hook, hook)())
        except (Exception, SystemExit) as error:
            # A stranger's hook may raise anything.
            raise BrokenPluginError(f"{hook} failed: {explain(error)}") from error
        for answer in answers:
            for description in _members(hook, kind, answer):
                _check_description(hook, family, description)
                yield family, description


def _members(hook: str, kind: type[Description], answer: object) -> Iterable[Description]:
    if isinstance(answer, kind) or not isinstance(answer, Iterable):
        raise BrokenPluginError(
            f"{hook} returned {_name(answer)}; expected a list of {kind.__name__}"
        )
    try:
        members = list(answer)
    except (Exception, SystemExit) as error:
        # It may be a generator, whose body runs only now.
        raise BrokenPluginError(f"{hook} failed: {explain(error)}") from error
    for member in members:
        if not isinstance(member, kind):
            raise BrokenPluginError(f"{hook} returned {_name(member)}; expected {kind.__name__}")
    return members


def _name(value: object) -> str:
    return f"an instance of {type(value).__name__}"


def _check_description(hook: str, family: str, description: Description) -> None:
    name: object = description.name
    is_event = isinstance(description, EventDescription)
    pattern, expected = (_CODE, _A_CODE) if is_event else (_NAME, _A_NAME)
    if not isinstance(name, str) or pattern.fullmatch(name) is None:
        raise BrokenPluginError(f"{hook} returned the name {name!r}; expected {expected}")
    what = f"{family} {name!r}"
    _check_contract(what, description.contract)
    wrong = wrong_field(description)
    if wrong:
        raise BrokenPluginError(f"{what}: {wrong}")
    if not description.summary.strip():
        raise BrokenPluginError(f"{what} has no summary")
    if isinstance(description, EventDescription):
        return
    _check_references(what, description)
    _check_options(what, description)
    if isinstance(description, FilterDescription):
        _check_operations(what, description)


def _check_contract(what: str, contract: object) -> None:
    if not isinstance(contract, int) or isinstance(contract, bool) or contract < 1:
        raise BrokenPluginError(f"{what} states the contract {contract!r}; expected {CONTRACT}")
    if contract < CONTRACT:
        raise BrokenPluginError(
            f"{what} was written for contract {contract} and this Tierce speaks {CONTRACT}: "
            "upgrade the plugin's package, or install an older Tierce"
        )
    if contract > CONTRACT:
        raise BrokenPluginError(
            f"{what} was written for contract {contract} and this Tierce speaks {CONTRACT}: "
            "upgrade Tierce, or install an older version of the plugin's package"
        )


def _check_references(what: str, description: Startable) -> None:
    for field in _REFERENCES:
        reference = getattr(description, field, None)
        if reference is None:
            continue
        if field == "factory" and not reference and _is_pairing(description):
            continue  # a pairing: the replicator's factory is used
        if field == "router" and not reference and _listens_itself(description):
            continue
        if not is_reference(reference):
            raise BrokenPluginError(
                f"{what}: {field} is {reference!r}; expected 'package.module:name'"
            )
    for field in _OPTIONAL_REFERENCES:
        reference = getattr(description, field, "")
        if reference and not is_reference(reference):
            raise BrokenPluginError(
                f"{what}: {field} is {reference!r}; expected 'package.module:name'"
            )
    if (
        isinstance(description, EngineDescription)
        and description.store
        and not description.replicator
    ):
        raise BrokenPluginError(f"{what} names a store but no replicator to keep it equal")


def _listens_itself(description: Description) -> bool:
    return isinstance(description, FrontendDescription) and description.listens is Listens.ITSELF


def _is_of_volumes(description: Description) -> bool:
    return isinstance(description, ServiceDescription) and description.scope is Scope.VOLUME


def _is_pairing(description: Description) -> bool:
    return isinstance(description, EngineDescription) and bool(description.replicator)


def _check_options(what: str, description: Startable) -> None:
    classes = [description.options]
    if isinstance(description, FrontendDescription):
        classes.append(description.volume_options)
    for options in classes:
        try:
            found = option_types(options)
        except UnsupportedOptionError as error:
            raise BrokenPluginError(f"{what}: {error}") from error
        if any(_holds_any(one) for one in found.values()):
            raise BrokenPluginError(f"{what}: {options.__name__} has an option of type Any")
        if isinstance(description, FilterDescription) and "name" in found:
            raise BrokenPluginError(f"{what}: an option can't be called 'name', the filter is")
        if _is_of_volumes(description) and "selector" in found:
            why = "what says which volumes it is for is"
            raise BrokenPluginError(f"{what}: an option can't be called 'selector', {why}")
    if (
        isinstance(description, FrontendDescription)
        and description.listens is Listens.PORTAL
        and "listen" not in option_types(description.options)
    ):
        raise BrokenPluginError(
            f"{what}: its options have no 'listen', where the portal is to listen for it; one that "
            "listens itself says so: listens=tierce.Listens.ITSELF"
        )


def _holds_any(kind: OptionType) -> bool:
    if isinstance(kind, TupleType | MappingType):
        return _holds_any(kind.item)
    if isinstance(kind, NestedType):
        return any(_holds_any(one) for one in option_types(kind.kind).values())
    return isinstance(kind, AnyType)


def _check_operations(what: str, description: FilterDescription) -> None:
    known = {op.name for op in Op}
    for name in sorted(description.operations - known):
        raise BrokenPluginError(f"{what} names the operation {name!r}{nearest(name, known)}")
    for name in sorted(_SERVED - description.operations):
        raise BrokenPluginError(f"{what} does not know {name}, without which nothing is served")
    if description.concurrency is Concurrency.SERIAL:
        beyond = sorted(description.operations - _SIMPLE)
        if beyond or description.flags:
            names = ", ".join([*beyond, *(flag.name or "" for flag in description.flags)])
            raise BrokenPluginError(
                f"{what} is on the simple level (Concurrency.SERIAL), where there is no {names}"
            )
    elif description.concurrency is not Concurrency.BATCH:
        raise BrokenPluginError(
            f"{what}: concurrency is {description.concurrency.name}; a filter takes batches "
            "(BATCH), or is on the simple level (SERIAL)"
        )
