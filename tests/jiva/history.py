"""The judge: what clients did and were told, held against the promise of replication.

Every write of a block has a version of its own; 0 is the block's first state, zeroes. A version is
*established* when its write was answered GOOD or when it was read. It is *dead* when a newer one
is known to stand above it:

- a write was answered GOOD that was sent after the version was established;
- a read returned another one, and began after the version was established;
- a read of a new target returned another one, and the version is of an older target.

A read that begins after a version died must not return it. Losing the power of every in-sync
replica takes back all deaths but those that a completed flush covers. A target that has been
superseded may read what is old (leases are not built), but never what was never written.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs


class ViolationError(AssertionError):
    """The promise was broken."""


@attrs.define(eq=False)
class _Version:
    began: int
    epoch: Callable[[], int]
    acknowledged: int | None = None
    established: int | None = None


@attrs.define(eq=False)
class _Death:
    at: int
    cause: int
    is_final: bool = False


@attrs.define(eq=False)
class _Block:
    versions: dict[int, _Version] = attrs.field(factory=lambda: {0: _Version(0, lambda: 0, 0, 0)})
    dead: dict[int, _Death] = attrs.field(factory=dict)

    def kill(self, version: int, at: int, cause: int) -> None:
        if version not in self.dead:
            self.dead[version] = _Death(at, cause)


class History:
    """What was asked and answered, in one order."""

    def __init__(self, block_count: int) -> None:
        self._blocks = [_Block() for _ in range(block_count)]
        self._writes: dict[int, tuple[int, ...]] = {}
        self._clock = 0
        self._reset_at = 0
        self.newest_epoch = 0
        self.acknowledged_writes = 0
        self.checked_reads = 0
        self.completed_flushes = 0
        self.resets = 0

    def now(self) -> int:
        """Return the next instant."""
        self._clock += 1
        return self._clock

    def begin_write(self, version: int, blocks: tuple[int, ...], epoch: Callable[[], int]) -> None:
        """A write is sent; the epoch is that of its target, once it serves."""
        now = self.now()
        self._writes[version] = blocks
        for index in blocks:
            self._blocks[index].versions[version] = _Version(now, epoch)

    def acknowledge_write(self, version: int) -> None:
        """It was answered GOOD."""
        now = self.now()
        self.acknowledged_writes += 1
        for index in self._writes[version]:
            block = self._blocks[index]
            written = block.versions[version]
            written.acknowledged = now
            if written.began <= self._reset_at:
                continue  # It was applied before the last memory was lost, and may be gone.
            written.established = written.established or now
            for other, state in block.versions.items():
                if state.established is not None and state.established < written.began:
                    block.kill(other, now, version)

    def end_read(self, index: int, version: int, began: int, epoch: int) -> None:
        """A read that began at `began` has returned a version."""
        now = self.now()
        block = self._blocks[index]
        if version not in block.versions:
            raise ViolationError(f"block {index} reads {version}, which was never written to it")
        if epoch < self.newest_epoch or began <= self._reset_at:
            return
        self.checked_reads += 1
        death = block.dead.get(version)
        if death is not None and death.at < began:
            raise ViolationError(
                f"block {index} reads {version} at {now}, which died at {death.at} when "
                f"{death.cause} was above it"
            )
        found = block.versions[version]
        found.established = found.established or now
        for other, state in block.versions.items():
            is_older = state.established is not None and state.established < began
            if other != version and (is_older or state.epoch() < epoch):
                block.kill(other, now, version)

    def complete_flush(self, began: int) -> None:
        """A flush that was sent at `began` was answered GOOD."""
        self.completed_flushes += 1
        if began <= self._reset_at:
            return
        for block in self._blocks:
            durable = {
                version: state
                for version, state in block.versions.items()
                if state.acknowledged is not None
                and self._reset_at < state.acknowledged < began
                and state.established is not None
            }
            for version, state in durable.items():
                for other, older in block.versions.items():
                    if older.established is not None and older.established < state.began:
                        block.kill(other, began, version)
                        block.dead[other].is_final = True
            for death in block.dead.values():
                if death.cause in durable and death.at < began:
                    death.is_final = True

    def lose_memory(self) -> None:
        """The last in-sync replica whose memory had held has lost power."""
        self.resets += 1
        self._reset_at = self.now()
        for block in self._blocks:
            block.dead = {v: death for v, death in block.dead.items() if death.is_final}

    def serve(self, epoch: int) -> None:
        """A target has come to serve."""
        self.newest_epoch = max(self.newest_epoch, epoch)
