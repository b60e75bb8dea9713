"""Commands under way on a connection, and what waits for their end."""

from __future__ import annotations

from collections.abc import Callable

from tierce_iscsi.buffers import Region
from tierce_iscsi.scsi.command import Command, Work


class Drain:
    """Waits for tasks that are to be given up: their writes must be complete, or never will be
    applied, before anyone is told that they are gone.

    Args:
        done: Called once, when the last of them is complete; from `start` if none is left.
        issuer: The task set whose initiator asked for it: its own tasks end without a word, those
            of others with TASK ABORTED. None: nobody is told.

    A task that waits for data or for memory ends at once; one that the device works on when that
    is complete, and goes on as if nobody had asked if `cancel` comes before.
    """

    def __init__(self, done: Callable[[], None], issuer: object = None) -> None:
        self._done: Callable[[], None] | None = done
        self._count = 1
        self._tasks: dict[Task, None] = {}
        self.issuer = issuer
        #: Tags of the issuer's own tasks that have ended without a word.
        self.over: list[int] = []

    @property
    def is_over(self) -> bool:
        """True if nobody waits for it any more."""
        return self._done is None

    def add(self, task: Task) -> None:
        """Wait for this one too."""
        self.hold()
        self._tasks[task] = None
        task.drains = (*task.drains, self)

    def hold(self) -> None:
        """Wait for one more `complete`."""
        self._count += 1

    def start(self) -> None:
        """All have been added."""
        self.complete()

    def complete(self, task: Task | None = None) -> None:
        """One of them is complete."""
        if task is not None:
            self._tasks.pop(task, None)
        self._count -= 1
        if not self._count:
            done, self._done = self._done, None
            if done is not None:
                done()

    def cancel(self) -> None:
        """Wait no longer: what is not complete yet goes on as if nobody had asked."""
        self._done = None
        tasks, self._tasks = self._tasks, {}
        for task in tasks:
            task.drains = tuple(drain for drain in task.drains if drain is not self)


class Task:
    """What every command under way has.

    Attributes:
        tag: Initiator task tag.
        started_ns: When it arrived.
        drains: Who waits for its end and wants no answer given, or TASK ABORTED.
    """

    __slots__ = ("drains", "started_ns", "tag")

    def __init__(self, tag: int, started_ns: int) -> None:
        self.tag = tag
        self.started_ns = started_ns
        self.drains: tuple[Drain, ...] = ()


class FastTask(Task):
    """A READ or WRITE of one PDU that is pending in the device.

    Attributes:
        region: Where a write's data lie, or where a read is answered from; held.
        place: A read's offset in `region`: of its header, which its data follow.
    """

    __slots__ = ("place", "region")

    def __init__(self, tag: int, started_ns: int, region: Region, place: int) -> None:
        # Not through super(): this runs once for each pending command.
        self.tag = tag
        self.started_ns = started_ns
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
        is_begun: Only the first of them have room yet.
        burst_end: Data-out that may come before the next R2T, counted from the first byte.
        is_unsolicited: More data-out comes without an R2T.
        transfer_tag: TTT of the R2T that is open, 0 before the first.
        r2t_number: R2TSN of the next.
        data_number: DataSN of the next Data-Out.
        is_waiting: It waits for memory.
        is_submitted: Something of it was handed to the device.
        work: What the device does for it now, or is to do once there is memory.
        pending_count: Requests of it that are not complete.
        regions: Further buffers of its; held.
    """

    __slots__ = (
        *("buffer", "burst_end", "command", "data_number", "expected", "is_begun", "is_read"),
        *(
            "is_submitted",
            "is_unsolicited",
            "is_waiting",
            "is_write",
            "lun",
            "pending_count",
            "r2t_number",
        ),
        *("received", "regions", "transfer_tag", "wanted", "work"),
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
        self.is_begun = False
        self.burst_end = 0
        self.is_unsolicited = False
        self.transfer_tag = 0
        self.r2t_number = 0
        self.data_number = 0
        self.is_waiting = False
        self.is_submitted = False
        self.work: Work | None = None
        self.pending_count = 0
        self.regions: list[Region] = []

    @property
    def has_own(self) -> bool:
        """True if it has a buffer that is the session's own."""
        return any(region.is_own for region in (self.buffer, *self.regions) if region is not None)


class DataIn:
    """A command's data on their way to the initiator; the command itself is over.

    Attributes:
        tag: Initiator task tag.
        data: All of them.
        region: Where they lie, held; None if they are nobody else's.
        residual: Residual count.
        flag: Its O or U bit, or 0.
        offset: So many bytes have been given.
        number: DataSN of the next PDU.
    """

    __slots__ = ("data", "flag", "number", "offset", "region", "residual", "tag")

    def __init__(
        self, tag: int, data: memoryview, region: Region | None, residual: int, flag: int
    ) -> None:
        self.tag = tag
        self.data = data
        self.region = region
        self.residual = residual
        self.flag = flag
        self.offset = 0
        self.number = 0

    @property
    def is_given(self) -> bool:
        """True if nothing is left to give."""
        return self.offset == len(self.data)
