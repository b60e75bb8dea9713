"""The disks of the simulation: a file of blocks with a page cache above it, and what can go wrong
with the two.

A block holds a version: `content(version)` is its bytes, 0 is zeroes. A loss of power leaves of
each block what is durable or anything written since. A failed sync leaves blocks clean in the cache
and absent on disk: they are read as if nothing had happened until they are evicted.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
from collections.abc import Callable
from random import Random

import attrs

from jiva.sim.blocks import BLOCK, content, versions_of
from tierce import Extent
from tierce_jiva.digests import zero_digest
from tierce_jiva.wire import DIGEST_BYTES

#: How long a sync takes at most, while nothing is the matter.
SYNC_S = 0.03


@attrs.frozen
class Image:
    """What a copy of a file held when it was taken."""

    blocks: dict[int, int]
    length: int


class Disk:
    """The file that holds one replica's bytes, and its page cache; the store that a replica asks.

    Attributes:
        cached: What reads see, by block.
        durable: What is on the medium, by block.
        dirty: What was written since, oldest first, by block.
        forgotten: Blocks that a failed sync left clean in the cache and absent on disk.
        inode: Tells files apart.
        length: Bytes; less than the volume's once it was cut short.
        write_error: What writes fail with, half-way; 0 for nothing.
        read_error: Reads fail.
        sync_error: Syncs fail.
        is_broken: A sync failed since the file was opened: none succeeds until it is opened anew.
        is_cold: How likely it is that a read must wait for the medium.
        sync_s: How long a sync takes at most.
    """

    def __init__(self, random: Random, inode: int, length: int, blocks: dict[int, int]) -> None:
        self.random = random
        self.inode = inode
        self.size_bytes = self.length = length
        self.cached = dict(blocks)
        self.durable = dict(blocks)
        self.dirty: dict[int, list[int]] = {}
        self.forgotten: set[int] = set()
        self.write_error = 0
        self.read_error = False
        self.sync_error = False
        self.is_broken = False
        self.is_cold = 0.0
        self.sync_s = SYNC_S
        self.evictions = 0
        #: Whoever wants to be told of every block that is put.
        self.told: Callable[[int, int], None] | None = None

    # -- what a replica asks of its store ----------------------------------------------------------

    def write(self, offset: int, data: memoryview) -> None:
        """Write whole blocks; some of them, if writing fails."""
        assert not offset % BLOCK
        assert not len(data) % BLOCK
        versions = versions_of(bytes(data))
        if self.write_error:
            del versions[self.random.randint(0, len(versions)) :]
        first = offset // BLOCK
        for index, version in enumerate(versions, first):
            if version or self.is_touched(index):
                self._put(index, version)
        self.length = max(self.length, offset + len(versions) * BLOCK)
        self._fail_write()

    def discard(self, offset: int, length: int) -> None:
        """Make blocks zeroes; some of them, if writing fails."""
        first, end = offset // BLOCK, (offset + length) // BLOCK
        if self.write_error:
            end = self.random.randint(first, end)
        for index in sorted(self.cached.keys() | self.forgotten):
            if first <= index < end and self.is_touched(index):
                self._put(index, 0)
        self._fail_write()

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        """Read, unless the medium must be waited for."""
        if self.is_cold and self.random.random() < self.is_cold:
            return False
        self.read(offset, buffer)
        return True

    def read(self, offset: int, buffer: memoryview) -> None:
        """Read, as a replica does: what is cut off is an error."""
        if self.read_error or self.read_into(offset, buffer) < len(buffer):
            raise OSError(errno.EIO, "planned, or short")

    def digest(self, offset: int, length: int) -> bytes:
        """Digest an extent."""
        if self.read_error or offset + length > self.length:
            raise OSError(errno.EIO, "planned, or short")
        first, end = offset // BLOCK, (offset + length) // BLOCK
        held = sorted((i, v) for i, v in self.cached.items() if v and first <= i < end)
        if not held:
            return zero_digest(length)
        return hashlib.blake2b(repr(held).encode(), digest_size=DIGEST_BYTES).digest()

    def find_extents(self, offset: int, length: int) -> list[Extent]:
        """Find what reads as zeroes: as few extents as there can be."""
        if self.read_error:
            raise OSError(errno.EIO, "planned")
        self.check()
        first, end = offset // BLOCK, (offset + length) // BLOCK
        blocks = range(first, end)
        found = []
        for is_hole, run in itertools.groupby(blocks, key=lambda index: not self.cached.get(index)):
            at, *rest = run
            found.append(Extent(at * BLOCK, (1 + len(rest)) * BLOCK, is_hole))
        return found

    def reopen(self) -> None:
        """Open the file anew: what is written from now on can be synced."""
        self.is_broken = False

    def check(self) -> None:
        """See that nothing is cut off."""
        if self.length < self.size_bytes:
            raise OSError(errno.EIO, "cut short")

    # -- what the world does to it -----------------------------------------------------------------

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read as preadv does; return how many bytes there were."""
        there = max(0, min(len(buffer), self.length - offset))
        buffer[:there] = bytes(there)
        first = offset // BLOCK
        for index, version in self.cached.items():
            at = (index - first) * BLOCK
            if version and 0 <= at < there:
                buffer[at : at + BLOCK] = content(version)
        return there

    def begin_sync(self) -> dict[int, int]:
        """Begin a sync: it covers what is dirty now."""
        return {index: len(values) for index, values in self.dirty.items()}

    def end_sync(self, began: dict[int, int], *, failed: bool) -> None:
        """End it. What a failed one could not write is clean from now on."""
        for index, count in began.items():
            values = self.dirty.get(index)
            if not values:
                continue
            del values[: count - 1]
            last = values.pop(0)
            if not failed or self.random.random() < 0.5:
                self.durable[index] = last
            elif not values:
                self.forgotten.add(index)
            if not values:
                del self.dirty[index]

    def evict(self) -> None:
        """The cache lets go of what a failed sync left: the medium's older blocks are read."""
        for index in self.forgotten:
            old = self.durable.get(index, 0)
            self.evictions += self.cached[index] != old
            self.cached[index] = old
        self.forgotten.clear()

    def lose_power(self) -> None:
        """Keep what is durable, and any part of what is not."""
        for index, values in self.dirty.items():
            self.durable[index] = self.random.choice([self.durable.get(index, 0), *values])
        self.dirty.clear()
        self.forgotten.clear()
        self.cached = dict(self.durable)

    def cut(self, length: int) -> None:
        """Cut the file short; what is beyond is gone, from the cache too."""
        self.length = min(self.length, length)
        for blocks in (self.cached, self.durable, self.dirty):
            for index in [index for index in blocks if index * BLOCK >= length]:
                del blocks[index]
        self.forgotten = {index for index in self.forgotten if index * BLOCK < length}

    @property
    def identity(self) -> str:
        """Which file it is, as `file_identity` tells it."""
        return f"{self.inode}:"

    def copy(self) -> Image:
        """What `cp` would make of it."""
        return Image({i: v for i, v in self.cached.items() if v}, self.length)

    def is_touched(self, index: int) -> bool:
        """True if anything but never written zeroes is, or may be, in the block."""
        return bool(self.cached.get(index)) or index in self.dirty or index in self.forgotten

    def may_leave(self, index: int) -> set[int]:
        """The versions that a loss of power may leave of a block."""
        return {self.durable.get(index, 0), *self.dirty.get(index, ())}

    def _put(self, index: int, version: int) -> None:
        self.cached[index] = version
        self.dirty.setdefault(index, []).append(version)
        self.forgotten.discard(index)
        if self.told is not None:
            self.told(index, version)

    def _fail_write(self) -> None:
        if self.write_error:
            raise OSError(self.write_error, "planned")
