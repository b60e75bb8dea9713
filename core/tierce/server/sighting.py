"""What can be seen of a volume now: its record, its processes, its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tierce.config import portal_sections
from tierce.inventory.engines import Served
from tierce.node.target import read_page
from tierce.server.assessing import Sight
from tierce.server.node import Node
from tierce.server.routing import Router
from tierce.state import VolumeRecord
from tierce.statuses import VolumeStatus, from_mappings


def sight_of(node: Node, router: Router, record: VolumeRecord) -> Sight:
    """Return what can be seen of a volume now."""
    inventory = node.inventory
    served = inventory.served.get(record.name)
    sight = Sight(
        name=record.name,
        phase=record.phase,
        fenced=record.fenced,
        is_served=served is not None,
        unserved_why=inventory.unserved_why(record),
    )
    if served is None:
        return sight
    target = node.target(record.name)
    if target is None:
        return sight
    page = read_page(node.paths.page(record.name)) if target.phase == "up" else None
    return attrs.evolve(
        sight,
        target_phase=target.phase,
        target_trouble=target.failures.reason,
        target_log=str(node.paths.log(target.plan.name)),
        is_adopted=target.is_adopted,
        is_silent=target.pulse.is_told,
        published=_published(page),
        unreachable_why=_unreachable_why(node, router, served),
        members=tuple(_member_troubles(node, served)),
    )


def _published(page: Mapping[str, Any] | None) -> VolumeStatus | None:
    """Return how the engine sees the volume; None if that can't be read."""
    published = from_mappings(page["published"]) if page is not None else None
    return published.volume if published is not None else None


def _unreachable_why(node: Node, router: Router, served: Served) -> str:
    """Say why nobody can log in anew through one of a volume's exports."""
    listened = portal_sections(node.inventory.config)
    found = {
        router.unreachable_why(export.frontend)
        for export in served.volume.exports
        if export.frontend in listened
    }
    return "; ".join(sorted(found - {""}))


def _member_troubles(node: Node, served: Served) -> Iterator[str]:
    """Say which of a volume's members do not run, or do not answer."""
    for member in served.members:
        child = node.children.get(f"member.{served.volume.name}.{member.name}")
        if child is None or child.phase == "starting":
            continue
        if child.phase == "down":
            reason = child.failures.reason
            yield f"{member.name}'s process is down" + (f": {reason}" if reason else "")
        elif child.pulse.is_told:
            yield f"{member.name}'s process does not answer"
