"""What processes are started with: from values to the JSON of a plan, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from tierce.codec import from_json, to_json
from tierce.config import options_from_mapping
from tierce.process.live_options import fixed_volume, live_values, split, whole_volume
from tierce.process.local_volume import ROOT, local_volume, volume_values
from tierce.registry import Registry
from tierce.spec import LocalVolume, MemberSpec

#: Where the values came from, for the messages of a process that can't use them.
_ORIGIN = "the plan of this process"


@attrs.frozen
class TargetSettings:
    """What a target process is started with.

    Attributes:
        volume: The volume.
        members: Its members.
        sections: Options of its front ends' sections under `frontends:`, by name.
    """

    volume: LocalVolume
    members: tuple[MemberSpec, ...]
    sections: Mapping[str, Any]

    def fixed_values(self) -> dict[str, Any]:
        """Return what a restart is needed for as JSON values."""
        return {
            **volume_values(self.volume, fixed_volume(self.volume)),
            "members": to_json(self.members),
            "sections": {name: split(one)[0] for name, one in self.sections.items()},
        }

    def live_values(self) -> dict[str, Any]:
        """Return what changes while the target runs as JSON values."""
        return live_values(self.volume, self.sections)

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any], live: Mapping[str, Any], registry: Registry
    ) -> TargetSettings:
        """Make one from what `fixed_values` and `live_values` returned.

        Raises:
            ConfigError: A plugin takes no such options.
        """
        whole = {**values, "volume": whole_volume(values["volume"], live)}
        volume = local_volume(whole, registry, _ORIGIN)
        sections = {}
        for name, fixed in values["sections"].items():
            of_section = live.get(f"frontends.{name}", {}).get("values", {})
            sections[name] = load_section(registry, name, {**fixed, **of_section})
        members = from_json(tuple[MemberSpec, ...], values["members"])
        return cls(volume, members, sections)


@attrs.frozen
class MemberSettings:
    """What a member process is started with.

    Attributes:
        volume: The volume's name.
        uuid: The volume's uuid.
        size_bytes: The volume's size in bytes.
        block_size: The volume's logical block in bytes.
        engine: The volume's engine.
        member: This member.
        store_options: The options of the engine's store, as JSON values.
    """

    volume: str
    uuid: str
    size_bytes: int
    block_size: int
    engine: str
    member: MemberSpec
    store_options: Mapping[str, Any] = attrs.field(factory=dict)


def load_section(registry: Registry, frontend: str, values: Mapping[str, Any]) -> Any:
    """Return the options of a front end's section."""
    return _load(registry.frontends[frontend].options, values)


def load_volume_options(registry: Registry, frontend: str, values: Mapping[str, Any]) -> Any:
    """Return a volume's options for its front end."""
    return _load(registry.frontends[frontend].volume_options, values)


def load_store_options(registry: Registry, store: str, values: Mapping[str, Any]) -> Any:
    """Return the options of a store."""
    return _load(registry.stores[store].options, values)


def load_service_options(registry: Registry, name: str, values: Mapping[str, Any]) -> Any:
    """Return a service's options."""
    return _load(registry.services[name].options, values)


def load_policy_options(registry: Registry, kind: str, values: Mapping[str, Any]) -> Any:
    """Return the parameters of a policy document."""
    return _load(registry.policy_handlers[kind].options, values)


def _load(options: type[Any], values: Mapping[str, Any]) -> Any:
    return options_from_mapping(options, values, base=ROOT, origin=_ORIGIN)
