"""From what the file or the state says of a volume to the volume itself and its engine."""

from __future__ import annotations

import attrs

from tierce.config import volume_from_mapping
from tierce.process.paths import Paths
from tierce.registry import Registry
from tierce.registry.members import members_of
from tierce.spec import LocalVolume, MemberSpec, VolumeSpec
from tierce.state import VolumeRecord


@attrs.frozen
class Served:
    """A volume that is to be served.

    Attributes:
        volume: The volume, as it is in force.
        record: What the state says of it.
        members: Its members.
    """

    volume: LocalVolume
    record: VolumeRecord
    members: tuple[MemberSpec, ...]


class Engines:
    """The engines of one data folder's volumes.

    Args:
        paths: Where things lie.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._registry: Registry | None = None

    @property
    def registry(self) -> Registry:
        """The plugins."""
        assert self._registry is not None, "use comes first"
        return self._registry

    def use(self, registry: Registry) -> None:
        """Take these plugins from now on: the config file was read."""
        self._registry = registry

    def parse(self, record: VolumeRecord) -> LocalVolume:
        """Return the volume that the state keeps.

        Raises:
            ConfigError: No plugin of today takes it.
        """
        volume = volume_from_mapping(
            record.mapping,
            self.registry,
            base=self._paths.data,
            origin=f"the state, volume {record.name}",
        )
        return self.identify(volume, record)

    def identify(self, volume: VolumeSpec, record: VolumeRecord) -> LocalVolume:
        """Return a volume that somebody asks for as the one that the state knows by its name."""
        folder = self._paths.volume(volume.name)
        return LocalVolume.of(volume, folder, uuid=record.uuid, created=record.created)

    def serve(self, volume: VolumeSpec, record: VolumeRecord) -> Served:
        """Return what is to be served: a volume with the identity that the state gives it."""
        volume = self.identify(volume, record)
        return Served(volume, record, members_of(self.registry, volume))
