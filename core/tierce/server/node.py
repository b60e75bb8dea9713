"""The volumes and processes of one node, for whoever in this package looks at them or asks for
something: what the supervisor is made of, without what it does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import attrs

from tierce.inventory.volume_inventory import VolumeInventory
from tierce.node.observing import list_pages
from tierce.process.paths import Paths
from tierce.process.plan import Role
from tierce.reactor import Reactor
from tierce.server.policy_settings import PolicySettings
from tierce.spec import Event
from tierce.supervision.child import Child
from tierce.supervision.children import Children


@attrs.frozen(eq=False)
class Node:
    """What there is on this node.

    Attributes:
        paths: Where things lie.
        reactor: The supervisor's loop.
        inventory: Its volumes.
        children: Its processes.
        policy_settings: What policies set of its volumes.
        emit: Reports an event.
    """

    paths: Paths
    reactor: Reactor
    inventory: VolumeInventory
    children: Children
    policy_settings: PolicySettings
    emit: Callable[[Event], None]

    def target(self, volume: str) -> Child | None:
        """Return the process that serves a volume, alive or not; None if there never was one."""
        return self.children.get(f"target.{volume}")

    def drop_page(self, child: Child) -> None:
        """A page of what no longer runs would show numbers that are nobody's."""
        if child.plan.role in (Role.TARGET, Role.MEMBER):
            member = child.plan.name.split(".")[2] if child.plan.role is Role.MEMBER else ""
            self._drop(child.plan.volume, member)

    def drop_strange_pages(self) -> None:
        """Drop what a server before has left of volumes and members that there are no more."""
        records, served = self.inventory.records(), self.inventory.served
        for volume, member in list(list_pages(self.paths)):
            is_known = volume in records
            if is_known and member and volume in served:
                is_known = member in {one.name for one in served[volume].members}
            if not is_known and self.children.get(f"target.{volume}") is None:
                self._drop(volume, member)

    def _drop(self, volume: str, member: str) -> None:
        # On a disk that has become read-only it stays.
        with contextlib.suppress(OSError):
            self.paths.page(volume, member).unlink(missing_ok=True)
            if not member:
                self.paths.traces(volume).unlink(missing_ok=True)

    def is_up(self, volume: str) -> bool:
        """True if the volume's target runs."""
        target = self.target(volume)
        return target is not None and target.phase == "up"
