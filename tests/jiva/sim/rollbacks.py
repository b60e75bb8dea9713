"""Folders that are not what they were: copied, put back, cut short.

A folder that is put back as a copy has a new file under the old name. One that is rolled back with
its file system has the same file: then only what others know of it can tell. One of which nobody
can tell is outside the promise, and is not tried: it looks like kill -9. One of which only a target
can tell that lives is tried, and a run in which that one ends before it has acted is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jiva.sim.blocks import BLOCK, OutsideError
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
        #: One that was rolled back, and of which only a target can tell.
        self._fragile: Node | None = None

    def copy(self, node: Node) -> None:
        """Keep a copy of a folder."""
        node.copies.append(Copy(node.record, node.saved, node.disk.copy()))
        del node.copies[:-_COPIES_MAX]

    def put_back(self, node: Node) -> None:
        """Put an old copy of a folder back, if the promise holds for that."""
        if not node.copies or not self._is_covered(node):
            return
        told = [copy for copy in node.copies if self._is_telling(node, copy)]
        if told and self._random.random() < 0.6:
            copy = self._random.choice(told)
            self._fragile = None if self._can_be_told(node, copy) else node
            self._replace(node, copy, node.disk.inode, "rolled back folder")
        else:
            copy = self._random.choice(node.copies)
            self._replace(node, copy, self._world.next_number(), "copied folder")

    def lose_who_can_tell(self) -> None:
        """A target has ended: it may have been the only one that could tell.

        Raises:
            OutsideError: It was.
        """
        node = self._fragile
        # One that is out of the set votes, too: it may have forgotten a vote.
        if node is not None and node.is_damaged:
            raise OutsideError(f"nobody can tell any more that {node.name} was rolled back")

    def _is_telling(self, node: Node, copy: Copy) -> bool:
        """True if somebody can tell that the copy is old: by what its target was answered, or by
        what all know."""
        owner = self._world.owner
        now, old = node.record, copy.record
        is_served = owner.is_alive and owner.replicator.state is State.SERVING
        if is_served and node.name in owner.connections:
            is_ours = now.promised == owner.replicator.links.ballot
            return is_ours and (old.promised < now.promised or old.order < now.order)
        return self._can_be_told(node, copy)

    def cut(self, node: Node) -> None:
        """Cut a replica's file short; an operator puts a copy in its place later."""
        world = self._world
        # Nobody could tell while nobody has it open, or while all rests on it at that moment.
        controller = world.owner.replicator._controller
        is_served = world.owner.is_alive and controller.state is State.SERVING
        is_quiet = is_served and not controller._quorum.is_voting
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
        as little as it does, and enough of them know how it has voted since."""
        if not self._votes_are_kept(node, copy):
            return False
        members = list(self._world.nodes.values())
        blind = sum(
            other is not node and not self._is_told_by(other, node, copy) for other in members
        )
        return blind + 1 < len(members) // 2 + 1

    def _votes_are_kept(self, node: Node, copy: Copy) -> bool:
        last = node.record.accepted.rank
        members = self._world.nodes.values()
        kept = sum(other is not node and other.record.accepted.rank >= last for other in members)
        return copy.record.accepted.rank >= last or kept >= len(members) // 2 + 1

    def _is_told_by(self, other: Node, node: Node, copy: Copy) -> bool:
        """True if the record of this other one tells that the copy is old: it knows of a set that
        the copy is not in, or has not joined, or of a later order that was durable on all."""
        old, newer = copy.record, other.record
        accepted = newer.accepted
        if node.name not in accepted.in_sync:
            return accepted.rank > old.accepted.rank
        has_joined = accepted.ballot <= old.accepted.ballot or accepted.ballot in old.bids
        return not has_joined or newer.settled > old.order

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
