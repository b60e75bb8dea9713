"""From the inventory to the processes that it needs: pure but for asking the lifecycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tierce.codec import to_json
from tierce.config import Config, ServiceSection, portal_sections, volume_to_mapping
from tierce.descriptions import Scope
from tierce.inventory.engines import Served
from tierce.inventory.policy_settings import PolicySet
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.code_identity import code_identity
from tierce.process.live_options import split
from tierce.process.plan import Plan, Role, fork_server_plan
from tierce.process.settings import MemberSettings, TargetSettings
from tierce.registry import PluginRecord, Registry
from tierce.spec import LocalVolume

#: No policy sets anything.
_NOTHING_SET = PolicySet()


class Inventory(Protocol):
    """The volumes that should be served, or would be."""

    @property
    def config(self) -> Config:
        """The config file."""

    @property
    def served(self) -> Mapping[str, Served]:
        """The volumes, by name."""


def plan_all(inventory: Inventory, policy_set: PolicySet = _NOTHING_SET) -> Iterator[Plan]:
    """Name every process that should run, those first that others are forked from or need: where
    not all can be had, the last volumes do without.

    Args:
        inventory: The volumes.
        policy_set: What policies set of their live options.
    """
    config = inventory.config
    versions = [(one.name, one.version) for one in _enabled(config.registry)]
    registry = config.registry
    plugins = enabled_plugins(registry)
    # It would import them: what hangs or ends its process there would cost every volume.
    yield fork_server_plan(plugins, code_identity(versions), registry.unusable)
    sections = {name: split(section) for name, section in portal_sections(config).items()}
    yield Plan(
        Role.PORTAL.value,
        Role.PORTAL,
        settings={"frontends": {name: fixed for name, (fixed, _live) in sections.items()}},
        live={name: live for name, (_fixed, live) in sections.items() if live},
    )
    for served in inventory.served.values():
        yield from plan_members(served)
        if not served.record.fenced:
            yield plan_target(served, config, policy_set.of(served))
    for name, section in config.services.items():
        yield from plan_service(name, section, inventory.served)


def plan_service(
    name: str, section: ServiceSection, served: Mapping[str, Served]
) -> Iterator[Plan]:
    """Return the plans of a service's processes: one, or one for each of its volumes."""
    settings = {"service": name, "options": to_json(section.options)}
    if section.scope is not Scope.VOLUME:
        yield Plan(f"service.{name}", Role.SERVICE, settings=settings)
        return
    for one in served.values():
        volume = one.volume.name
        # One that is fenced is not served here.
        if section.is_for(volume) and not one.record.fenced:
            yield Plan(f"service.{name}.{volume}", Role.SERVICE, volume, settings)


def plan_target(served: Served, config: Config, volume: LocalVolume) -> Plan:
    """Return the plan of a volume's target; `volume` is it by what policies set."""
    sections = {one.frontend: config.frontends[one.frontend] for one in volume.exports}
    settings = TargetSettings(volume, served.members, sections)
    return Plan(
        f"target.{volume.name}",
        Role.TARGET,
        volume.name,
        settings.fixed_values(),
        settings.live_values(),
        is_volatile=not config.registry.engines[volume.engine].durable,
    )


def plan_members(served: Served) -> Iterator[Plan]:
    """Return the plans of a volume's members."""
    volume = served.volume
    for member in served.members:
        settings = MemberSettings(
            volume=volume.name,
            uuid=volume.uuid,
            size_bytes=volume.size_bytes,
            block_size=volume.block_size,
            engine=volume.engine,
            member=member,
            store_options=(
                to_json(volume.store_options) if volume.store_options is not None else {}
            ),
        )
        yield Plan(
            f"member.{volume.name}.{member.name}", Role.MEMBER, volume.name, to_json(settings)
        )


def policy_documents(inventory: VolumeInventory) -> list[dict[str, Any]]:
    """Return every policy document with the volumes that it is about, as JSON values."""
    volumes = {
        name: volume_to_mapping(served.volume, hide_secrets=True)
        for name, served in inventory.served.items()
    }
    return [
        {
            "kind": document.kind,
            "name": document.name,
            "parameters": to_json(document.parameters),
            "volumes": {
                name: mapping
                for name, mapping in volumes.items()
                if not document.volumes or name in document.volumes
            },
        }
        for document in inventory.config.policies
    ]


def enabled_plugins(registry: Registry) -> tuple[str, ...]:
    """Name the plugins that are in use."""
    return tuple(sorted(plugin.name for plugin in _enabled(registry)))


def _enabled(registry: Registry) -> list[PluginRecord]:
    return [plugin for plugin in registry.plugins if plugin.state == "enabled"]
