"""Opening a volume: engine, filters, statistics, emulation, put one on the other.

::

    front end -> Emulator -> [Meter] -> filter -> ... -> Meter "device" -> engine

Hooks are resolved here, once; what the front end calls is bound methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import attrs

from tierce.block.device import Device, Geometry, SimpleDevice
from tierce.block.status import Status
from tierce.contexts import OpenContext
from tierce.descriptions import CONTRACT, EngineDescription
from tierce.errors import PluginError
from tierce.registry import Registry, resolve
from tierce.volume.claims import Claims
from tierce.volume.emulate import Emulator
from tierce.volume.filtering import Guard
from tierce.volume.holding import Holding
from tierce.volume.meter import Meter
from tierce.volume.simple import SimpleAdapter


@attrs.define(eq=False)
class Pipeline:
    """An open volume.

    Attributes:
        device: What the front end talks to: does every operation, checks every request.
        claims: Who uses it.
        engine: What the engine's factory returned.
        filters: What the filters' factories returned, the one nearest the front end first.
        holding: What holds the volume's writes.
    """

    device: Device
    claims: Claims
    engine: object
    filters: tuple[object, ...]
    holding: Holding

    def close(self, closed: Callable[[Status], None]) -> None:
        """Close from the top down; `closed` gets what the engine says."""
        self.device.close(closed)


def open_pipeline(context: OpenContext, registry: Registry) -> Pipeline:
    """Open a volume's engine and put its filters on it. Exactly one pipeline per volume: the
    caller holds the volume's lock.

    Args:
        context: The volume, and what the engine is opened with.
        registry: The plugins.

    Raises:
        PluginError: The engine or a filter is not there, or is no device.
    """
    volume = context.volume
    description = registry.engines.get(volume.engine)
    if description is None:
        raise PluginError(f"no engine {volume.engine!r} is enabled", plugin=volume.engine)
    factory = description.factory or registry.replicators[description.replicator].factory
    engine = _call(factory, description.name, context)
    below = _as_device(engine, factory, context, description)
    device = Meter(below, context.stage("device"))
    filters: list[object] = []
    for name, options in reversed(volume.filters):
        made, device = _open_filter(context, registry, name, options, device)
        filters.insert(0, made)
    claims = Claims(volume.name)
    claims.claim(f"front end {volume.frontend}", writes=not device.capabilities.read_only)
    emulator = Emulator(device)
    holding = Holding(volume.name, emulator, device, context.reactor, context.emit)
    return Pipeline(emulator, claims, engine, tuple(filters), holding)


def _as_device(
    opened: object, factory: str, context: OpenContext, description: EngineDescription
) -> Device:
    if callable(getattr(opened, "submit", None)):
        return cast("Device", opened)
    if not isinstance(opened, SimpleDevice):
        raise PluginError(
            f"{factory} gave a {type(opened).__name__}, expected something with read and write, "
            "or with submit",
            plugin=description.name,
        )
    volume = context.volume
    geometry = getattr(opened, "geometry", None) or Geometry(volume.size_bytes, volume.block_size)
    return SimpleAdapter(
        opened,
        geometry,
        description.concurrency,
        durable=description.durable,
        engine=description.name,
        reactor=context.reactor,
    )


def _open_filter(
    context: OpenContext, registry: Registry, name: str, options: object, below: Device
) -> tuple[object, Meter]:
    """Return what the filter's factory made, and the device that it has become."""
    description = registry.filters.get(name)
    if description is None:
        raise PluginError(f"no filter {name!r} is enabled", plugin=name)
    if description.contract > CONTRACT:
        raise PluginError(
            f"written for contract {description.contract}, this core speaks {CONTRACT}",
            plugin=name,
        )
    made = _call(description.factory, name, attrs.evolve(context, options=options), below)
    guard = Guard(cast("Device", made), description, below)
    return made, Meter(guard, context.stage(f"filter-{name}"))


def _call(factory: str, plugin: str, *arguments: object) -> object:
    found = resolve(factory)
    if not callable(found):
        raise PluginError(f"{factory} can't be called", plugin=plugin)
    return found(*arguments)
