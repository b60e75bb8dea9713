"""The front ends of one target: one for each export of its volume, over one pipeline."""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
from collections.abc import Callable, Collection, Iterator
from typing import cast

from tierce.block.device import Device, Geometry
from tierce.errors import PluginError, ProtocolError, TierceError, explain
from tierce.frontend import Frontend, FrontendContext
from tierce.process.process_loop import Process, log_story
from tierce.process.settings import TargetSettings
from tierce.registry import Registry, blaming, mistake, resolve
from tierce.spec import Access, Event, Export
from tierce.stage import ROOT_STAGE
from tierce.statuses import FrontendStatus, frontend_owner, to_mapping
from tierce.tracing import Tracer
from tierce.volume.export_claims import ExportClaims
from tierce.volume.meter import Meter
from tierce.volume.pipeline import Pipeline
from tierce.volume.read_only import ReadOnly
from tierce.volume.statistics import StatisticsPage

#: A front end that has not closed after so long is told by name; a little later its target is
#: killed (`limits.stop_timeout_s`).
CLOSE_TOLD_S = 9.0
#: What a front end has to have.
_REQUIRED = ("adopt", "close", "abandon")


class Fronts:
    """The front ends of a target.

    Args:
        process: The process.
        registry: The plugins.
        settings: The volume and its exports.
        pipeline: The volume's; its front ends hear when it has another shape.
        page: Where stages and published values are shown.
        tracer: Who is followed one by one.
    """

    def __init__(
        self,
        process: Process,
        registry: Registry,
        settings: TargetSettings,
        pipeline: Pipeline,
        page: StatisticsPage,
        tracer: Tracer,
    ) -> None:
        self._process = process
        self._registry = registry
        self._settings = settings
        self._pipeline = pipeline
        self._page = page
        self._tracer = tracer
        self._fronts: dict[str, Frontend] = {}
        claims = ExportClaims(settings.volume.name)
        for export in settings.volume.exports:
            claims.claim(export)
            self._fronts[export.frontend] = self._open(export)

    def adopt(self, frontend: str | None, connection: socket.socket, handover: bytes) -> None:
        """Hand a connection to a front end; to the first if none is named.

        Raises:
            ProtocolError: It does not serve this volume.
        """
        name = next(iter(self._fronts)) if frontend is None else frontend
        if name not in self._fronts:
            raise ProtocolError(f"no export of this volume is by {frontend!r}")
        with blaming(self._registry, "front end", name, "adopt"):
            self._fronts[name].adopt(connection, handover)

    def of(self, frontend: str) -> object:
        """Return what the factory of that front end returned."""
        return self._fronts[frontend]

    def close(self, closed: Callable[[], None]) -> None:
        """End the sessions of all at once; `closed()` when the last is done."""
        open_fronts = set(self._fronts)

        def closed_one(name: str) -> None:
            # One that says it twice must not stand for another.
            if name in open_fronts:
                open_fronts.remove(name)
                if not open_fronts:
                    timer.cancel()
                    closed()

        timer = self._process.reactor.call_later(
            CLOSE_TOLD_S, lambda: self._look_whether_closed(open_fronts)
        )
        for name, front in self._fronts.items():
            try:
                with blaming(self._registry, "front end", name, "close"):
                    front.close(lambda name=name: closed_one(name))  # type: ignore[misc]
            except (TierceError, OSError) as error:
                self._tell(name, "close", error)
                # What it was to answer is lost with it; the volume's bytes are not.
                closed_one(name)

    def abandon(self, reason: str) -> None:
        """Fenced: every front end drops everything."""
        for name, front in self._fronts.items():
            with self._told(name, "abandon"):
                front.abandon(reason)

    def _open(self, export: Export) -> Frontend:
        name, settings = export.frontend, self._settings
        description = self._registry.frontends.get(name)
        if description is None:
            raise PluginError(f"no front end {name!r} is enabled", plugin=name)

        def publish(status: FrontendStatus) -> None:
            self._page.publish(frontend_owner(name), to_mapping(status, FrontendStatus))

        # Readers see them in this order, whoever has something to say first.
        publish(FrontendStatus())

        device = self._pipeline.device
        if export.access is Access.RO:
            device = ReadOnly(device)
        context = FrontendContext(
            volume=settings.volume,
            export=export,
            options=settings.sections[name],
            volume_options=export.options,
            device=device if description.counts else self._metered(device),
            reactor=self._process.reactor,
            stage=self._page.stage,
            emit=self._process.emit,
            publish=publish,
            folder=settings.volume.frontend_folder(name),
            is_folder_lasting=(self._pipeline.device.capabilities.durable and not settings.members),
            boot_id=self._process.boot_id,
            tracer=self._tracer,
            logger=logging.getLogger(f"tierce.frontend.{name}"),
        )
        with blaming(self._registry, "front end", name, "opening"):
            opened = _made(description.factory, context)
        if hasattr(opened, "resized"):
            self._pipeline.resized.append(lambda shape: self._resized(name, opened, shape))
        return opened

    def _metered(self, device: Device) -> Meter:
        return Meter(device, self._page.stage(ROOT_STAGE), self._tracer)

    # -- what it does wrong ------------------------------------------------------------------------

    def _resized(self, name: str, front: Frontend, geometry: Geometry) -> None:
        with self._told(name, "resized"):
            front.resized(geometry)

    @contextlib.contextmanager
    def _told(self, name: str, doing: str) -> Iterator[None]:
        """Tell by an event what a front end raises in here, whatever it is, and go on."""
        try:
            with blaming(self._registry, "front end", name, doing):
                yield
        except (TierceError, OSError) as error:
            self._tell(name, doing, error)

    def _tell(self, name: str, doing: str, error: TierceError | OSError) -> None:
        log_story(error)
        wrong = error
        if not isinstance(error, PluginError):
            why = f"it failed in {doing}: {explain(error)}"
            wrong = mistake(self._registry, "front end", name, why)
        volume = self._settings.volume.name
        text = f"volume {volume}: {wrong}"
        self._process.emit(Event("volume.plugin-failed", text, f"volume/{volume}", "error"))

    def _look_whether_closed(self, open_fronts: Collection[str]) -> None:
        for name in open_fronts:
            why = f"it does not close: waited for {CLOSE_TOLD_S:g} s"
            self._tell(name, "close", mistake(self._registry, "front end", name, why))


def _made(factory: str, context: FrontendContext) -> Frontend:
    """Return what a factory makes, if it is a front end.

    Raises:
        PluginError: It is none.
    """
    make = resolve(factory)
    if not callable(make):
        raise PluginError(f"its factory {factory} is no class or function", plugin=factory)
    opened = make(context)
    made = f"its factory {factory} made an instance of {type(opened).__name__}"
    for method in _REQUIRED:
        if not callable(getattr(opened, method, None)):
            why = f"{made}, which has no {method}(); expected a tierce.Frontend"
            raise PluginError(why, plugin=factory)
    for method in (name for name in vars(Frontend) if not name.startswith("_")):
        if inspect.iscoroutinefunction(getattr(opened, method, None)):
            why = f"{made}, whose {method} is an `async def`; nobody would await it"
            raise PluginError(why, plugin=factory)
    return cast("Frontend", opened)
