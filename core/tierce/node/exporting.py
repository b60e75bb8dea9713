"""An exporter process: statistics and events out, beside the data processes, never in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from tierce.contexts import Exporter, ExporterContext
from tierce.errors import explain
from tierce.node.control import Command
from tierce.node.layout import Layout
from tierce.node.plan import EXIT_FAILED
from tierce.node.process import Process
from tierce.node.settings import load_exporter_options
from tierce.node.target import read_snapshot
from tierce.registry import Registry, resolve
from tierce.spec import Event


def start_exporter(process: Process, registry: Registry) -> ExporterProcess:
    """Start the exporter on a thread of its own; the loop goes on answering."""
    name = str(process.plan.settings["exporter"])
    options = load_exporter_options(registry, name, process.plan.settings["options"])
    return ExporterProcess(process, registry.exporters[name].factory, options)


class ExporterProcess:
    """The exporter in this process.

    Args:
        process: The process.
        factory: The exporter's "package.module:name".
        options: Its options.
    """

    commands: Mapping[str, Command] = {}

    def __init__(self, process: Process, factory: str, options: Any) -> None:
        self._process = process
        self._stopping = threading.Event()
        self._closed: Callable[[], None] | None = None
        make = resolve(factory)
        assert callable(make), "an exporter's factory is a class or function"
        layout = process.layout
        exporter: Exporter = make(
            ExporterContext(
                options=options,
                volumes=lambda: read_volumes(layout),
                log=process.log,
            )
        )
        process.reactor.offload(lambda: exporter.run(self._stopping.is_set), self._ended)

    def close(self, closed: Callable[[], None]) -> None:
        """Tell it to stop; `closed()` when it has."""
        self._closed = closed
        self._stopping.set()

    def _ended(self, _result: None, error: BaseException | None) -> None:
        if self._closed is not None:
            self._closed()
            return
        name = self._process.plan.name
        why = explain(error) if error is not None else "it returned before it was told to"
        self._process.emit(
            Event("node.process.failed", f"{name}: {why}", f"process/{name}", "error")
        )
        self._process.end(EXIT_FAILED)


def read_volumes(layout: Layout) -> dict[str, dict[str, Any]]:
    """Return what the statistics pages of all volumes say now.

    A page of a target is VOLUME.stats; one of a member has another dot before.
    """
    return {
        page.stem: read_snapshot(page)
        for page in sorted(layout.run.glob("*.stats"))
        if "." not in page.stem and not page.name.startswith(".")
    }
