"""Folders that are not what they were: copied, put back, cut short.

A folder that is put back as a copy has a new file under the old name. One that is rolled back with
its file system has the same file: then only what others know of it can tell. One whose members
can't tell is outside the promise, and is not tried: it looks like kill -9 (design rule 9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jiva.sim.blocks import BLOCK
from jiva.sim.disks import Disk
from jiva.sim.machines import Copy, Node
from tierce_jiva.host import State

if TYPE_CHECKING:
    from jiva.simulation import World

_COPIES_MAX = 3


class Rollbacks:
    """Does it to a world's replicas.

    Args:
        world: It.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.stream("rollbacks")

    def copy(self, node: Node) -> None:
        """Keep a copy of a folder."""
        node.copies.append(Copy(node.record, node.saved, node.disk.copy()))
        del node.copies[:-_COPIES_MAX]

    def put_back(self, node: Node) -> None:
        """Put an old copy of a folder back, if the promise holds for that."""
        if not node.copies or not self._is_covered(node):
            return
        copy = self._random.choice(node.copies)
        if self._random.random() < 0.5:
            self._replace(node, copy, self._world.next_number(), "copied folder")
        elif self._can_be_told(node, copy):
            self._replace(node, copy, node.disk.inode, "rolled back folder")

    def cut(self, node: Node) -> None:
        """Cut a replica's file short; an operator puts a copy in its place later."""
        world = self._world
        # Nobody could tell while nobody has it open, or while all rests on it at that moment.
        steward = world.owner.replicator._steward
        is_served = world.owner.is_alive and steward.state is State.SERVING
        is_quiet = is_served and not steward._quorum.is_voting
        if not is_quiet or node.process is None or not self._is_covered(node):
            return
        length = self._random.choice([0, *world.hot[1:]]) * BLOCK
        world.tally["file cut short"] += 1
        world.may_be_unreadable = True
        node.is_damaged = True
        world.shake(node)
        if not node.copies:
            self.copy(node)
        node.disk.cut(length)
        copy = self._random.choice(node.copies)
        delay_s = 0.5 + self._random.random() * 2

        def mend() -> None:
            if node.disk.length < node.disk.size_bytes:
                self._replace(node, copy, world.next_number(), "copied folder")

        world.later(delay_s, mend)

    def _is_covered(self, node: Node) -> bool:
        """One folder at a time, while somebody else holds everything."""
        world = self._world
        others = world.memory.holders() - {node.name}
        return bool(others) and not any(each.is_damaged for each in world.nodes.values())

    def _can_be_told(self, node: Node, copy: Copy) -> bool:
        """True if no majority could take the copy for what it is not: too few of the others know
        as little as it does."""
        members = list(self._world.nodes.values())
        blind = sum(
            other is not node and not self._is_told_by(other, node, copy) for other in members
        )
        return blind + 1 < len(members) // 2 + 1

    def _is_told_by(self, other: Node, node: Node, copy: Copy) -> bool:
        """True if the record of this other one tells that the copy is old, whatever is promised
        meanwhile."""
        old, newer = copy.record, other.record
        if node.name not in newer.accepted.in_sync:
            return newer.accepted.rank > old.accepted.rank
        return newer.settled > old.order

    def _replace(self, node: Node, copy: Copy, inode: int, how: str) -> None:
        world = self._world
        world.tally[how] += 1
        world.say(f"{node.name}: {how}, promised {copy.record.promised.number}")
        world.kill_replica(node)
        node.is_damaged = True
        world.shake(node)
        size = world.size_bytes
        node.disk = Disk(world.stream("disk", inode), inode, size, copy.image.blocks)
        node.record, node.saved = copy.record, copy.saved
        node.written = set(copy.record.marks)
        world.watch(node)
        world.later(self._random.random() * 0.5, lambda: world.start_replica(node))
