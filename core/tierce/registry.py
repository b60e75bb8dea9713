"""What plugins there are, what they bring, and why one is not enabled.

The registry asks each enabled plugin's hooks once and checks the descriptions that come back.
A plugin that can't be loaded, was written for a newer contract, implements a hook that does not
exist, returns something else than descriptions, or takes a name that another one has, is marked
broken and left out; it never stops the others. Nothing that a description names is imported here.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import attrs
import pluggy

from tierce import hookspecs
from tierce.descriptions import (
    CONTRACT,
    Description,
    EngineDescription,
    ExporterDescription,
    FilterDescription,
    FrontendDescription,
    PolicyHandlerDescription,
    ReplicatorDescription,
    StoreDescription,
)
from tierce.errors import PluginError, UsageError
from tierce.spec import Event

GROUP = "tierce.plugins"
_PREFIX = "tierce_"

#: Hook -> (what it brings, in words; the description that it returns). In the order in which they
#: are asked: what is named by others comes first.
_FAMILIES: Mapping[str, tuple[str, type[Any]]] = {
    "tierce_stores": ("store", StoreDescription),
    "tierce_replicators": ("replicator", ReplicatorDescription),
    "tierce_engines": ("engine", EngineDescription),
    "tierce_filters": ("filter", FilterDescription),
    "tierce_frontends": ("frontend", FrontendDescription),
    "tierce_exporters": ("exporter", ExporterDescription),
    "tierce_policy_handlers": ("policy kind", PolicyHandlerDescription),
}


@attrs.frozen
class PluginRecord:
    """One plugin.

    Attributes:
        name: Its entry-point name.
        package: The distribution that brought it.
        version: Of that distribution.
        state: "enabled", "disabled" or "broken".
        reason: Why it is not enabled; empty if it is.
        provides: What it brings: "engine jiva", ...
    """

    name: str
    package: str
    version: str
    state: str
    reason: str = ""
    provides: tuple[str, ...] = ()


@attrs.frozen
class Source:
    """Where a plugin comes from: a module's name to import, or the module itself."""

    name: str
    module: Any
    package: str = ""
    version: str = ""


def resolve(factory: str) -> Any:
    """Import what a description names, "package.module:name".

    Raises:
        PluginError: It can't be imported.
    """
    module_name, _, name = factory.partition(":")
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise PluginError(
            f"can't import {factory!r}: {type(error).__name__}: {error}",
            plugin=module_name.partition(".")[0],
        ) from error
    return found


def nearest(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean X?" for the nearest name, or what there is, or nothing."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(known)}" if known else ""


class Registry:
    """The plugins of one process. Made by `load` or `build`."""

    def __init__(self) -> None:
        self.plugins: tuple[PluginRecord, ...] = ()
        self.stores: dict[str, StoreDescription] = {}
        self.replicators: dict[str, ReplicatorDescription] = {}
        self.engines: dict[str, EngineDescription] = {}
        self.filters: dict[str, FilterDescription] = {}
        self.frontends: dict[str, FrontendDescription] = {}
        self.exporters: dict[str, ExporterDescription] = {}
        self.policy_handlers: dict[str, PolicyHandlerDescription] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    @classmethod
    def load(cls, enable: Sequence[str] | None = None, disable: Sequence[str] = ()) -> Registry:
        """Load the installed plugins.

        Args:
            enable: Names of those to enable; None for all.
            disable: Names of those not to enable.

        Raises:
            UsageError: A name that is not installed.
        """
        sources = [
            Source(
                point.name,
                point.value,
                point.dist.name if point.dist else "",
                point.dist.version if point.dist else "",
            )
            for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)
        ]
        return cls.build(sources, enable, disable)

    @classmethod
    def build(
        cls,
        sources: Iterable[Source],
        enable: Sequence[str] | None = None,
        disable: Sequence[str] = (),
    ) -> Registry:
        """Load these plugins, as `load` does."""
        registry = cls()
        found = list(sources)
        names = [source.name for source in found]
        for name in (*(enable or ()), *disable):
            if name not in names:
                raise UsageError(f"plugin {name!r} is not installed{nearest(name, names)}")
        records = []
        for source in found:
            if (enable is not None and source.name not in enable) or source.name in disable:
                how = (
                    "is named in plugins.disable"
                    if source.name in disable
                    else ("is not named in plugins.enable")
                )
                records.append(_record(source, "disabled", f"it {how} of the config"))
            else:
                records.append(registry._admit(source))
        registry.plugins = tuple(registry._check_pairings(records))
        return registry

    def explain(self, name: str) -> PluginRecord:
        """Return the record of a plugin.

        Raises:
            UsageError: It is not installed.
        """
        for record in self.plugins:
            if record.name == name:
                return record
        names = [record.name for record in self.plugins]
        raise UsageError(f"plugin {name!r} is not installed{nearest(name, names)}")

    def notify(self, event: Event) -> list[PluginRecord]:
        """Tell every listener of an event; return those that failed, which hear no more."""
        failed = []
        for implementation in self._manager.hook.tierce_event.get_hookimpls():
            try:
                arguments = {"event": event} if "event" in implementation.argnames else {}
                implementation.function(**arguments)
            except Exception as error:  # noqa: BLE001 - a listener must not stop the supervisor
                reason = f"its tierce_event raised {type(error).__name__}: {error}"
                failed.append(self._break(implementation.plugin_name, reason))
        return failed

    # -- admitting one plugin ----------------------------------------------------------------------

    def _admit(self, source: Source) -> PluginRecord:
        """Ask a plugin's hooks; take all that it brings, or nothing."""
        try:
            module = source.module
            if isinstance(module, str):
                module = importlib.import_module(module)
            self._check_hooks(module)
            brought = self._ask(module)
        except Exception as error:  # noqa: BLE001 - a broken plugin never stops the others
            return _record(source, "broken", _reason(error))
        for kind, description in brought:
            self._table(kind)[description.name] = description
            self._owners[kind, description.name] = source.name
        self._manager.register(module, source.name)
        provides = tuple(f"{kind} {description.name}" for kind, description in brought)
        return _record(source, "enabled", provides=provides)

    def _check_hooks(self, module: Any) -> None:
        known = [name for name in vars(hookspecs) if name.startswith(_PREFIX)]
        for name in dir(module):
            if not name.startswith(_PREFIX) or not callable(getattr(module, name)):
                continue
            marked = getattr(getattr(module, name), f"{hookspecs.PROJECT}_impl", None)
            if name not in known:
                raise ValueError(
                    f"it implements {name}, which is no hook of this version{nearest(name, known)}"
                )
            if marked is None:
                raise ValueError(f"{name} is not marked with @tierce.hookimpl")

    def _ask(self, module: Any) -> list[tuple[str, Description]]:
        brought: list[tuple[str, Description]] = []
        for hook, (kind, expected) in _FAMILIES.items():
            function = getattr(module, hook, None)
            if function is None:
                continue
            for description in function():
                if not isinstance(description, expected):
                    raise TypeError(
                        f"{hook} returned a {type(description).__name__}, "
                        f"expected {expected.__name__}"
                    )
                self._check(kind, description, brought)
                brought.append((kind, description))
        return brought

    def _check(self, kind: str, new: Description, brought: list[tuple[str, Description]]) -> None:
        if new.contract > CONTRACT:
            raise ValueError(
                f"{kind} {new.name!r} was written for contract {new.contract}, this Tierce speaks "
                f"{CONTRACT}: upgrade Tierce, or install an older version of the plugin"
            )
        owner = self._owners.get((kind, new.name))
        if owner is not None:
            raise ValueError(f"{kind} {new.name!r} is brought by plugin {owner!r} already")
        if any((kind, new.name) == (k, d.name) for k, d in brought):
            raise ValueError(f"it brings {kind} {new.name!r} twice")
        if not attrs.has(new.options):
            raise TypeError(f"the options of {kind} {new.name!r} are no attrs class")
        if isinstance(new, EngineDescription) and not new.factory and not new.replicator:
            raise ValueError(f"engine {new.name!r} names neither a factory nor a replicator")

    def _check_pairings(self, records: list[PluginRecord]) -> list[PluginRecord]:
        """An engine may name a replicator and a store of any plugin; now all are known."""
        result = []
        for record in records:
            reason = ""
            for name, engine in list(self.engines.items()):
                if self._owners["engine", name] != record.name:
                    continue
                for kind, wanted in (("replicator", engine.replicator), ("store", engine.store)):
                    known = self._table(kind)
                    if wanted and wanted not in known:
                        reason = (
                            f"engine {name!r} names {kind} {wanted!r}, which no enabled plugin "
                            f"brings{nearest(wanted, known)}"
                        )
            result.append(self._break(record.name, reason, record) if reason else record)
        return result

    def _break(self, name: str, reason: str, record: PluginRecord | None = None) -> PluginRecord:
        """Take back what a plugin brought."""
        record = record or self.explain(name)
        for kind, owned in [key for key, owner in self._owners.items() if owner == name]:
            del self._table(kind)[owned]
            del self._owners[kind, owned]
        module = self._manager.get_plugin(name)
        if module is not None:
            self._manager.unregister(module)
        broken = attrs.evolve(record, state="broken", reason=reason, provides=())
        self.plugins = tuple(broken if p.name == name else p for p in self.plugins)
        return broken

    def _table(self, kind: str) -> dict[str, Any]:
        tables: dict[str, dict[str, Any]] = {
            "store": self.stores,
            "replicator": self.replicators,
            "engine": self.engines,
            "filter": self.filters,
            "frontend": self.frontends,
            "exporter": self.exporters,
            "policy kind": self.policy_handlers,
        }
        return tables[kind]


def _record(
    source: Source, state: str, reason: str = "", provides: tuple[str, ...] = ()
) -> PluginRecord:
    return PluginRecord(source.name, source.package, source.version, state, reason, provides)


def _reason(error: Exception) -> str:
    if isinstance(error, PluginError | ValueError | TypeError):
        return str(error)
    return f"it can't be loaded: {type(error).__name__}: {error}"
