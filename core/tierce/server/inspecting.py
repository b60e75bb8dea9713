"""What `list` and `show` tell of a volume."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from tierce.codec import to_json
from tierce.config import Config, portal_sections, volume_to_mapping
from tierce.errors import explain
from tierce.health import Condition
from tierce.inventory.adoption import describe_owner
from tierce.inventory.engines import Served
from tierce.node.target import read_page, read_snapshot
from tierce.process.paths import Paths
from tierce.registry import blaming, resolve
from tierce.server.conditions import Conditions
from tierce.server.node import Node
from tierce.server.routing import Router
from tierce.server.slow_ios import slow_ios
from tierce.spec import Access, Export, VolumeSpec
from tierce.state import Phase, VolumeRecord
from tierce.statuses import from_mappings
from tierce.supervision.child import describe

#: Events that `show` tells of a volume: the last ones.
EVENT_COUNT = 10


class Inspector:
    """Tells of volumes what `list` and `show` show.

    Args:
        node: The volumes and their processes.
        router: Where they can be reached.
        conditions: How they are.
    """

    def __init__(self, node: Node, router: Router, conditions: Conditions) -> None:
        self._node = node
        self._router = router
        self._conditions = conditions

    def row(self, record: VolumeRecord) -> dict[str, Any]:
        """Return a volume's row of `tierce volume list`."""
        served = self._node.inventory.served.get(record.name)
        return {
            **condition_row(self._conditions.of(record)),
            "name": record.name,
            "size": served.volume.size_bytes if served is not None else record.mapping.get("size"),
            "engine": record.mapping.get("engine"),
            "state": self._state(record),
            "owner": record.owner.value,
            "url": self.usage(served)["url"] if served is not None else "",
            "wanted": self._node.inventory.is_wanted(record),
        }

    def details(self, record: VolumeRecord) -> dict[str, Any]:
        """Return all that is known of a volume."""
        served = self._node.inventory.served.get(record.name)
        row = self.row(record)
        row |= {
            "uuid": record.uuid,
            "created": record.created,
            "owner": describe_owner(record),
            "settings": settings(self._as_set(served), record),
            "origins": self._origins(record),
            "events": [
                f"{format_time(event['time'])} {event['message']}"
                for event in self._node.inventory.events(record.name, EVENT_COUNT)
            ],
        }
        if record.phase.is_removal:
            waits_for = self._node.inventory.deletions.waits_for(record.name)
            row["deletion"] = waits_for or "under way"
        refused = self._node.inventory.refused.get(record.name)
        if refused:
            row["refused"] = refused
        if served is None:
            return row
        target = self._node.target(record.name)
        kept = (
            target.facts.get("kept_options") if target is not None and target.is_running else None
        )
        if kept:
            row["kept_options"] = kept
        snapshot = read_snapshot(self._node.paths.page(record.name))
        return row | {
            "usage": self.usage(served),
            "data": data_folders(served),
            **used(self._node.paths, served),
            "processes": [
                describe(child)
                for child in self._node.children.all()
                if child.plan.volume == record.name
            ],
            # What engines and front ends publish; their "state" has become part of ours.
            **{key: value for key, value in snapshot["published"].items() if key not in row},
            "statistics": {
                stage: {operation: _counts(values) for operation, values in operations.items()}
                for stage, operations in snapshot["stages"].items()
            },
            "slow": slow_ios(self._node.paths.traces(record.name)),
        }

    def _as_set(self, served: Served | None) -> VolumeSpec | None:
        return self._node.policy_settings.in_force.of(served) if served is not None else None

    def _origins(self, record: VolumeRecord) -> dict[str, str]:
        found = origins(self._node.inventory.config, record)
        for key, one in self._node.policy_settings.in_force.settings.get(record.name, {}).items():
            found[key] = f"policy {one.policy}; without it {one.own!r}, from {found.get(key, '')}"
        return found

    def usage(self, served: Served) -> dict[str, str]:
        """Return how to use a volume: "url", and a command for each tool; where its front end
        listens beside the address in the URL, "also at". What the second export on says is named by
        its front end as well: "nbd url"."""
        found: dict[str, str] = {}
        for export in served.volume.exports:
            prefix = f"{export.frontend} " if found else ""
            usage = self._usage_of_export(served, export)
            if export.access is Access.RO:
                usage["access"] = "read only"
            found |= {prefix + key: text for key, text in usage.items()}
        return found

    def how_opened(self, served: Served) -> str:
        """Say how a volume has come to be served: made, found, or taken over."""
        inventory, name = self._node.inventory, served.volume.name
        target = self._node.target(name)
        if target is not None and target.is_adopted:
            how = "taken over"
        elif name in inventory.made:
            how = "created, empty"
        elif not is_durable(inventory.config, served):
            how = (
                f"opened, empty (engine {served.volume.engine} keeps nothing when its process ends)"
            )
        else:
            how = "opened"
        return f"{how}, with the settings that it had" if name in inventory.refused else how

    def _state(self, record: VolumeRecord) -> str:
        """Say how a volume's target is, and what its engine calls its state."""
        if record.fenced:
            return f"fenced: {record.fenced}"
        if record.name not in self._node.inventory.served:
            return _state_of_unserved(record)
        target = self._node.target(record.name)
        if target is None or target.phase != "up":
            return "down" if target is None else target.phase
        page = read_page(self._node.paths.page(record.name))
        published = from_mappings(page["published"]) if page is not None else None
        state = published.volume.state if published is not None else ""
        return f"up, {state}" if state else "up"

    def _usage_of_export(self, served: Served, export: Export) -> dict[str, str]:
        config, frontend = self._node.inventory.config, export.frontend
        section = config.frontends[frontend]
        addresses: tuple[str, ...] = ()
        if frontend in portal_sections(config):
            addresses = self._router.addresses(frontend)
            if not addresses:
                return {"url": "(not known yet: its portal listens nowhere)"}
            section = attrs.evolve(section, listen=addresses)
        try:
            with blaming(config.registry, "front end", frontend, "usage"):
                usage = resolve(config.registry.frontends[frontend].usage)
                assert callable(usage), "a front end's usage is a function"
                found = dict(usage(section, served.volume, export))
        except Exception as error:  # noqa: BLE001 - a plugin's bug here is no reason to end a server
            return {"url": f"(unknown: {explain(error)})"}
        if len(addresses) > 1:
            found["also at"] = ", ".join(addresses[1:])
        return {"url": "", **found}


def _counts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of one operation: how many were the last only where some were."""
    return {
        key: value for key, value in values.items() if key != "buckets" and (value or key != "last")
    }


def condition_row(condition: Condition) -> dict[str, Any]:
    """Return a volume's condition as JSON values."""
    return {
        "health": condition.health.value,
        "since": format_time(condition.since),
        "why": condition.why,
        "todo": condition.todo,
    }


def format_time(seconds: float) -> str:
    """Return seconds since the epoch as a time in UTC."""
    return f"{time.strftime('%F %T', time.gmtime(seconds))}Z"


def _state_of_unserved(record: VolumeRecord) -> str:
    if record.phase.is_removal:
        return "deleting"
    return "creating" if record.phase is Phase.CREATING else "not served"


def is_durable(config: Config, served: Served) -> bool:
    """True if the volume's bytes outlive its target's process."""
    return config.registry.engines[served.volume.engine].durable


def used(paths: Paths, served: Served) -> dict[str, Any]:
    """Return how much of its medium each member takes, of those that know it."""
    found: dict[str, int] = {}
    for member in served.members:
        page = read_page(paths.page(served.volume.name, member.name))
        published = from_mappings(page["published"]) if page is not None else None
        status = published.member if published is not None else None
        if status is not None and status.used_bytes is not None:
            found[member.name] = status.used_bytes
    return {"used_bytes": found} if found else {}


def data_folders(served: Served) -> list[str]:
    """Name the folders that hold the volume's bytes."""
    if served.members:
        return [str(member.folder) for member in served.members]
    options = to_json(served.volume.engine_options)
    return [str(options[key]) for key in ("path", "folder") if options.get(key)]


def settings(volume: VolumeSpec | None, record: VolumeRecord) -> dict[str, Any]:
    """Return a volume's settings as they are in force, without secrets; None: it is not served."""
    if volume is None:
        return {
            key: record.mapping.get(key)
            for key in ("size", "block_size", "engine", "frontend", "exports")
            if key in record.mapping or key in {"size", "block_size", "engine"}
        }
    return volume_to_mapping(volume, hide_secrets=True)


def origins(config: Config, record: VolumeRecord) -> dict[str, str]:
    """Say of each setting of a volume where it came from."""
    prefix = f"volumes.{record.name}."
    from_file = {
        str(key).removeprefix(prefix): str(origin)
        for key, origin in config.origins.items()
        if str(key).startswith(prefix)
    }
    return from_file or dict.fromkeys(record.mapping, record.origin)
