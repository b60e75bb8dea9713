"""From what the file or the state says of a volume to the volume itself and its engine."""

from __future__ import annotations

import attrs

from tierce.config import VolumeConfig, volume_from_mapping
from tierce.lifecycle import Lifecycle
from tierce.process.paths import Paths
from tierce.process.settings import spec_of
from tierce.registry import Registry
from tierce.registry.lifecycles import lifecycle_of
from tierce.spec import MemberSpec, VolumeSpec
from tierce.state import VolumeRecord


@attrs.frozen
class Served:
    """A volume that is to be served.

    Attributes:
        config: Its configuration, as it is in force.
        record: What the state says.
        spec: The volume.
        members: Its members.
    """

    config: VolumeConfig
    record: VolumeRecord
    spec: VolumeSpec
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

    def parse(self, record: VolumeRecord) -> VolumeConfig:
        """Return the configuration that the state keeps.

        Raises:
            ConfigError: No plugin of today takes it.
        """
        return volume_from_mapping(
            record.mapping,
            self.registry,
            base=self._paths.data,
            origin=f"the state, volume {record.name}",
        )

    def spec(self, volume: VolumeConfig, record: VolumeRecord) -> VolumeSpec:
        """Return the volume that a configuration and the state's identity make."""
        return spec_of(volume, record.uuid, record.created, self._paths)

    def of(self, record: VolumeRecord) -> tuple[Lifecycle, VolumeSpec]:
        """Return the lifecycle of a volume and the volume, as the state knows it."""
        volume = self.parse(record)
        return lifecycle_of(self.registry, volume.engine), self.spec(volume, record)

    def serve(self, volume: VolumeConfig, record: VolumeRecord) -> Served:
        """Return what is to be served."""
        spec = self.spec(volume, record)
        members = lifecycle_of(self.registry, volume.engine).members(spec)
        return Served(volume, record, spec, members)
