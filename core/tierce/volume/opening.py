"""From a description to a device: the factory is called on the thread that it belongs to, and what
it returns is looked at before anything is sent to it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, cast

import attrs

from tierce.block.device import Capabilities, Concurrency, Device, Geometry
from tierce.block.simple_filter import SimpleFilter
from tierce.contexts import OpenContext
from tierce.descriptions import EngineDescription, FilterDescription
from tierce.errors import PluginError, TierceError, explain
from tierce.reactor import Reactor
from tierce.registry import Registry, resolve
from tierce.stage import Stage
from tierce.volume.blame import Blame
from tierce.volume.simple import SimpleAdapter
from tierce.volume.simple_filter import LowerDevice, SimpleFilterAdapter

_LOG = logging.getLogger(__name__)

#: Whatever of these a plugin's device has is called by core, which awaits nothing.
_CALLED = (
    *("submit", "close", "when_quiet", "resized"),
    *("read", "write", "flush", "discard", "write_zeroes", "extents"),
)


def open_engine(
    context: OpenContext, registry: Registry, description: EngineDescription, blame: Blame
) -> Device:
    """Return an engine's device, whichever level it is of.

    Raises:
        PluginError: It can't be opened, or is no device.
    """
    name = description.name
    factory = description.factory or registry.replicators[description.replicator].factory
    make = _callable(factory, name)
    takes_batches = (
        description.concurrency is Concurrency.BATCH
        or not description.factory
        or (inspect.isclass(make) and hasattr(make, "submit"))
    )
    if takes_batches:
        return open_device(factory, name, context)
    # What the engine says from its own thread is heard on the data thread.
    context = attrs.evolve(context, resized=_from_any_thread(context.reactor, context.resized))
    is_serial = description.concurrency is Concurrency.SERIAL
    lane = context.reactor.lane() if is_serial else None

    def open_it() -> object:
        return _make(make, name, context)

    opened = cast("Any", open_it() if lane is None else lane.run(open_it))
    if callable(getattr(opened, "submit", None)):
        raise PluginError(
            f"{factory} gave a device that takes batches; declare it with "
            "concurrency=tierce.Concurrency.BATCH",
            plugin=name,
        )
    if not all(callable(getattr(opened, method, None)) for method in ("read", "write")):
        raise PluginError(
            f"{factory} gave a {type(opened).__name__}, expected something with read and write, "
            "or with submit",
            plugin=name,
        )
    _refuse_async(opened, factory, name)
    geometry = getattr(opened, "geometry", None) or Geometry(
        context.volume.size_bytes, context.volume.block_size
    )
    _check_shape(geometry, factory, name)
    return SimpleAdapter(
        opened,
        geometry,
        description.concurrency,
        durable=description.durable,
        engine=name,
        reactor=context.reactor,
        lane=lane,
        blame=blame,
        stage=lambda stage: context.stage(f"engine.{stage}"),
        tracer=context.tracer,
    )


def open_simple_filter(
    context: OpenContext,
    description: FilterDescription,
    below: Device,
    blame: Blame,
    stage: Callable[[str], Stage],
) -> SimpleFilterAdapter:
    """Return a filter on the simple level, made on the thread that it is called on; `stage` returns
    its counters.

    Raises:
        PluginError: It can't be opened, or is no such filter.
    """
    factory, name, reactor = description.factory, description.name, context.reactor
    make = _callable(factory, name)
    context = attrs.evolve(context, resized=_from_any_thread(reactor, context.resized))
    lane = reactor.lane()
    lower = LowerDevice(below, lane)
    opened = lane.run(lambda: _make(make, name, context, lower))
    if not isinstance(opened, SimpleFilter):
        raise PluginError(
            f"{factory} gave a {type(opened).__name__}; a filter of Concurrency.SERIAL is derived "
            "from tierce.SimpleFilter",
            plugin=name,
        )
    _refuse_async(opened, factory, name)
    return SimpleFilterAdapter(
        *(opened, lower, name),
        reactor=reactor,
        lane=lane,
        blame=blame,
        stage=stage,
        tracer=context.tracer,
    )


def open_device(factory: str, plugin: str, *arguments: object) -> Device:
    """Call a factory, and return the device that takes batches which it gives.

    Raises:
        PluginError: It gives none.
    """
    opened = cast("Any", _make(_callable(factory, plugin), plugin, *arguments))
    missing = [
        name
        for name in ("submit", "close", "geometry", "capabilities")
        if getattr(opened, name, None) is None
    ]
    if isinstance(opened, SimpleFilter):
        raise PluginError(
            f"{factory} gave a filter on the simple level; declare it with "
            "concurrency=tierce.Concurrency.SERIAL",
            plugin=plugin,
        )
    if missing:
        raise PluginError(
            f"{factory} gave a {type(opened).__name__} without {' and '.join(missing)}; derive it "
            "from tierce.BaseDevice or tierce.Filter",
            plugin=plugin,
        )
    _refuse_async(opened, factory, plugin)
    _check_shape(opened.geometry, factory, plugin)
    if not isinstance(opened.capabilities, Capabilities):
        kind = type(opened.capabilities).__name__
        raise PluginError(
            f"{factory} has a {kind} as capabilities; expected tierce.Capabilities", plugin=plugin
        )
    return cast("Device", opened)


def _from_any_thread(
    reactor: Reactor, resized: Callable[[Geometry], None]
) -> Callable[[Geometry], None]:
    """Return `resized` for whoever is on any thread: it is called on the data thread."""

    def door(geometry: Geometry) -> None:
        reactor.offload(lambda: geometry, lambda _result, _error: resized(geometry))

    return door


def _callable(factory: str, plugin: str) -> Callable[..., object]:
    found = resolve(factory)
    if not callable(found):
        raise PluginError(f"{factory} can't be called", plugin=plugin)
    return found


def _make(make: Callable[..., object], plugin: str, *arguments: object) -> object:
    """Call a factory; a bug of its author is told as such, with its traceback in the log."""
    try:
        return make(*arguments)
    except (TierceError, OSError):
        raise
    except (Exception, SystemExit) as error:
        _LOG.exception("plugin %r failed to open", plugin)
        raise PluginError(f"it failed to open: {explain(error)}", plugin=plugin) from error


def _refuse_async(opened: object, factory: str, plugin: str) -> None:
    for name in _CALLED:
        if inspect.iscoroutinefunction(getattr(opened, name, None)):
            raise PluginError(
                f"{factory}: {name} is an `async def`; nobody would await it", plugin=plugin
            )


def _check_shape(geometry: object, factory: str, plugin: str) -> None:
    if not isinstance(geometry, Geometry):
        kind = type(geometry).__name__
        raise PluginError(
            f"{factory} has a {kind} as geometry; expected tierce.Geometry", plugin=plugin
        )
