"""Engines' lifecycles, and taking back a volume whose record is lost.

The folders of a volume describe it so that the state can be made
again from them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce.contexts import Lifecycle
from tierce.errors import ConflictError, FormatError, TierceError, UsageError
from tierce.node.layout import Layout
from tierce.registry import Registry, resolve
from tierce.spec import MemberSpec, VolumeSpec
from tierce.state import Owner, Phase, VolumeRecord, acquire
from tierce.state.store import StateStore


class NoLifecycle:
    """Of an engine with nothing to make on disk and no members."""

    def create(self, _volume: VolumeSpec) -> None:
        """Nothing is to be made."""

    def delete(self, _volume: VolumeSpec) -> None:
        """Nothing was made."""

    def members(self, _volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        """It needs none."""
        return ()

    def adopt(self, folders: tuple[Path, ...]) -> Mapping[str, Any]:
        """No folder is its own."""
        raise FormatError("this engine keeps nothing in folders", path=folders[0])


def adopt_without_server(
    layout: Layout,
    registry: Registry,
    folders: tuple[Path, ...],
    engine: str = "",
    frontend: str = "",
) -> VolumeRecord:
    """Take a volume back into the state of a data folder that no server holds.

    Raises:
        ConflictError: A server holds it.
        UsageError: As `adopt_record`.
    """
    layout.make()
    lock = acquire(layout.serve_lock, {"name": "adopt"}, what=f"data folder {layout.data}")
    try:
        with StateStore(layout.state) as store:
            record = adopt_record(store, registry, folders, engine, frontend)
            store.put_volume(record)
            return record
    finally:
        lock.release()


def adopt_record(
    store: StateStore,
    registry: Registry,
    folders: tuple[Path, ...],
    engine: str = "",
    frontend: str = "",
) -> VolumeRecord:
    """Return the record of the volume that these folders hold. It is not stored.

    Args:
        store: The state, to see that the name is free.
        registry: The plugins.
        folders: The volume's folders.
        engine: The engine that made it; empty to ask every one.
        frontend: What is to serve it, which folders don't say; empty for the first that there is.

    Raises:
        UsageError: No engine knows the folders (each one's reason is told), or the name is taken.
    """
    reasons = []
    for name, description in registry.engines.items():
        if (engine and name != engine) or not description.lifecycle:
            continue
        try:
            mapping = dict(lifecycle_of(registry, name).adopt(folders))
        except (TierceError, OSError) as error:
            reasons.append(f"{name}: {error}")
            continue
        uuid, created = str(mapping.pop("uuid")), float(mapping.pop("created"))
        mapping.setdefault("frontend", frontend or min(registry.frontends, default=""))
        volume = str(mapping["name"])
        taken = store.volume(volume)
        if taken is not None and taken.uuid != uuid:
            raise UsageError(f"there is another volume {volume} already ({describe_owner(taken)})")
        return taken or VolumeRecord(
            name=volume,
            uuid=uuid,
            created=created,
            owner=Owner.STATE,
            phase=Phase.READY,
            mapping=mapping,
            origin="tierce volume adopt",
        )
    why = "; ".join(reasons) or f"no enabled engine {engine!r} keeps volumes in folders"
    raise UsageError(f"these folders hold no volume that can be adopted: {why}")


def lifecycle_of(registry: Registry, engine: str) -> Lifecycle:
    """Return the lifecycle of an engine."""
    name = registry.engines[engine].lifecycle
    if not name:
        return NoLifecycle()
    make = resolve(name)
    assert callable(make), "an engine's lifecycle is a class"
    lifecycle: Lifecycle = make()
    return lifecycle


def describe_owner(record: VolumeRecord) -> str:
    """Say who owns a volume."""
    if record.owner is Owner.FILE:
        return f"owned by the config file, {record.origin}"
    return f"owned by the state, made by {record.origin}"


def explain_conflict(error: ConflictError, lifecycle: Lifecycle, spec: VolumeSpec) -> ConflictError:
    """If the folders hold this very volume, say how to take it back."""
    folders = tuple(member.folder for member in lifecycle.members(spec)) or (spec.folder,)
    try:
        found = lifecycle.adopt(folders)
    except (TierceError, OSError):
        return error
    words = shlex.join(str(folder) for folder in folders)
    return ConflictError(
        f"volume {spec.name} is not in the state, but its folders hold a volume "
        f"{found.get('name')!r} already. To take it back with its data run: "
        f"tierce volume adopt {words}"
    )
