"""How every volume is, and since when: what the supervisor remembers of their health."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import attrs

from tierce.health import Condition
from tierce.server.assessing import assess
from tierce.server.node import Node
from tierce.server.routing import Router
from tierce.server.sighting import sight_of
from tierce.spec import Event
from tierce.state import VolumeRecord


class Conditions:
    """The conditions of all volumes. Each look at one notes whether its health has changed.

    Args:
        node: The volumes and their processes.
        router: Where they can be reached.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        node: Node,
        router: Router,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._router = router
        self._clock = clock
        self._known: dict[str, Condition] = {}

    @property
    def known(self) -> Mapping[str, Condition]:
        """The conditions that the last looks have found."""
        return self._known

    def of(self, record: VolumeRecord) -> Condition:
        """Look at one volume."""
        found = assess(sight_of(self._node, self._router, record))
        before = self._known.get(record.name)
        if before is not None and before.health is found.health:
            found = attrs.evolve(found, since=before.since)
        else:
            found = attrs.evolve(found, since=self._clock())
            self._tell(record.name, before, found)
        self._known[record.name] = found
        return found

    def look(self, records: Iterable[VolumeRecord]) -> Mapping[str, Condition]:
        """Look at these volumes, which are all that there are; return the condition of each."""
        found = {record.name: self.of(record) for record in records}
        self._known = dict(found)
        return found

    def of_wanted(self) -> Mapping[str, Condition]:
        """Look at every volume; return the condition of those that the file or the state wants
        served."""
        inventory = self._node.inventory
        records = inventory.records()
        found = self.look(records.values())
        return {name: one for name, one in found.items() if inventory.is_wanted(records[name])}

    def _tell(self, name: str, before: Condition | None, now: Condition) -> None:
        """Note a change, for whoever reads the log: the screen shows it by the live line, and what
        has caused it is an event of its own."""
        was = f", was {before.health.value}" if before is not None else ""
        why = f": {now.why}" if now.why else ""
        message = f"volume {name} is {now.health.value}{was}{why}"
        fields = {"health": now.health.value, "why": now.why, "todo": now.todo}
        self._node.emit(Event("volume.health", message, f"volume/{name}", "info", fields))
