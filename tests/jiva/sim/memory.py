"""Who holds every acknowledged write, seen from above, and the rules that this can be held to.

A replica's memory holds from when it was let into the set until it loses what it had not made
durable: its machine loses power while a region is marked on it, a sync fails, its folder is rolled
back, its file is cut short. While one in-sync replica's memory holds, nothing acknowledged may be
lost; when none does any more, only what was flushed is certain.

A process that is killed between a failed sync and the record that says so takes a secret with it:
nobody can tell that replica from any other whose process was started again. While there is such a
one, only those whose process has gone on are certain to be told apart from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jiva.sim.blocks import ViolationError
from tierce_jiva.ballot import Membership, Record

if TYPE_CHECKING:
    from jiva.sim.history import History
    from jiva.sim.machines import Node


class Memory:
    """Keeps the books.

    Args:
        nodes: The replicas, by name.
        history: The judge, who is told when the last memory is lost.
        first: The membership that they were made with.
    """

    def __init__(self, nodes: dict[str, Node], history: History, first: Membership) -> None:
        self._nodes = nodes
        self._history = history
        #: Who is in the set in force.
        self._members = set(first.in_sync)
        #: Who is not being voted out: one that stays has accepted.
        self._staying = set(first.in_sync)
        #: Whom a target has proposed to let in, and who has not accepted, nor lost anything, since.
        self._claimed: set[str] = set()
        #: Who has been let in by a membership that need not be in force yet.
        self._joined: set[str] = set()
        #: Who has lost something, and who has failed to sync and was not written again since.
        self._shaken: set[str] = set()
        self._unsynced: set[str] = set()
        #: Whose process has ended while a region was marked, and whose took a secret with it.
        self._restarted: set[str] = set()
        self._secret: set[str] = set()
        #: Whose sync has failed, and whose record does not say so yet: what is made durable
        #: meanwhile was on its way before.
        self._untold: set[str] = set()
        #: Whose sync has failed of nothing that was at stake: they hold everything, and look as if
        #: they did not.
        self._spared: set[str] = set()
        self._highest = first.rank
        self._in_force = first.rank

    def holders(self) -> set[str]:
        """Return who holds every acknowledged write."""
        return self._held() & self._staying

    def _held(self) -> set[str]:
        held = (self._members | self._joined) - self._shaken - self._unsynced
        return held - self._restarted if self._secret & self._members else held

    def _look_whether_lost(self) -> None:
        if not self.holders() & self._members:
            # Whoever is let in, or proved to be as it should be, after this counts again.
            self._unsynced |= self._members - self._shaken
            self._joined.clear()
            self._history.lose_memory()

    def begin_anew(self, node: Node, membership: Membership) -> None:
        """An operator lets the volume open from this one, and accepts what is lost with that."""
        if node.name not in self.holders():
            self._history.lose_memory()
        self._members = self._staying = {node.name}
        self._joined.clear()
        self._highest = self._in_force = membership.rank
        self.prove(node)

    def restart(self, node: Node, *, has_secret: bool) -> None:
        """Its process has ended while a region was marked."""
        self._restarted.add(node.name)
        if has_secret:
            self._secret.add(node.name)
        if self._secret & self._members:
            self._look_whether_lost()

    def spare(self, node: Node) -> None:
        """Its sync has failed, and nothing was at stake."""
        self._spared.add(node.name)

    def keep_secret(self, node: Node) -> None:
        """Its sync has failed; its record does not say so yet."""
        self._untold.add(node.name)

    def tell(self, node: Node) -> None:
        """Its record says that a sync has failed, or its process has ended with that."""
        self._untold.discard(node.name)

    def settle(self, node: Node) -> None:
        """Nothing is marked on it any more, so nothing is in doubt."""
        self._restarted.discard(node.name)
        self._secret.discard(node.name)

    def shake(self, node: Node, *, is_sync: bool = False) -> None:
        """It has lost some of what it had not made durable; or has failed to sync it."""
        (self._unsynced if is_sync else self._shaken).add(node.name)
        if not is_sync:
            self._secret.discard(node.name)
        self._joined.discard(node.name)
        self._claimed.discard(node.name)
        if node.name in self._members:
            self._look_whether_lost()

    def is_member(self, node: Node) -> bool:
        """True if it is in the set in force."""
        return node.name in self._members

    def is_marked(self, node: Node) -> bool:
        """True if a region is marked on it that is marked on all members: it may have been written
        there, as far as anybody can tell."""
        marks = [self._nodes[name].record.marks for name in self._members]
        return bool(node.record.marks.intersection(*marks))

    def mend(self, node: Node) -> None:
        """All that was in doubt on it was written again, and flushed: if it is a member, it is as
        it should be, or somebody errs."""
        self.settle(node)
        self._spared.discard(node.name)
        if node.name in self._members:
            self._unsynced.discard(node.name)

    def claim(self, starts: dict[str, int]) -> None:
        """A target proposes to let these in, each in the start of its process that it names: it
        says that they hold everything."""
        for name, incarnation in starts.items():
            process = self._nodes[name].process
            if process is not None and process.incarnation == incarnation:
                self._claimed.add(name)

    def prove(self, node: Node) -> None:
        """It was let in: it is as it should be, or somebody errs."""
        self._claimed.discard(node.name)
        self._shaken.discard(node.name)
        if node.record.suspect:
            self._unsynced.add(node.name)
        else:
            self._unsynced.discard(node.name)
        self._joined.add(node.name)
        self.settle(node)

    def accepted(self, node: Node, record: Record) -> None:
        """Its record is durable: if it stays in the highest set, then who leaves that is out."""
        membership = record.accepted
        if membership.rank <= self._highest or node.name not in membership.in_sync:
            return
        self._highest = membership.rank
        self._claimed.intersection_update(membership.in_sync)
        self._change(membership, "are voted in")

    def in_force(self, membership: Membership) -> None:
        """A target serves by it."""
        if membership.rank <= self._in_force:
            return
        self._in_force = membership.rank
        self._change(membership, "serve")
        self._members = set(membership.in_sync)
        self._joined.clear()

    def _change(self, membership: Membership, how: str) -> None:
        in_sync = set(membership.in_sync)
        self._staying = in_sync
        # One that is to be let in, and has not accepted that yet, holds everything; it is nobody's
        # loss if it never does.
        held = self._held()
        if not held - self._spared or (held | self._claimed) & in_sync:
            return
        known = self._shaken | self._unsynced - self._secret - self._untold
        if not (self._members | self._joined) & in_sync - known:
            raise ViolationError(f"{membership.in_sync} {how}, the last memory is elsewhere")
        # One of them is not what it seems, or holds everything, and nobody can tell.
        self._look_whether_lost()

    # -- what must hold ----------------------------------------------------------------------------

    def check_cached(self, blocks: tuple[int, ...]) -> None:
        """Whoever holds every acknowledged write holds nothing that is dead.

        Raises:
            ViolationError: Somebody does.
        """
        for name in self.holders():
            disk = self._nodes[name].disk
            for index in blocks:
                held = disk.cached.get(index, 0)
                if self._history.is_dead(index, held):
                    raise ViolationError(f"{name} is in sync and holds dead {held} at {index}")

    def check_durable(self, blocks: tuple[int, ...], members: set[str]) -> None:
        """What a completed flush covers is on every medium.

        Raises:
            ViolationError: It is not.
        """
        for name in members & self._members:
            node = self._nodes[name]
            for index in blocks if not node.is_damaged else ():
                for left in node.disk.may_leave(index):
                    if self._history.is_gone(index, left):
                        raise ViolationError(
                            f"{name} was flushed and a loss of power may leave {left} at {index}"
                        )
