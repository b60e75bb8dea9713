"""What a service sees of all volumes: their statistics pages, and what the server adds to them.

The pages are shared memory and are there without a server. What only the server knows (how a
process is, a volume's health) is asked of it, and left out while it is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tierce.codec import from_json
from tierce.node.target import read_page
from tierce.process.messages import Message
from tierce.process.paths import Paths
from tierce.process.plan import Role
from tierce.services import OperationStatistics, Parked, ProcessStatistics, VolumeStatistics
from tierce.statuses import Published, from_mappings


def read_statistics(
    paths: Paths, ask: Callable[[Message], list[Message]], only: str = ""
) -> dict[str, VolumeStatistics]:
    """Return the statistics of every volume of which something runs or has run.

    Args:
        paths: Where the pages lie.
        ask: Asks the server and returns its rows; none if no server runs.
        only: Of this volume alone; empty for all.
    """
    rows = ask({"do": "processes"})
    processes = {one["name"]: one for row in rows for one in row.get("processes", ())}
    healths = {name: word for row in rows for name, word in row.get("health", {}).items()}
    labels = {name: its for row in rows for name, its in row.get("labels", {}).items()}
    specs = {name: its for row in rows for name, its in row.get("volumes", {}).items()}
    uuids: dict[str, str] = {}
    targets: dict[str, ProcessStatistics] = {}
    members: dict[str, dict[str, ProcessStatistics]] = {}
    for volume, member in list_pages(paths):
        if only not in ("", volume):
            continue
        page = read_page(paths.page(volume, member))
        if page is None:
            # It is gone since it was listed, or damaged.
            continue
        found = _process(page, volume, member, processes)
        uuids[volume] = page["owner"]
        if member:
            members.setdefault(volume, {})[member] = found
        else:
            targets[volume] = found
    return {
        name: VolumeStatistics(
            name,
            healths.get(name, ""),
            targets.get(name),
            members.get(name, {}),
            labels.get(name, {}),
            **{"uuid": uuids.get(name, ""), **_shape(specs.get(name))},
        )
        for name in sorted(targets.keys() | members.keys() | healths.keys())
        if only in ("", name)
    }


def list_pages(paths: Paths) -> Iterator[tuple[str, str]]:
    """Yield volume and member of each page: VOLUME.stats is a target's, its member is empty."""
    for path in sorted(paths.run.glob("*.stats")):
        volume, _, member = path.stem.partition(".")
        if volume:
            yield volume, member


def _shape(spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the server says of a volume, as the fields of its statistics."""
    return {} if spec is None else {**spec, "frontends": tuple(spec["frontends"])}


def _process(
    page: Mapping[str, Any], volume: str, member: str, processes: Mapping[str, Any]
) -> ProcessStatistics:
    role = Role.MEMBER if member else Role.TARGET
    name = f"{role.value}.{volume}.{member}" if member else f"{role.value}.{volume}"
    # The server drops the page of what is down; until then it knows the process.
    row = processes.get(name, {"state": "down" if processes else "unknown", "facts": {}})
    return ProcessStatistics(
        name=name,
        role=role.value,
        start_ns=page["start_ns"],
        state=str(row["state"]),
        facts=dict(row["facts"]),
        stages={
            stage: {
                operation: from_json(OperationStatistics, values)
                for operation, values in operations.items()
            }
            for stage, operations in page["stages"].items()
        },
        published=from_mappings(page["published"]) or Published(),
        started_ns=page["started_ns"],
        starts=page["starts"],
        sizes={operation: tuple(buckets) for operation, buckets in page["sizes"].items()},
        failures=page["failures"],
        slow=page["slow"],
        pid=int(row.get("pid", 0)),
        parked={
            stage: Parked(count, max(time.monotonic_ns() - since_ns, 0) / 1e9)
            for stage, (count, since_ns) in page["parked"].items()
        },
    )
