"""What this plugin brings: the engine `jiva`, which is the replicator `jiva` over the store
`sparse-file`."""

from __future__ import annotations

from tierce import (
    EngineDescription,
    EventDescription,
    ReplicatorDescription,
    StoreCapability,
    StoreDescription,
    hookimpl,
)
from tierce_jiva.events import EVENTS
from tierce_jiva.options import JivaOptions


@hookimpl
def tierce_stores() -> list[StoreDescription]:
    """Name the store."""
    return [
        StoreDescription(
            name="sparse-file",
            summary="One sparse file per replica; holes and space are the file system's.",
            factory="tierce_jiva.store:SparseFileStore",
            capabilities=StoreCapability.USAGE,
            contract=2,
        )
    ]


@hookimpl
def tierce_replicators() -> list[ReplicatorDescription]:
    """Name the replicator."""
    return [
        ReplicatorDescription(
            name="jiva",
            summary="Synchronous replication by ballot, over TCP.",
            factory="tierce_jiva.device:open_device",
            member="tierce_jiva.replica_process:ReplicaProcess",
            lifecycle="tierce_jiva.lifecycle:JivaLifecycle",
            options=JivaOptions,
            contract=2,
        )
    ]


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    """Name the engine."""
    return [
        EngineDescription(
            name="jiva",
            summary="A replicated volume: each replica a folder with a sparse file.",
            lifecycle="tierce_jiva.lifecycle:JivaLifecycle",
            options=JivaOptions,
            replicator="jiva",
            store="sparse-file",
            contract=2,
        )
    ]


@hookimpl
def tierce_events() -> tuple[EventDescription, ...]:
    """Name the events."""
    return EVENTS
