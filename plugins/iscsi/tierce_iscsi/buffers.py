"""Memory that PDUs are received into and sent from.

Regions are anonymous mmaps: untouched they cost nothing, and what an idle session has touched is
given back (`Pool.trim`). A region is used from its start to its end, and from the start again
when nothing holds it any more. What holds it: a pending write whose data lie in it, a pending read
that will be answered from it, bytes that wait to be sent. So nothing is copied, and no buffer is
reused under a device or the kernel.

Commands that travel in several PDUs have buffers of their own (`CommandMemory`). Regions know
nothing of who has them: a cycle through one would keep its memory until the next full collection.
"""

from __future__ import annotations

import enum
import mmap

from tierce_iscsi.memory import SESSION_SHARED_BYTES_MAX, Account
from tierce_iscsi.pdu import AHS_BYTES_MAX, BHS_BYTES, DIGEST_BYTES
from tierce_iscsi.scsi.limits import DATA_OUT_BYTES_MAX, TRANSFER_BYTES_MAX
from tierce_iscsi.text import BURST_BYTES, RECV_SEGMENT_BYTES

#: One region. Larger ones do not fit the caches (2 MiB cost a tenth of 128 KiB reads).
REGION_BYTES = 1 << 20
#: Regions of one connection for each direction. A full queue of the largest commands that travel
#: in one PDU (128 of 256 KiB, three to a region) fits; beyond it the connection is not read.
REGION_COUNT_MAX = 48
#: So many of them are the session's own. Two, so that one is there to read what another's bytes
#: wait for.
OWN_REGION_COUNT = 2
#: What one command may need: its data-out, and as much again that it reads to compare with.
OWN_COMMAND_BYTES = 2 * TRANSFER_BYTES_MAX
#: Buffers of commands that are kept for the next one.
COMMAND_SPARE_COUNT_MAX = 4
#: Room that a receive should have at least, so that a batch is not cut small.
RECEIVE_BYTES_MIN = 64 << 10

#: The longest PDU that a peer may send.
PDU_BYTES_MAX = BHS_BYTES + AHS_BYTES_MAX + RECV_SEGMENT_BYTES + 2 * DIGEST_BYTES
assert 3 * PDU_BYTES_MAX < REGION_BYTES, "three of the longest PDUs to a region"
assert RECEIVE_BYTES_MIN + PDU_BYTES_MAX < REGION_BYTES
assert REGION_COUNT_MAX * REGION_BYTES <= SESSION_SHARED_BYTES_MAX
# What the Block Limits page says an initiator may ask for has room, however many others ask: no
# command is refused for want of memory that a session alone would have had.
assert TRANSFER_BYTES_MAX.bit_count() == 1, "buffers are powers of two"
assert DATA_OUT_BYTES_MAX <= TRANSFER_BYTES_MAX
assert OWN_COMMAND_BYTES <= SESSION_SHARED_BYTES_MAX
assert BURST_BYTES <= TRANSFER_BYTES_MAX


class Kind(enum.Enum):
    """Where a region goes when nothing holds it any more."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"
    COMMAND = "command"


#: Names of this module: to look a member up in its enum costs 50 ns each time.
INCOMING, OUTGOING, COMMAND = Kind.INCOMING, Kind.OUTGOING, Kind.COMMAND


class Region:
    """A piece of memory.

    Attributes:
        memory: The mmap, for struct's pack_into and unpack_from.
        view: A view of all of it.
        size: Bytes.
        end: Where the next use begins.
        holds: How many things need its bytes to stay.
        kind: Where it goes when nothing does any more.
        borrowed: So much of it is what all sessions share; the rest is the session's own.
        is_own: It counts as the buffer of the one command that the session has room of its own for.
        is_whole: It is another command's, and has been completed.
    """

    __slots__ = (
        *("borrowed", "end", "holds", "is_own", "is_whole", "kind", "memory", "size", "view"),
    )

    def __init__(self, size: int, kind: Kind, borrowed: int = 0) -> None:
        self.memory = mmap.mmap(-1, size)
        self.view = memoryview(self.memory)
        self.size = size
        self.kind = kind
        self.borrowed = borrowed
        self.end = 0
        self.holds = 0
        self.is_own = self.is_whole = False


class Pool:
    """The regions of one direction of a connection.

    Args:
        account: What the session has borrowed.
        kind: The direction.
        count_max: How many there may be.
    """

    def __init__(self, account: Account, kind: Kind, count_max: int = REGION_COUNT_MAX) -> None:
        self._account = account
        self._kind = kind
        self._count_max = count_max
        self._count = 0
        self._own_left = OWN_REGION_COUNT
        self._spare: list[Region] = []
        account.add_holder(self)

    @property
    def has_room(self) -> bool:
        """True if `take` would return a region."""
        return (
            bool(self._spare)
            or self._own_left > 0
            or (self._count < self._count_max and self._account.can_take(REGION_BYTES))
        )

    def take(self) -> Region | None:
        """Return a region that nothing holds; None if there is no memory for one."""
        if self._spare:
            region = self._spare.pop()
            if region.borrowed:
                self._account.lay_by(-REGION_BYTES)
            return region
        borrowed = 0
        if self._own_left:
            self._own_left -= 1
        elif self._count < self._count_max and self._account.take(REGION_BYTES):
            borrowed = REGION_BYTES
        else:
            return None
        made = make_region(REGION_BYTES, self._kind, borrowed)
        if made is None:
            self._own_left += not borrowed
            self._account.give(borrowed)
            return None
        self._count += 1
        return made

    def give(self, region: Region) -> None:
        """Take back a region that nothing holds."""
        assert region.holds == 0, "a region that is held is not spare"
        region.end = 0
        if region.borrowed:
            self._account.lay_by(REGION_BYTES)
            self._spare.insert(0, region)
        else:
            # Taken first, so that what is borrowed is what lies idle.
            self._spare.append(region)

    def drop_spares(self) -> None:
        """Give the borrowed spare regions back."""
        borrowed = [region for region in self._spare if region.borrowed]
        self._spare = [region for region in self._spare if not region.borrowed]
        self._count -= len(borrowed)
        for region in borrowed:
            self._account.lay_by(-REGION_BYTES)
            self._account.give(region.borrowed)

    def close(self) -> None:
        """Forget every region."""
        self.drop_spares()
        self._spare.clear()

    def trim(self) -> None:
        """Give the memory of the spare regions back to the kernel."""
        self.drop_spares()
        for region in self._spare:
            region.memory.madvise(mmap.MADV_DONTNEED)


class CommandMemory:
    """Buffers for what travels in several PDUs: sizes are powers of two, a few are kept.

    One command at a time has room of the session's own; the others borrow theirs. Whole commands
    borrow no more than half of what the session may, so that what the others bring unasked
    (`take_begun`) finds room until it is their turn.

    Args:
        account: What the session has borrowed.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._own_used = 0
        self._whole_used = 0
        self._spare: list[Region] = []
        account.add_holder(self)

    def take(self, length: int, *, has_own: bool = False) -> Region | None:
        """Return a buffer of at least `length` bytes, held once; None if there is no memory.

        Args:
            length: Bytes.
            has_own: The command has a buffer of the session's own already, and may have another.
        """
        size = buffer_bytes(length)
        is_own = self._may_own(size, has_own=has_own)
        if not is_own and not self._may_borrow(size, size):
            return None
        region = self._spare_of(size) or make_region(size, COMMAND)
        if region is None:
            self._account.give(0 if is_own else size)
            return None
        region.holds = 1
        self._charge(region, is_own=is_own, borrowed=size)
        return region

    def take_begun(self, length: int, first: int) -> Region | None:
        """Return a buffer of which the first bytes may be used already; `complete` gets the rest.

        Args:
            length: Bytes that it is to hold.
            first: Bytes that have to be kept at once.
        """
        borrowed = min(buffer_bytes(length), -(-first // mmap.PAGESIZE) * mmap.PAGESIZE)
        if not self._account.take(borrowed):
            return None
        region = make_region(buffer_bytes(length), COMMAND, borrowed)
        if region is None:
            self._account.give(borrowed)
            return None
        region.holds = 1
        return region

    def complete(self, region: Region) -> bool:
        """Get the rest of a buffer that was begun; False if there is no memory for it now."""
        if self._may_own(region.size, has_own=False):
            self._account.give(region.borrowed)
            self._charge(region, is_own=True, borrowed=0)
            return True
        if not self._may_borrow(region.size, region.size - region.borrowed):
            return False
        self._charge(region, is_own=False, borrowed=region.size)
        return True

    def give(self, region: Region) -> None:
        """Take back a buffer that nothing holds; keep it for the next command, or drop it."""
        assert region.holds == 0, "a buffer that is held is not spare"
        if region.is_own:
            self._own_used -= region.size
            region.is_own = False
            region.borrowed = region.size if self._account.take(region.size) else 0
        elif region.is_whole:
            self._whole_used -= region.size
        region.is_whole = False
        if region.borrowed < region.size or len(self._spare) >= COMMAND_SPARE_COUNT_MAX:
            self._account.give(region.borrowed)
            return
        self._spare.append(region)
        self._account.lay_by(region.size)

    def drop_spares(self) -> None:
        """Forget the spare buffers; their memory goes with them."""
        spare, self._spare = self._spare, []
        for region in spare:
            self._account.lay_by(-region.size)
            self._account.give(region.size)

    def _may_own(self, size: int, *, has_own: bool) -> bool:
        return self._own_used == 0 or (has_own and self._own_used + size <= OWN_COMMAND_BYTES)

    def _may_borrow(self, size: int, more: int) -> bool:
        """Borrow `more` bytes for a whole command's buffer, if it may have them."""
        return self._whole_used + size <= self._account.share // 2 and self._account.take(more)

    def _spare_of(self, size: int) -> Region | None:
        for index, region in enumerate(self._spare):
            if region.size == size:
                del self._spare[index]
                # What it was kept with goes back; it is charged anew.
                self._account.lay_by(-size)
                self._account.give(size)
                return region
        return None

    def _charge(self, region: Region, *, is_own: bool, borrowed: int) -> None:
        region.is_own, region.is_whole = is_own, not is_own
        region.borrowed = 0 if is_own else borrowed
        if is_own:
            self._own_used += region.size
        else:
            self._whole_used += region.size


def make_region(size: int, kind: Kind, borrowed: int = 0) -> Region | None:
    """Return a new region; None if the machine has no memory for it, which is met as ours is."""
    try:
        return Region(size, kind, borrowed)
    except OSError:
        return None


def buffer_bytes(length: int) -> int:
    """Return the size of a buffer for so many bytes."""
    return max(mmap.PAGESIZE, 1 << (length - 1).bit_length())
