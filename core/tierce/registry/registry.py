"""The plugins that are in use, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar, cast

import attrs

from tierce.block.device import Concurrency
from tierce.core_events import CORE_EVENTS
from tierce.descriptions import (
    Description,
    EngineDescription,
    EventDescription,
    FilterDescription,
    FrontendDescription,
    PolicyHandlerDescription,
    ReplicatorDescription,
    ServiceDescription,
    Startable,
    StoreDescription,
)
from tierce.errors import PluginError, explain
from tierce.options import NoOptions
from tierce.registry.checks import BrokenPluginError, Loaded, check_plugin
from tierce.registry.discovery import Candidate, PluginRecord, candidate, installed
from tierce.registry.names import nearest
from tierce.registry.resolving import is_reference
from tierce.spec import Event

D = TypeVar("D", bound=Description)

NOT_NAMED = "it is not among those that plugins.enable names"
SWITCHED_OFF = "plugins.disable names it"


@attrs.define
class _Entry:
    """A plugin on its way through the checks: `loaded` is None unless it is enabled."""

    candidate: Candidate
    loaded: Loaded | None = None
    state: str = "disabled"
    reason: str = ""

    def record(self) -> PluginRecord:
        provides = (
            tuple(
                f"{family} {one.name}" for family, one in self.loaded.described if family != "event"
            )
            if self.loaded
            else ()
        )
        one = self.candidate
        return PluginRecord(one.name, one.package, one.version, self.state, self.reason, provides)

    def leave_out(self, reason: str) -> None:
        self.loaded, self.state, self.reason = None, "broken", reason


#: What is left out of a registry, by family and name, and why.
Unusable = Mapping[tuple[str, str], str]


class Listener:
    """A plugin that wants to hear of events."""

    def __init__(self, entry: _Entry) -> None:
        assert entry.loaded is not None, "only what is enabled listens"
        self._entry = entry
        self._call = entry.loaded.hooks.hook.tierce_event

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return self._entry.candidate.name

    def hear(self, event: Event) -> None:
        """Tell it of an event; raises whatever it raises."""
        self._call(event=event)

    def give_up(self, error: BaseException) -> str:
        """Note that it is no longer called, and return the sentence that says so."""
        self._entry.reason = f"its event listener failed and is no longer called: {explain(error)}"
        return f"{self._entry.record().origin}: {self._entry.reason}"


class Registry:
    """The descriptions that the enabled plugins bring, by name, and a record of every plugin."""

    def __init__(
        self,
        candidates: Iterable[Candidate],
        enable: Sequence[str] | None = None,
        disable: Sequence[str] = (),
        unusable: Unusable = MappingProxyType({}),
    ) -> None:
        """Load and check the plugins that are to be enabled.

        Args:
            candidates: Every plugin there is; of two with one name or one thing of one name, the
                earlier stays.
            enable: The names to enable; None for all.
            disable: The names to leave out all the same.
            unusable: Things that are left out of what their plugins bring.

        Raises:
            PluginError: A name in `enable` or `disable` is not installed.
        """
        self.unusable = unusable
        self._candidates = tuple(candidates)
        names = {one.name for one in self._candidates}
        for name in (*(enable or ()), *disable):
            if name not in names:
                raise PluginError(f"it is not installed{nearest(name, names)}", plugin=name)
        self._entries = [_load(one, enable, disable) for one in self._candidates]
        _leave_out_second_names(self._entries)
        _leave_out_broken_pairings(self._entries)
        _complete_pairings(self._entries)
        #: Who wants to hear of events.
        self.listeners = tuple(
            Listener(entry)
            for entry in self._entries
            if entry.loaded and entry.loaded.hooks.hook.tierce_event.get_hookimpls()
        )
        self.stores = self._named("store", StoreDescription)
        self.replicators = self._named("replicator", ReplicatorDescription)
        self.engines = self._named("engine", EngineDescription)
        self.filters = self._named("filter", FilterDescription)
        self.frontends = self._named("front end", FrontendDescription)
        self.services = self._named("service", ServiceDescription)
        self.policy_handlers = self._named("policy handler", PolicyHandlerDescription)
        #: Every event that may be told: core's own, and those of the plugins.
        self.events: Mapping[str, EventDescription] = {
            **{one.code: one for one in CORE_EVENTS},
            **self._named("event", EventDescription),
        }

    @classmethod
    def load(
        cls,
        enable: Sequence[str] | None = None,
        disable: Sequence[str] = (),
        unusable: Unusable = MappingProxyType({}),
    ) -> Registry:
        """Return the registry of what is installed. Imports the enabled plugins' modules, which
        import nothing heavy."""
        return cls(installed(), enable, disable, unusable)

    @classmethod
    def build(cls, plugins: Iterable[tuple[str, object, str]]) -> Registry:
        """Return the registry of plugins that are at hand.

        Args:
            plugins: (name, module or object or module's name, package) of each; all are enabled.
        """
        return cls([candidate(name, module, package) for name, module, package in plugins])

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """A record of every plugin, in the order in which they were loaded."""
        return tuple(entry.record() for entry in self._entries)

    def descriptions(self) -> Iterator[tuple[str, str, Startable]]:
        """Yield (family, name, description) of everything that the enabled plugins bring and that
        can be started; `events` has what they tell."""
        for entry in self._entries:
            for family, description in entry.loaded.described if entry.loaded else ():
                if not isinstance(description, EventDescription):
                    yield family, description.name, description

    def owner(self, family: str, name: str) -> PluginRecord:
        """Return the plugin that brings something; one called as the thing itself if none does."""
        for entry in self._entries:
            for its_family, one in entry.loaded.described if entry.loaded else ():
                if (its_family, one.name) == (family, name):
                    return entry.record()
        return PluginRecord(name, "", "", "disabled")

    def modules(self) -> Iterator[tuple[str, PluginRecord]]:
        """Yield the first name of each module that the enabled plugins name, and whose it is."""
        for entry in self._entries:
            if entry.loaded is None:
                continue
            plugins = (one for _name, one in entry.loaded.hooks.list_name_plugin())
            named = {str(getattr(one, "__name__", "")) for one in plugins}
            for _family, description in entry.loaded.described:
                values = (getattr(description, one.name) for one in attrs.fields(type(description)))
                named |= {one.partition(":")[0] for one in values if is_reference(one)}
            record = entry.record()
            yield from ((name, record) for name in {one.partition(".")[0] for one in named} - {""})

    def origin(self, family: str, name: str) -> str:
        """Return whose something is, as messages name it: the plugin and its package."""
        return self.owner(family, name).origin

    def left_out(self) -> str:
        """Return a clause that names the broken and the disabled plugins, for the message about
        something that nobody brings; starts with "; ", or empty."""
        parts = [
            f"{one.name} ({one.state}: {one.reason})"
            for one in self.plugins
            if one.state != "enabled"
        ]
        return f"; plugins left out: {', '.join(parts)}" if parts else ""

    def explain(self, name: str) -> str:
        """Return a sentence about a plugin, or about something that a plugin brings: whether it
        is enabled, and if not, why.

        Raises:
            PluginError: Nothing installed is or brings anything of that name.
        """
        sentences = [_explain_plugin(one) for one in self.plugins if one.name == name]
        sentences += self._explain_provided(name)
        if sentences:
            return "\n".join(sentences)
        known = {one.name for one in self.plugins}
        known |= {_bare(thing) for one in self.plugins for thing in one.provides}
        raise PluginError(
            f"nothing installed is or brings anything of that name{nearest(name, known)}",
            plugin=name,
        )

    def _explain_provided(self, name: str) -> Iterator[str]:
        """Explain what is called so, also where its plugin is disabled: that one is loaded for
        the answer, apart from this registry."""
        everything = Registry(self._candidates)
        for now, then in zip(self.plugins, everything.plugins, strict=True):
            for thing in then.provides:
                if _bare(thing) != name:
                    continue
                if thing in now.provides:
                    yield f"{thing} is enabled; {now.origin} brings it"
                else:
                    yield (
                        f"{thing} is not enabled: {now.origin} brings it, which is {now.state}: "
                        f"{now.reason}"
                    )

    def _named(self, family: str, kind: type[D]) -> Mapping[str, D]:
        found = {}
        for entry in self._entries:
            for its_family, description in entry.loaded.described if entry.loaded else ():
                if its_family == family and (family, description.name) not in self.unusable:
                    assert isinstance(description, kind), "check_plugin checked it"
                    found[description.name] = cast("D", description)
        return found


def _bare(thing: str) -> str:
    """Return the name alone of what `PluginRecord.provides` lists."""
    return thing.rpartition(" ")[2]


def _explain_plugin(record: PluginRecord) -> str:
    brings = f", brings {', '.join(record.provides)}" if record.provides else ""
    reason = f": {record.reason}" if record.reason else ""
    return f"{record.origin} is {record.state}{brings}{reason}"


def _load(one: Candidate, enable: Sequence[str] | None, disable: Sequence[str]) -> _Entry:
    entry = _Entry(one)
    if one.name in disable:
        entry.reason = SWITCHED_OFF
        return entry
    if enable is not None and one.name not in enable:
        entry.reason = NOT_NAMED
        return entry
    try:
        plugin = one.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an import may raise anything
        entry.leave_out(f"it can't be imported: {explain(error)}")
        return entry
    try:
        entry.loaded = check_plugin(one.name, plugin)
    except BrokenPluginError as error:
        entry.leave_out(str(error))
        return entry
    entry.state = "enabled"
    return entry


def _leave_out_second_names(entries: Iterable[_Entry]) -> None:
    """Leave out every plugin that has a name which an earlier one has, or brings such a thing."""
    plugins: dict[str, _Entry] = {}
    things: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        if entry.loaded is None:
            continue
        first = plugins.setdefault(entry.candidate.name, entry)
        if first is not entry:
            entry.leave_out(f"its name is taken by {first.record().origin}")
            continue
        names = [(family, one.name) for family, one in entry.loaded.described]
        taken = _taken(names, things)
        if taken:
            entry.leave_out(taken)
            continue
        things.update(dict.fromkeys(names, entry))


def _taken(names: list[tuple[str, str]], things: Mapping[tuple[str, str], _Entry]) -> str:
    for family, name in names:
        if family == "event" and any(one.code == name for one in CORE_EVENTS):
            return f"it brings event {name!r}, which is core's own"
        if (family, name) in things:
            owner = things[family, name].record().origin
            return f"it brings {family} {name!r}, and so does {owner}, which came first"
        if names.count((family, name)) > 1:
            return f"it brings {family} {name!r} twice"
    return ""


def _leave_out_broken_pairings(entries: Sequence[_Entry]) -> None:
    """Leave out what names a replicator or store that nobody brings; repeated, because what one
    plugin brought, another may have named."""
    while True:
        broken = [
            (entry, reason) for entry in entries if (reason := _broken_pairing(entry, entries))
        ]
        if not broken:
            return
        for entry, reason in broken:
            entry.leave_out(reason)


def _complete_pairings(entries: Sequence[_Entry]) -> None:
    """Give every pairing what it leaves to its replicator: factory and how that is called,
    lifecycle, options."""
    described = [pair for one in entries if one.loaded for pair in one.loaded.described]
    replicators = {one.name: one for _, one in described if isinstance(one, ReplicatorDescription)}
    for entry in entries:
        if entry.loaded is not None:
            entry.loaded = attrs.evolve(
                entry.loaded,
                described=tuple(
                    (family, _completed(one, replicators)) for family, one in entry.loaded.described
                ),
            )


def _completed(
    engine: Description, replicators: Mapping[str, ReplicatorDescription]
) -> Description:
    if not isinstance(engine, EngineDescription) or not engine.replicator:
        return engine
    replicator = replicators[engine.replicator]
    if not engine.factory:
        # What a replicator opens is a `tierce.Device`, which takes batches.
        factory = replicator.factory
        engine = attrs.evolve(engine, factory=factory, concurrency=Concurrency.BATCH)
    return attrs.evolve(
        engine,
        lifecycle=engine.lifecycle or replicator.lifecycle,
        options=replicator.options if engine.options is NoOptions else engine.options,
    )


def _broken_pairing(entry: _Entry, entries: Sequence[_Entry]) -> str:
    if entry.loaded is None:
        return ""
    described = [pair for one in entries if one.loaded for pair in one.loaded.described]
    for _, engine in entry.loaded.described:
        if not isinstance(engine, EngineDescription):
            continue
        for family, name in (("replicator", engine.replicator), ("store", engine.store)):
            names = {one.name for its_family, one in described if its_family == family}
            if name and name not in names:
                return (
                    f"engine {engine.name!r} is built on the {family} {name!r}, which no enabled "
                    f"plugin brings{nearest(name, names)}"
                )
    return ""
