"""What `list` and `show` tell of a volume."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tierce.config import Config, options_to_mapping, volume_to_mapping
from tierce.node.adoption import describe_owner
from tierce.node.children import describe
from tierce.node.engines import Served
from tierce.node.target import read_snapshot
from tierce.registry import resolve
from tierce.state import Phase, VolumeRecord

if TYPE_CHECKING:
    from tierce.node.supervisor import Supervisor

#: Events that `show` tells of a volume: the last ones.
EVENT_COUNT = 10


def list_row(supervisor: Supervisor, record: VolumeRecord) -> dict[str, Any]:
    """Return a volume's row of `tierce volume list`."""
    served = supervisor.catalogue.served.get(record.name)
    url = ""
    if served is not None:
        url = usage_of(supervisor.catalogue.config, served).get("url", "")
    return {
        "name": record.name,
        "size": served.spec.size_bytes if served is not None else record.mapping.get("size"),
        "engine": record.mapping.get("engine"),
        "state": volume_state(supervisor, record),
        "owner": record.owner.value,
        "url": url,
    }


def show_row(supervisor: Supervisor, record: VolumeRecord) -> dict[str, Any]:
    """Return all that is known of a volume."""
    served = supervisor.catalogue.served.get(record.name)
    row = list_row(supervisor, record)
    row |= {
        "uuid": record.uuid,
        "created": record.created,
        "owner": describe_owner(record),
        "settings": settings(served, record),
        "origins": origins(supervisor.catalogue.config, record),
        "events": [
            f"{time.strftime('%F %T', time.gmtime(event['time']))}Z {event['message']}"
            for event in supervisor.catalogue.events(record.name, EVENT_COUNT)
        ],
    }
    if record.phase.is_removal:
        waits_for = supervisor.catalogue.deletions.waits_for(record.name)
        row["deletion"] = waits_for or "under way"
    if served is None:
        return row
    snapshot = read_snapshot(supervisor.layout.page(record.name))
    return row | {
        "usage": usage_of(supervisor.catalogue.config, served),
        "data": data_folders(served),
        "processes": [
            describe(child)
            for child in supervisor.children.all()
            if child.plan.volume == record.name
        ],
        # What engines and front ends publish; their "state" has become part of ours.
        **{key: value for key, value in snapshot["published"].items() if key not in row},
        "statistics": {
            stage: {
                operation: {key: value for key, value in values.items() if key != "buckets"}
                for operation, values in operations.items()
                if values.get("count") or values.get("failed")
            }
            for stage, operations in snapshot["stages"].items()
        },
    }


def volume_state(supervisor: Supervisor, record: VolumeRecord) -> str:
    """Say in a word or two how a volume is."""
    if record.fenced:
        return f"fenced: {record.fenced}"
    if record.name not in supervisor.catalogue.served:
        return _state_of_unserved(record)
    target = supervisor.children.get(f"target.{record.name}")
    if target is None or target.phase != "up":
        return "down" if target is None else target.phase
    published = read_snapshot(supervisor.layout.page(record.name))["published"].get("state")
    return f"up, {published}" if isinstance(published, str) else "up"


def _state_of_unserved(record: VolumeRecord) -> str:
    if record.phase.is_removal:
        return "deleting"
    return "creating" if record.phase is Phase.CREATING else "not served"


def usage_of(config: Config, served: Served) -> dict[str, str]:
    """Return how to use a volume: "url", and a command for each tool."""
    description = config.registry.frontends[served.config.frontend]
    try:
        usage = resolve(description.usage)
        assert callable(usage), "a front end's usage is a function"
        return dict(usage(config.frontends[served.config.frontend], served.spec))
    except Exception as error:  # noqa: BLE001 - a plugin's bug here is no reason to end a server
        return {"url": f"(unknown: {error!r})"}


def data_folders(served: Served) -> list[str]:
    """Name the folders that hold the volume's bytes."""
    if served.members:
        return [str(member.folder) for member in served.members]
    options = options_to_mapping(served.config.engine_options)
    return [str(options[key]) for key in ("path", "folder") if options.get(key)]


def settings(served: Served | None, record: VolumeRecord) -> dict[str, Any]:
    """Return a volume's settings as they are in force, without secrets."""
    if served is None:
        return {
            key: record.mapping.get(key) for key in ("size", "block_size", "engine", "frontend")
        }
    return volume_to_mapping(served.config, hide_secrets=True)


def origins(config: Config, record: VolumeRecord) -> dict[str, str]:
    """Say of each setting of a volume where it came from."""
    prefix = f"volumes.{record.name}."
    from_file = {
        str(key).removeprefix(prefix): str(origin)
        for key, origin in config.origins.items()
        if str(key).startswith(prefix)
    }
    return from_file or dict.fromkeys(record.mapping, record.origin)
