"""The operations that travel from a front end to a device, one batch at a time."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tierce.block.status import Status


class Op(enum.IntEnum):
    """What a request asks for. The numbers index the counters of `tierce.volume.statistics`."""

    READ = 0
    WRITE = 1
    FLUSH = 2
    DISCARD = 3
    WRITE_ZEROES = 4
    COMPARE_AND_WRITE = 5
    BLOCK_STATUS = 6


class Flag(enum.IntFlag):
    """How a request is to be done. Default-deny, as operations are: a device or filter that does
    not say that it knows a flag is never sent it; core does it by other means, or refuses."""

    #: WRITE, WRITE_ZEROES, DISCARD, COMPARE_AND_WRITE: durable before the answer.
    FUA = 1
    #: WRITE_ZEROES: the extent stays allocated; a later write there finds its space.
    NO_HOLE = 2


#: What most requests carry. A constant: to make a Flag costs more than to make a request.
NO_FLAGS = Flag(0)

#: Flags that an operation may carry.
FLAGS_OF: Mapping[Op, Flag] = {
    Op.READ: NO_FLAGS,
    Op.WRITE: Flag.FUA,
    Op.FLUSH: NO_FLAGS,
    Op.DISCARD: Flag.FUA,
    Op.WRITE_ZEROES: Flag.FUA | Flag.NO_HOLE,
    Op.COMPARE_AND_WRITE: Flag.FUA,
    Op.BLOCK_STATUS: NO_FLAGS,
}

#: Extents of one BLOCK_STATUS: a fragmented gigabyte has a hundred thousand, and whoever makes
#: values of them all at once keeps a data thread busy for a tenth of a second.
EXTENT_COUNT_MAX = 1024


@attrs.frozen
class Extent:
    """A run of bytes on a device.

    Attributes:
        offset: First byte.
        length: Bytes.
        is_hole: True if the extent holds no data and reads as zeroes.
    """

    offset: int
    length: int
    is_hole: bool


@attrs.define(eq=False, init=False)
class Request:
    """One operation under way.

    The front end owns `buffer` until it submits the request; the device owns it from then
    until the request has a status. A device never keeps a view of it after that.

    Attributes:
        op: What to do.
        offset: First byte, a multiple of the block size. 0 for FLUSH.
        length: Bytes, a multiple of the block size. 0 for FLUSH.
        buffer: READ: where the bytes go (exactly `length` of them). WRITE: the bytes to
            write. COMPARE_AND_WRITE: `length` bytes to compare, then `length` to write.
            Otherwise None. Contiguous, format 'B'.
        flags: How to do it. A test for none is cheap (`if request.flags`), one for a certain flag
            is a call: ask for none first.
        tag: The submitter's own; devices hand it back untouched.
        trace: What follows this operation from the front end down to the medium; None while
            nothing does. Of what is made of a request (`derive`), the request itself while nothing
            follows that: who is slow below is slow for it.
        status: None while pending; set exactly once, before `Completed` is called.
        extents: BLOCK_STATUS: the answer, in order from `offset` on, without gaps, at least one. It
            may end before `offset+length`, and has at most EXTENT_COUNT_MAX: whoever wants to know
            more goes on from where it ends.
    """

    op: Op
    offset: int
    length: int
    buffer: memoryview | None
    flags: Flag
    tag: Any
    trace: Any
    status: Status | None
    extents: tuple[Extent, ...]

    def __init__(
        self,
        op: Op,
        offset: int = 0,
        length: int = 0,
        buffer: memoryview | None = None,
        flags: Flag = NO_FLAGS,
        tag: Any = None,
        trace: Any = None,
    ) -> None:
        # Written out: attrs' own __init__ would set the two results by keyword defaults,
        # and this runs once per I/O.
        self.op = op
        self.offset = offset
        self.length = length
        self.buffer = buffer
        self.flags = flags
        self.tag = tag
        self.trace = trace
        self.status = None
        self.extents = ()

    def derive(
        self,
        op: Op,
        offset: int,
        length: int,
        buffer: memoryview | None = None,
        *,
        flags: Flag | None = None,
    ) -> Request:
        """Make a part or a rewrite of this request, for the device below.

        It keeps the flags, unless others are given, and the trace: who follows the request sees
        what became of it. The tag is the new submitter's to set.
        """
        kept = self.flags if flags is None else flags
        trace = self if self.trace is None else self.trace
        return Request(op, offset, length, buffer, kept, None, trace)


#: Called on the data thread with requests that were pending and now have a status.
Completed = Callable[[list[Request]], None]
