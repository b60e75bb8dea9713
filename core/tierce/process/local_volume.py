"""A volume as JSON values, for a process that is given it, on this node or any; and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.config import volume_from_mapping
from tierce.registry import Registry
from tierce.spec import LocalVolume, VolumeSpec

#: Paths in what a process is given are absolute already.
ROOT = Path("/")


def volume_values(volume: VolumeSpec, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a process is given of a volume: its folder too if it is one on this node.

    Args:
        volume: The volume.
        mapping: Its plain values, or those of them that are given.
    """
    values = {"volume": mapping, "uuid": volume.uuid, "created": volume.created}
    return values | {"folder": str(volume.folder)} if isinstance(volume, LocalVolume) else values


def local_volume(values: Mapping[str, Any], registry: Registry, origin: str) -> LocalVolume:
    """Make a volume on this node from what `volume_values` returned, of all of its plain values.

    Args:
        values: What it returned.
        registry: The plugins.
        origin: Where the values came from, for messages.

    Raises:
        ConfigError: A plugin takes no such options.
    """
    volume = volume_of(values, registry, origin)
    assert isinstance(volume, LocalVolume), "what runs on this node has a folder there"
    return volume


def volume_of(values: Mapping[str, Any], registry: Registry, origin: str) -> VolumeSpec:
    """As `local_volume`, on whichever node."""
    volume = volume_from_mapping(values["volume"], registry, base=ROOT, origin=origin)
    known = {"uuid": values["uuid"], "created": values["created"]}
    if "folder" not in values:
        return attrs.evolve(volume, **known)
    return LocalVolume.of(volume, Path(values["folder"]), **known)
