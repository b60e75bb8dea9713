"""The device contract, on two levels.

**Batch level** (`Device`): one `submit` per batch, answered inline where possible, pending
otherwise. What core, filters, replicators and front ends use among themselves.

**Simple level** (`SimpleDevice`): `read`, `write`, and what else the engine can do; core adapts
it to the batch level according to the concurrency that it declares.

Rules for both:

- Operations in one batch, and in different batches, are concurrent, as they are on a disk.
- FLUSH covers every write that was answered before the FLUSH was submitted.
- A write that was answered GOOD is seen by every read submitted afterwards.
- A read that overlaps a pending write is not answered before that write.
- On return of a FLUSH, or of a write with `Flag.FUA`, the bytes survive loss of power, where the
  device says so (`Capabilities.durable`).
- A request that has a status is over: it is not applied later. A device that has to answer
  without knowing (a replicated one that lost its majority) says when it is so by the optional
  method of `tierce.block.quiet`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import attrs

from tierce.block.operation import NO_FLAGS, Completed, Extent, Flag, Op, Request
from tierce.block.status import GOOD, Status


class Concurrency(enum.Enum):
    """How a device is called: how many calls may be under way at once, and on which thread."""

    #: Every call answers at once (memory): called on the data thread itself. A call that waits
    #: here stops every initiator of the volume.
    INLINE = "inline"
    #: One call at a time, on a thread of the device's own: the same one makes it, opens it, calls
    #: it and closes it.
    SERIAL = "serial"
    #: Calls that don't overlap run at once on several worker threads; it is made on the data
    #: thread and closed on a worker thread.
    PARALLEL = "parallel"
    #: Takes batches (`tierce.Device`): made, called and closed on the data thread.
    BATCH = "batch"


@attrs.frozen
class Geometry:
    """The shape of a device.

    Attributes:
        size_bytes: Size in bytes, a multiple of `block_size`.
        block_size: Logical block in bytes: 512 or 4096.
        optimal_io_bytes: What one I/O should be a multiple of, in bytes.
        io_bytes_max: The largest single READ or WRITE in bytes; core splits what is larger.
    """

    size_bytes: int
    block_size: int = 512
    optimal_io_bytes: int = 4096
    io_bytes_max: int = 8 << 20


@attrs.frozen
class Capabilities:
    """What a device does by itself. Core emulates FUA, NO_HOLE, WRITE_ZEROES, COMPARE_AND_WRITE
    and BLOCK_STATUS where they are absent; it refuses DISCARD.

    Attributes:
        flags: The flags that it knows: it is sent no other.
        discard: Does DISCARD. A discarded extent reads as zeroes.
        write_zeroes: Does WRITE_ZEROES.
        compare_and_write: Does COMPARE_AND_WRITE, atomically against every other write.
        block_status: Knows its holes.
        durable: What was flushed survives a restart. False for memory.
        read_only: Refuses every write.
    """

    flags: Flag = NO_FLAGS
    discard: bool = False
    write_zeroes: bool = False
    compare_and_write: bool = False
    block_status: bool = False
    durable: bool = True
    read_only: bool = False

    def does(self, op: Op) -> bool:
        """True if the device does `op` by itself."""
        return {
            Op.DISCARD: self.discard,
            Op.WRITE_ZEROES: self.write_zeroes,
            Op.COMPARE_AND_WRITE: self.compare_and_write,
            Op.BLOCK_STATUS: self.block_status,
        }.get(op, True)


class Device(Protocol):
    """A block device that takes batches. Called on the data thread only.

    This says what core calls; what authors derive from is `BaseDevice`.
    """

    @property
    def geometry(self) -> Geometry:
        """The device's shape. It changes by `OpenContext.resized` alone."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it does by itself; constant while it is open."""
        ...

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Take a batch; never wait.

        On return, a request that has a status is answered and is not reported again. The others
        are pending: each is passed to `completed` exactly once, later, from the data thread, never
        from within this call. Requests are valid: in range, aligned, of an operation and with
        flags that the device has named. The list stays the caller's: what is to be taken out of it
        goes into another one.
        """
        ...

    def close(self, closed: Callable[[Status], None]) -> None:
        """Let go of everything, orderly; call `closed` when it is done (it may be from within).

        Nothing is under way when this is called and nothing is submitted after it.
        """
        ...


class BaseDevice:
    """What an engine that takes batches derives from: a method that a later contract adds has a
    default here.

    Attributes:
        geometry: Its shape; set it in `__init__`.
        capabilities: What it does by itself; nothing, unless it is set.

    Making:
        Blocking: yes, before anything is served.
        Failure: the volume is not served; the target is started again after growing pauses.
    Thread: data thread.
    Blocking: no.
    Failure: what it has not answered is answered with an error, told by name and counted.
    Since: contract 2.
    """

    geometry: Geometry
    capabilities: Capabilities = Capabilities()

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Take a batch; see `Device.submit`."""
        raise NotImplementedError

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """See `tierce.block.quiet`. Nothing that was answered is applied later.

        Failure: nothing is promised: who asked waits on.
        """
        quiet()

    def waits_for(self) -> Sequence[str]:
        """Name the members that what is pending waits for; see `tierce.block.waiting`.

        Failure: whom it waits for is not told.
        """
        return ()

    def close(self, closed: Callable[[Status], None]) -> None:
        """Let go of everything; see `Device.close`. Nothing is under way, nothing comes after it.

        Failure: it counts as closed, with an error; what lies below is closed all the same.
        """
        closed(GOOD)


class SimpleDevice:
    """What an engine on the simple level derives from, or looks like: `read` and `write` are all
    it must have. Raise OSError (or `tierce.DeviceError`) on failure; return None. What it may have
    besides: `SimpleExtras`.

    Making:
        Thread: by concurrency; `PARALLEL` the data thread.
        Blocking: yes, before anything is served.
        Failure: the volume is not served; the target is started again after growing pauses.
    Thread: by concurrency.
    Blocking: yes, but not `INLINE`, where every initiator of the volume waits with it.
    Failure: the request is answered with an error; what is neither an OSError nor a DeviceError is
        the plugin's mistake, told by name and counted.
    Since: contract 2.
    """

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        raise NotImplementedError

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`. `data` is the caller's again on return."""
        raise NotImplementedError

    def flush(self) -> None:
        """On return, every write that returned before survives loss of power."""

    def close(self) -> None:
        """Let go of everything.

        Thread: by concurrency; `INLINE` a worker thread.
        Blocking: yes.
        Failure: it counts as closed, with an error that is told.
        """


class SimpleExtras(Protocol):
    """What a device on the simple level may do besides. The methods are found when it is opened:
    that one is there is what says that the engine can do it.

    Thread: by concurrency.
    Blocking: yes, but not `INLINE`.
    Failure: as `SimpleDevice.read`.
    Since: contract 2.
    """

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes from now on, and give its space back if it can be."""
        ...

    def write_zeroes(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes from now on. Without it zeroes are written."""
        ...

    def extents(self, offset: int, length: int) -> Iterable[Extent]:
        """Tell which parts hold data, in order, without gaps. Core takes the first
        EXTENT_COUNT_MAX, so it is best a generator."""
        ...


__all__ = [
    "BaseDevice",
    "Capabilities",
    "Concurrency",
    "Device",
    "Extent",
    "Geometry",
    "SimpleDevice",
    "SimpleExtras",
]
