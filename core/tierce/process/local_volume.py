"""A volume on this node as JSON values, for a process that is given it; and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce.config import volume_from_mapping
from tierce.registry import Registry
from tierce.spec import LocalVolume

#: Paths in what a process is given are absolute already.
ROOT = Path("/")


def local_values(volume: LocalVolume, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a process is given of a volume.

    Args:
        volume: The volume.
        mapping: Its plain values, or those of them that are given.
    """
    return {
        "volume": mapping,
        "uuid": volume.uuid,
        "created": volume.created,
        "folder": str(volume.folder),
    }


def local_volume(values: Mapping[str, Any], registry: Registry, origin: str) -> LocalVolume:
    """Make a volume from what `local_values` returned, of all of its plain values.

    Args:
        values: What it returned.
        registry: The plugins.
        origin: Where the values came from, for messages.

    Raises:
        ConfigError: A plugin takes no such options.
    """
    volume = volume_from_mapping(values["volume"], registry, base=ROOT, origin=origin)
    folder = Path(values["folder"])
    return LocalVolume.of(volume, folder, uuid=values["uuid"], created=values["created"])
