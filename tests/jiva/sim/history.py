"""The judge: what clients did and were told, held against the promise of replication.

Each write of a block has a version of its own; what zeroes it (a discard, WRITE_ZEROES, the block's
first state) is told apart from other versions by its bytes, but not from its like. A version is
*established* when its write was answered GOOD or when it was read. It is *dead* when something else
is known to stand above it for good:

- a write was answered GOOD that was sent after the version was established, or after its write was
  answered with an error (it may or may not have happened, but does not happen later);
- a read returned something else, and began after that;
- a write or a read of a newer target, and the version is of an older one;
- it was put in the place of another one by a compare-and-write, and that one is below a third.

A read that begins after a version died must not return it. Losing the memory of every in-sync
replica takes back all deaths but those that a completed flush covers. A target that has been
superseded may read what is old (leases are not built), but never what was never written.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from jiva.sim.blocks import ViolationError

#: Of an era that has not begun: later than all that have.
NOT_YET = 1 << 30
#: Of an era that was over before it began to be noticed: earlier than all others.
LATE = 0
#: Of an era that ended before it began: whatever it was asked, it never did.
NEVER = -1


@attrs.define(eq=False)
class Era:
    """A target's time of service; `number` grows with each target that comes to serve."""

    number: int = NOT_YET


@attrs.define(eq=False)
class _Version:
    """One write of one block. Times are the history's own; 0 for what has not happened."""

    name: int
    content: int
    began: int
    era: Era
    acknowledged: int = 0
    established: int = 0
    refused: int = 0
    #: What a compare-and-write put it in the place of.
    replaced: _Version | None = None
    died: int = 0
    cause: int = 0

    def is_below(self, other: _Version) -> bool:
        """True if it is below `other` wherever that one is, or nowhere."""
        return self.is_over(other.began) or self.era.number < other.era.number

    def is_firm(self, reset_at: int) -> bool:
        """True if it was answered GOOD, and no memory was lost since it was sent."""
        return self.acknowledged > 0 and self.began > reset_at

    def is_over(self, time: int) -> bool:
        """True if it took place before that time, or never."""
        return 0 < self.established < time or 0 < self.refused < time


class _Block:
    def __init__(self, index: int, first: Era) -> None:
        self.index = index
        self.alive = {0: _Version(0, 0, 0, first, acknowledged=1, established=1)}
        #: Contents of versions that are dead for good: when the last of them died, and of what.
        self.gone: dict[int, tuple[int, int]] = {}

    def kill(self, version: _Version, now: int, cause: int) -> None:
        if not version.died:
            version.died, version.cause = now, cause

    def kill_below(self, above: _Version, now: int) -> None:
        for other in self.alive.values():
            if other is not above and not other.died and other.is_below(above):
                self.kill(other, now, above.name)

    def bury(self, version: _Version, now: int, cause: int) -> None:
        self.kill(version, now, cause)
        del self.alive[version.name]
        died = (version.died, version.cause)
        self.gone[version.content] = max(died, self.gone.get(version.content, died))


class History:
    """What was asked and answered, in one order.

    Args:
        blocks: The blocks that clients use.
    """

    def __init__(self, blocks: Iterable[int]) -> None:
        self._blocks = {index: _Block(index, Era(0)) for index in blocks}
        self._writes: dict[int, tuple[int, ...]] = {}
        self._clock = 1
        self._reset_at = 0
        self._newest = 0
        self.acknowledged_writes = 0
        self.checked_reads = 0
        self.completed_flushes = 0
        self.resets = 0

    @property
    def newest(self) -> int:
        """The number of the last era that has begun."""
        return self._newest

    def now(self) -> int:
        """Return the next instant."""
        self._clock += 1
        return self._clock

    def serve(self, era: Era, *, is_superseded: bool = False) -> None:
        """A target has come to serve; one that another one has superseded already is too late."""
        if is_superseded:
            era.number = LATE
        else:
            self._newest += 1
            era.number = self._newest

    # -- writes ------------------------------------------------------------------------------------

    def begin_write(
        self, name: int, blocks: tuple[int, ...], era: Era, *, is_zeroes: bool = False
    ) -> int:
        """A write, or what zeroes blocks, is sent. Return when."""
        now = self.now()
        self._writes[name] = blocks
        for index in blocks:
            version = _Version(name, 0 if is_zeroes else name, now, era)
            self._blocks[index].alive[name] = version
        return now

    def acknowledge_write(self, name: int) -> None:
        """It was answered GOOD."""
        now = self.now()
        self.acknowledged_writes += 1
        for block, version in self._versions(name):
            version.acknowledged = now
            if version.began <= self._reset_at:
                continue  # It was applied before the last memory was lost, and may be gone.
            version.established = version.established or now
            for other in block.alive.values():
                is_above = other.is_firm(self._reset_at) and version.is_below(other)
                if is_above and other is not version:
                    block.kill(version, now, other.name)
            block.kill_below(version, now)
            self._kill_replacements(block, now)

    def refuse_write(self, name: int) -> None:
        """It was answered with an error: it has happened by now or never will."""
        now = self.now()
        for _, version in self._versions(name):
            version.refused = now

    def forget_write(self, name: int) -> None:
        """It never reached a device."""
        for block, version in self._versions(name):
            del block.alive[version.name]

    def replace(self, name: int, found: dict[int, int], began: int, era: Era) -> None:
        """A compare-and-write was answered GOOD: it has read `found` by block, and nothing came
        between that and its write."""
        for index, held in found.items():
            read = self.end_read(index, held, began, era)
            version = self._blocks[index].alive.get(name)
            if version is not None:
                version.replaced = read
        self.acknowledge_write(name)

    def _kill_replacements(self, block: _Block, now: int) -> None:
        """What was put in the place of a version is below whatever else is above that one."""
        replacements = [one for one in block.alive.values() if one.replaced and one.acknowledged]
        for one in replacements:
            old = one.replaced
            if one.died or old is None or old.established <= self._reset_at:
                continue
            for other in block.alive.values():
                is_known = other.established > self._reset_at and other.name not in {one.name, 0}
                if is_known and other is not old and 0 < old.established < other.began:
                    block.kill(one, now, other.name)

    def _versions(self, name: int) -> list[tuple[_Block, _Version]]:
        found = []
        for index in self._writes[name]:
            block = self._blocks[index]
            version = block.alive.get(name)
            if version is not None:
                found.append((block, version))
        return found

    # -- reads -------------------------------------------------------------------------------------

    def end_read(self, index: int, held: int, began: int, era: Era) -> _Version | None:
        """A read that began at `began` has returned a version's bytes.

        Returns: which version it was, where that is certain.

        Raises:
            ViolationError: It may not be read any more, or was never written.
        """
        now = self.now()
        block = self._blocks[index]
        alike = [version for version in block.alive.values() if version.content == held]
        if not alike and held not in block.gone:
            raise ViolationError(f"block {index} reads {held}, which was never written to it")
        if era.number < self._newest or began <= self._reset_at:
            return None
        self.checked_reads += 1
        possible = [version for version in alike if not 0 < version.died < began]
        died, cause = block.gone.get(held, (0, 0))
        may_be_gone = died >= began  # What is dead for good by now was there when the read began.
        if not possible and not may_be_gone:
            died, cause = max([(died, cause), *((v.died, v.cause) for v in alike)])
            raise ViolationError(
                f"block {index} reads {held} at {now} (begun at {began}), which died at {died} "
                f"when {cause} was above it"
            )
        found = possible[0] if len(possible) == 1 and not may_be_gone else None
        if found is not None:
            found.established = found.established or now
        for other in block.alive.values():
            if other not in possible and (other.is_over(began) or other.era.number < era.number):
                block.kill(other, now, found.name if found else -1)
        return found

    def miss(self, index: int, expected: int, began: int, era: Era) -> None:
        """A compare-and-write that began at `began` did not find `expected` in a block.

        Raises:
            ViolationError: Nothing else can have been there.
        """
        if era.number < self._newest or began <= self._reset_at:
            return
        alive = self._blocks[index].alive.values()
        if all(v.content == expected for v in alive if not 0 < v.died < began):
            raise ViolationError(f"block {index} can only hold {expected}, and something else was")

    def is_dead(self, index: int, held: int) -> bool:
        """True if a read that begins now must not return this."""
        block = self._blocks.get(index)
        if block is None:
            return False
        return all(version.died for version in block.alive.values() if version.content == held)

    def is_gone(self, index: int, held: int) -> bool:
        """True if no loss of power may bring this back."""
        block = self._blocks.get(index)
        if block is None or held not in block.gone:
            return False
        return all(version.content != held for version in block.alive.values())

    # -- flushes and losses ------------------------------------------------------------------------

    def complete_flush(self, began: int, own: int | None = None) -> None:
        """A flush that was sent at `began` was answered GOOD; or the write `own`, durably."""
        now = self.now()
        self.completed_flushes += 1
        if began <= self._reset_at:
            return
        for block in self._blocks.values():
            alive = list(block.alive.values())
            durable = [
                version
                for version in alive
                if version.is_firm(self._reset_at)
                and (version.acknowledged < began or version.name == own)
            ]
            if not durable:
                continue
            newest = max(version.began for version in durable)
            era = max(version.era.number for version in durable)
            names = {version.name for version in durable}
            for version in alive:
                is_below = version.is_over(newest) or version.era.number < era
                if is_below or (0 < version.died < began and version.cause in names):
                    block.bury(version, now, max(names))

    def lose_memory(self) -> None:
        """The last in-sync replica whose memory had held has lost it."""
        self.resets += 1
        self._reset_at = self.now()
        for block in self._blocks.values():
            for version in block.alive.values():
                version.died = version.cause = 0
                version.replaced = None
