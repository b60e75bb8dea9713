"""Opening a volume: engine, filters, boundaries, emulation, put one on the other.

::

    front ends -> Emulator -> [Boundary -> filter] -> ... -> Boundary -> engine

Factories are resolved here, once; what front ends call is bound methods.

**Which thread.** Everything here, and every call of a `Device`, is on the data thread. A filter on
the simple level is made, called and closed on a worker thread of its own. A simple device of
`Concurrency.SERIAL` is made, called and closed on one and the same worker thread; one of `PARALLEL`
is made here, and called and closed on any worker thread; one of `INLINE` is made and
called here, and closed on a worker thread. What takes live options and does actions is called
there too (`Caller`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

from tierce.block.device import Concurrency, Device, Geometry
from tierce.block.operation import Op
from tierce.block.status import Status
from tierce.contexts import OpenContext
from tierce.descriptions import FilterDescription
from tierce.errors import PluginError
from tierce.registry import Registry, blaming, mistake
from tierce.stage import Stage
from tierce.statuses import ENGINE, PLUGIN_ERRORS, VolumeStatus, filter_owner, to_mapping
from tierce.volume.blame import Blame, Blames
from tierce.volume.boundary import Boundary
from tierce.volume.calling import HERE, Caller
from tierce.volume.emulate import Emulator
from tierce.volume.holding import Holding
from tierce.volume.opening import open_device, open_engine, open_simple_filter
from tierce.volume.simple import SimpleAdapter
from tierce.volume.target_part import TargetPart

#: Shows an owner's mapping in place of its last one.
Publish = Callable[[str, Mapping[str, Any]], None]


class Pipeline:
    """An open volume.

    Attributes:
        device: What front ends talk to: does every operation, checks every request.
        engine: What the engine's factory returned.
        caller: Calls it where it is called.
        filters: What the filters' factories returned, the one nearest the front end first.
        filter_callers: Call each of them where it is called, in the same order.
        holding: What holds the volume's writes.
        part: What can be asked of the target itself.
        boundaries: Above each plugin's device, from the engine up.
        resized: Called with the volume's new shape whenever it has one.
    """

    def __init__(self, context: OpenContext, registry: Registry, publish: Publish) -> None:
        volume = context.volume
        self.resized: list[Callable[[Geometry], None]] = []
        self._context = context
        self._registry = registry
        self._publish = publish
        #: What the engine has said of itself last.
        self._status = VolumeStatus()
        self._blames = Blames(context, partial(publish, PLUGIN_ERRORS))
        self.engine: object = None
        self.caller: Caller = HERE
        self.filters: tuple[object, ...] = ()
        self.filter_callers: tuple[Caller, ...] = ()
        self.boundaries: list[Boundary] = [self._open_engine()]
        # The second of two filters of one name, seen from the front end, is NAME:2.
        seen = Counter(name for name, _options in volume.filters)
        for name, options in reversed(volume.filters):
            instance = name if seen[name] == 1 else f"{name}:{seen[name]}"
            seen[name] -= 1
            self.boundaries.append(self._open_filter(name, instance, options))
        device = Emulator(self.boundaries[-1])
        device.geometry = attrs.evolve(device.geometry, size_bytes=volume.size_bytes)
        self._emulator = device
        completion = self.boundaries[-1].completion
        self.holding = Holding(volume.name, device, completion, context.reactor, context.emit)
        self.part = TargetPart(self.holding, self.boundaries, context.reactor.now)
        self.device: Device = device

    def close(self, closed: Callable[[Status], None]) -> None:
        """Close from the top down; `closed` gets what failed, if anything did."""

        def told(status: Status) -> None:
            self._blames.close()
            closed(status)

        self.device.close(told)

    def _open_engine(self) -> Boundary:
        context, registry = self._context, self._registry
        name = context.volume.engine
        description = registry.engines.get(name)
        if description is None:
            raise PluginError(f"no engine {name!r} is enabled", plugin=name)
        blame = self._blames.of(f"engine {name}", registry.origin("engine", name))
        context = attrs.evolve(
            context,
            resized=partial(self._resized, 0),
            publish=self._publish_status,
            logger=logging.getLogger(f"tierce.engine.{name}"),
        )
        with blaming(registry, "engine", name, "opening"):
            device = open_engine(context, registry, description, blame)
        self.engine = device
        if isinstance(device, SimpleAdapter):
            self.engine, self.caller = device.simple, device
        boundary = Boundary(
            device,
            context.stage("device"),
            blame,
            context.reactor,
            trouble=self._why_it_waits,
            tracer=context.tracer,
        )
        return self._bound(boundary, "engine", name)

    def _open_filter(self, name: str, instance: str, options: object) -> Boundary:
        registry, below = self._registry, self.boundaries[-1]
        description = registry.filters.get(name)
        if description is None:
            raise PluginError(f"no filter {name!r} is enabled", plugin=name)
        door = partial(self._resized, len(self.boundaries))
        context = attrs.evolve(
            self._context,
            options=options,
            resized=door,
            publish=partial(self._publish_details, filter_owner(instance)),
            logger=logging.getLogger(f"tierce.filter.{instance}"),
        )
        blame = self._blames.of(f"filter {instance}", registry.origin("filter", name))
        with blaming(registry, "filter", name, "opening"):
            device, opened, caller = _made(context, description, below, blame, instance)
        self.filters = (opened, *self.filters)
        self.filter_callers = (caller, *self.filter_callers)
        boundary = Boundary(
            device,
            context.stage(f"filter.{instance}"),
            blame,
            context.reactor,
            operations=[op for op in Op if op.name in description.operations],
            flags=description.flags,
            below=below,
            tracer=context.tracer,
            name=f"filter.{instance}",
        )
        return self._bound(boundary, "filter", name)

    def _publish_status(self, status: VolumeStatus) -> None:
        self._publish(ENGINE, to_mapping(status, VolumeStatus))
        self._status = status

    def _why_it_waits(self) -> str | None:
        """Return why the engine says that its I/O waits; None if it does not say so."""
        status = self._status
        return (status.trouble or f"it is {status.state}") if status.is_waiting else None

    def _publish_details(self, owner: str, status: VolumeStatus) -> None:
        """Show what a filter says of itself: how the volume is is for its engine to say."""
        shown = to_mapping(status, VolumeStatus)
        self._publish(owner, {key: value for key, value in shown.items() if key == "details"})

    def _bound(self, boundary: Boundary, family: str, name: str) -> Boundary:
        """Return a boundary whose shape serves the volume.

        Raises:
            PluginError: It is smaller than the volume, or of another block.
        """
        volume, has = self._context.volume, boundary.geometry
        if has.size_bytes < volume.size_bytes or has.block_size != volume.block_size:
            raise mistake(
                self._registry,
                family,
                name,
                f"it opened volume {volume.name} with {has.size_bytes} bytes in blocks of "
                f"{has.block_size}; expected {volume.size_bytes} in blocks of "
                f"{volume.block_size}. The volume is not served, so that nothing is lost",
            )
        return boundary

    def _resized(self, index: int, geometry: Geometry) -> None:
        """A device has another shape: let all above it take it in, then the front ends."""
        if index >= len(self.boundaries):
            return  # It says so while it opens, and is asked when it is open.
        if not self.boundaries[index].resize(geometry):
            return
        for boundary in self.boundaries[index + 1 :]:
            boundary.below_resized()
        top = self.boundaries[-1].geometry
        if top == self._emulator.geometry:
            return
        self._emulator.geometry = top
        for hear in self.resized:
            hear(top)


def _made(
    context: OpenContext,
    description: FilterDescription,
    below: Device,
    blame: Blame,
    instance: str,
) -> tuple[Device, object, Caller]:
    """Return a filter as a device, as what its factory returned, and what calls it."""
    if description.concurrency is Concurrency.SERIAL:

        def stage(name: str) -> Stage:
            return context.stage(f"filter.{instance}.{name}")

        adapter = open_simple_filter(context, description, below, blame, stage)
        return adapter, adapter.simple, adapter
    device = open_device(description.factory, description.name, context, below)
    return device, device, HERE


def open_pipeline(context: OpenContext, registry: Registry, publish: Publish) -> Pipeline:
    """Open a volume's engine and put its filters on it. Exactly one pipeline per volume: the
    caller holds the volume's lock.

    Args:
        context: The volume, and what the engine is opened with.
        registry: The plugins.
        publish: Shows what one of its parts, the owner, has to say.

    Raises:
        PluginError: The engine or a filter is not there, or is no device that serves the volume.
    """
    return Pipeline(context, registry, publish)
