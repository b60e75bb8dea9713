"""An engine's lifecycle and its store, from what their plugins declare."""

from __future__ import annotations

from typing import Any

from tierce.errors import PluginError
from tierce.lifecycle import Lifecycle
from tierce.registry import Registry, resolve
from tierce.store import Store, StoreChoice


def lifecycle_of(registry: Registry, engine: str) -> Lifecycle:
    """Return the lifecycle of an engine.

    Raises:
        PluginError: It is none.
    """
    description = registry.engines[engine]
    name = description.lifecycle
    if not name:
        return Lifecycle()
    make = resolve(name)
    arguments = (store_of(registry, description.store),) if description.store else ()
    lifecycle: Any = make(*arguments) if callable(make) else None
    if not isinstance(lifecycle, Lifecycle):
        raise PluginError(f"{name} is no class derived from tierce.Lifecycle", plugin=engine)
    return lifecycle


def store_of(registry: Registry, name: str) -> StoreChoice:
    """Return the store of that name.

    Raises:
        PluginError: It is none.
    """
    factory = registry.stores[name].factory
    kind = resolve(factory)
    if not (isinstance(kind, type) and issubclass(kind, Store)):
        raise PluginError(f"{factory} is no class derived from tierce.Store", plugin=name)
    missing = sorted(kind.__abstractmethods__)
    if missing:
        raise PluginError(f"{factory} lacks the methods {', '.join(missing)}", plugin=name)
    return StoreChoice(name, kind)
