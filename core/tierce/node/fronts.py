"""The front ends of one target: one for each export of its volume, over one pipeline."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import cast

from tierce.errors import PluginError, ProtocolError
from tierce.frontend import Frontend, FrontendContext
from tierce.process.process_loop import Process
from tierce.process.settings import TargetSettings
from tierce.registry import Registry, resolve
from tierce.spec import Access, Export
from tierce.stage import Stage
from tierce.statuses import FrontendStatus, frontend_owner, to_mapping
from tierce.volume.export_claims import ExportClaims
from tierce.volume.meter import Meter
from tierce.volume.pipeline import Pipeline
from tierce.volume.read_only import ReadOnly
from tierce.volume.statistics import StatisticsPage

#: A front end's own stage: what it calls it, and what readers see of the first export.
STAGE = "frontend"


class Fronts:
    """The front ends of a target.

    Args:
        process: The process.
        registry: The plugins.
        settings: The volume and its exports.
        pipeline: The volume's; its front ends hear when it has another shape.
        page: Where stages and published values are shown.
    """

    def __init__(
        self,
        process: Process,
        registry: Registry,
        settings: TargetSettings,
        pipeline: Pipeline,
        page: StatisticsPage,
    ) -> None:
        self._process = process
        self._registry = registry
        self._settings = settings
        self._pipeline = pipeline
        self._page = page
        self._fronts: dict[str, Frontend] = {}
        claims = ExportClaims(settings.volume.name)
        for export in settings.volume.exports:
            claims.claim(export)
            self._fronts[export.frontend] = self._open(export, is_first=not self._fronts)

    def adopt(self, frontend: str | None, connection: socket.socket, handover: bytes) -> None:
        """Hand a connection to a front end; to the first if none is named.

        Raises:
            ProtocolError: It does not serve this volume.
        """
        front = self._fronts.get(next(iter(self._fronts)) if frontend is None else frontend)
        if front is None:
            raise ProtocolError(f"no export of this volume is by {frontend!r}")
        front.adopt(connection, handover)

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
                    closed()

        for name, front in self._fronts.items():
            front.close(lambda name=name: closed_one(name))  # type: ignore[misc]

    def abandon(self, reason: str) -> None:
        """Fenced: every front end drops everything."""
        for front in self._fronts.values():
            front.abandon(reason)

    def _open(self, export: Export, *, is_first: bool) -> Frontend:
        name, settings = export.frontend, self._settings
        description = self._registry.frontends.get(name)
        if description is None:
            raise PluginError(f"no front end {name!r} is enabled", plugin=name)
        suffix = "" if is_first else f"-{name}"

        def stage(wanted: str) -> Stage:
            return self._page.stage(wanted + suffix if wanted == STAGE else wanted)

        def publish(status: FrontendStatus) -> None:
            self._page.publish(frontend_owner(name), to_mapping(status, FrontendStatus))

        # Readers see them in this order, whoever has something to say first.
        publish(FrontendStatus())

        device = self._pipeline.device
        if export.access is Access.RO:
            device = ReadOnly(device)
        factory = resolve(description.factory)
        assert callable(factory), "a front end's factory is a class or function"
        opened = factory(
            FrontendContext(
                volume=settings.volume,
                export=export,
                options=settings.sections[name],
                volume_options=export.options,
                device=device if description.counts else Meter(device, stage(STAGE)),
                reactor=self._process.reactor,
                stage=stage,
                emit=self._process.emit,
                publish=publish,
                folder=settings.volume.frontend_folder(name),
                is_folder_lasting=(
                    self._pipeline.device.capabilities.durable and not settings.members
                ),
                boot_id=self._process.boot_id,
            )
        )
        hear = getattr(opened, "resized", None)
        if hear is not None:
            self._pipeline.resized.append(hear)
        return cast("Frontend", opened)
