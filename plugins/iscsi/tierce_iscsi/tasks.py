"""Commands under way on a connection."""

from __future__ import annotations

from collections.abc import Callable

from tierce_iscsi.buffers import Region
from tierce_iscsi.scsi.command import Command, Work


class Drain:
    """Waits for tasks that were aborted: their writes must be settled, or never will be applied,
    before anyone is told that they are gone.

    Args:
        done: Called once, when the last of them has settled; from `start` if none is left.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._count = 1

    def add(self, task: Task) -> None:
        """Wait for this one too."""
        self.hold()
        task.drains = (*task.drains, self)

    def hold(self) -> None:
        """Wait for one more `settle`."""
        self._count += 1

    def start(self) -> None:
        """All have been added."""
        self.settle()

    def settle(self) -> None:
        """One of them has settled."""
        self._count -= 1
        if not self._count:
            self._done()


class Task:
    """What every command under way has.

    Attributes:
        tag: Initiator task tag.
        started_ns: When it arrived.
        is_aborted: Nothing is answered any more; it only waits for its requests.
        drains: Who waits for it to settle.
    """

    __slots__ = ("drains", "is_aborted", "started_ns", "tag")

    def __init__(self, tag: int, started_ns: int) -> None:
        self.tag = tag
        self.started_ns = started_ns
        self.is_aborted = False
        self.drains: tuple[Drain, ...] = ()


class FastTask(Task):
    """A READ or WRITE of one PDU that the device has parked.

    Attributes:
        region: Where a write's data lie, or where a read is answered from; held.
        place: A read's offset in `region`: of its header, which its data follow.
    """

    __slots__ = ("place", "region")

    def __init__(self, tag: int, started_ns: int, region: Region, place: int) -> None:
        # Not through super(): this runs once for each parked command.
        self.tag = tag
        self.started_ns = started_ns
        self.is_aborted = False
        self.drains = ()
        self.region = region
        self.place = place


class SlowTask(Task):
    """Any other command.

    Attributes:
        command: What the logical unit admitted.
        lun: The LUN field, 0 for the one that there is.
        expected: Expected data transfer length.
        is_read: The R bit.
        is_write: The W bit.
        wanted: Bytes of data-out that it waits for.
        received: Bytes of data-out that came, also what was too much and dropped.
        buffer: Where they go; held.
        burst_end: Data-out that may come before the next R2T, counted from the first byte.
        is_unsolicited: More data-out comes without an R2T.
        transfer_tag: TTT of the R2T that is open, 0 before the first.
        r2t_number: R2TSN of the next.
        data_number: DataSN of the next Data-Out.
        work: What the device does for it now.
        left: Requests of it that have not settled.
        regions: Further buffers of its; held.
    """

    __slots__ = (
        *("buffer", "burst_end", "command", "data_number", "expected", "is_read"),
        *("is_unsolicited", "is_write", "left", "lun", "r2t_number", "received", "regions"),
        *("transfer_tag", "wanted", "work"),
    )

    def __init__(self, tag: int, started_ns: int, lun: int, expected: int, flags: int) -> None:
        super().__init__(tag, started_ns)
        self.command: Command | None = None
        self.lun = lun
        self.expected = expected
        self.is_read = bool(flags & 0x40)
        self.is_write = bool(flags & 0x20)
        self.wanted = 0
        self.received = 0
        self.buffer: Region | None = None
        self.burst_end = 0
        self.is_unsolicited = False
        self.transfer_tag = 0
        self.r2t_number = 0
        self.data_number = 0
        self.work: Work | None = None
        self.left = 0
        self.regions: list[Region] = []
