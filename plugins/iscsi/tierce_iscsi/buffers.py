"""Memory that PDUs are received into and sent from.

Regions are anonymous mmaps: untouched they cost nothing, and what an idle session has touched is
given back (`Pool.trim`). A region is used from its start to its end, and from the start again
when nothing holds it any more. What holds it: a parked write whose data lie in it, a parked read
that will be answered from it, bytes that wait to be sent. So nothing is copied, and no buffer is
reused under a device or the kernel.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable

from tierce_iscsi.pdu import AHS_BYTES_MAX, BHS_BYTES, DIGEST_BYTES
from tierce_iscsi.text import RECV_SEGMENT_BYTES

#: One region. Larger ones do not fit the caches (2 MiB cost a tenth of 128 KiB reads).
REGION_BYTES = 1 << 20
#: Regions of one connection for each direction. A full queue of the largest commands that travel
#: in one PDU (128 of 256 KiB, three to a region) fits; beyond it the connection is not read.
REGION_COUNT_MAX = 48
#: Buffers of commands that need more than one PDU, of one connection together.
LARGE_BYTES_MAX = 64 << 20
LARGE_SPARE_COUNT_MAX = 4
#: Room that a receive should have at least, so that a batch is not cut small.
RECEIVE_BYTES_MIN = 64 << 10

#: The longest PDU that a peer may send.
PDU_BYTES_MAX = BHS_BYTES + AHS_BYTES_MAX + RECV_SEGMENT_BYTES + 2 * DIGEST_BYTES
assert 3 * PDU_BYTES_MAX < REGION_BYTES, "three of the longest PDUs to a region"
assert RECEIVE_BYTES_MIN + PDU_BYTES_MAX < REGION_BYTES


class Region:
    """A piece of memory.

    Attributes:
        memory: The mmap, for struct's pack_into and unpack_from.
        view: A view of all of it.
        size: Bytes.
        end: Where the next use begins.
        holds: How many things need its bytes to stay.
        pool: Where it goes when nothing does any more; None for a large one.
        release: What lets go of one hold; made at the first use, by who uses it.
    """

    __slots__ = ("end", "holds", "memory", "pool", "release", "size", "view")

    def __init__(self, size: int = REGION_BYTES, pool: Pool | None = None) -> None:
        self.memory = mmap.mmap(-1, size)
        self.view = memoryview(self.memory)
        self.size = size
        self.end = 0
        self.holds = 0
        self.pool = pool
        self.release: Callable[[], None] | None = None


class Pool:
    """The regions of one direction of a connection.

    Args:
        count_max: How many there may be.
    """

    def __init__(self, count_max: int = REGION_COUNT_MAX) -> None:
        self._count_max = count_max
        self._count = 0
        self._spare: list[Region] = []

    @property
    def has_room(self) -> bool:
        """True if `take` would return a region."""
        return bool(self._spare) or self._count < self._count_max

    def take(self) -> Region | None:
        """Return a region that nothing holds; None if every one is in use."""
        if self._spare:
            return self._spare.pop()
        if self._count == self._count_max:
            return None
        self._count += 1
        return Region(pool=self)

    def give(self, region: Region) -> None:
        """Take back a region that nothing holds."""
        assert region.holds == 0, "a region that is held is not spare"
        region.end = 0
        self._spare.append(region)

    def trim(self) -> None:
        """Give the memory of the spare regions back to the kernel."""
        for region in self._spare:
            region.memory.madvise(mmap.MADV_DONTNEED)


class LargePool:
    """Buffers for what travels in several PDUs: sizes are powers of two, a few are kept."""

    def __init__(self, bytes_max: int = LARGE_BYTES_MAX) -> None:
        self._bytes_left = bytes_max
        self._spare: list[Region] = []

    def take(self, length: int) -> Region | None:
        """Return a region of at least `length` bytes, held once; None beyond the limit."""
        size = max(mmap.PAGESIZE, 1 << (length - 1).bit_length())
        if size > self._bytes_left:
            return None
        self._bytes_left -= size
        for index, region in enumerate(self._spare):
            if region.size == size:
                del self._spare[index]
                break
        else:
            region = Region(size)
        region.holds = 1
        return region

    def give(self, region: Region) -> None:
        """Let go of one hold; keep the region for the next one if nothing holds it any more."""
        region.holds -= 1
        if region.holds == 0:
            self._bytes_left += region.size
            if len(self._spare) < LARGE_SPARE_COUNT_MAX:
                self._spare.append(region)

    def trim(self) -> None:
        """Forget the spare buffers; their memory goes with them."""
        self._spare.clear()
