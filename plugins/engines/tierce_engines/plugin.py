"""What this plugin brings: two engines to use, and to learn from."""

from __future__ import annotations

from tierce import Concurrency, EngineDescription, EventDescription, hookimpl
from tierce_engines.events import EVENTS
from tierce_engines.options import FileOptions


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    """Name the engines."""
    return [
        EngineDescription(
            name="memory",
            summary="Anonymous memory: fast, and gone with the target process.",
            factory="tierce_engines.memory:MemoryDevice",
            concurrency=Concurrency.INLINE,
            durable=False,
            contract=2,
        ),
        EngineDescription(
            name="file",
            summary="One raw file or block device, unreplicated.",
            factory="tierce_engines.file:FileDevice",
            concurrency=Concurrency.BATCH,
            lifecycle="tierce_engines.file_lifecycle:FileLifecycle",
            options=FileOptions,
            contract=2,
        ),
    ]


@hookimpl
def tierce_events() -> tuple[EventDescription, ...]:
    """Name the events."""
    return EVENTS
