"""EXTENDED COPY and RECEIVE COPY RESULTS with a list identifier of one byte (SPC-4 6.3, 6.24).

Hypervisors clone a disk image within one volume by it, without moving a byte over the network.
What is copied here is blocks to blocks, from this unit to this unit; another unit is a target that
can't be reached. Everything is checked before the first block is copied.

The parameter list: a header of 16 bytes, copy targets of 32 bytes (only identification descriptors,
E4h), segments of 28 bytes (only block to block, 02h), no inline data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import attrs

from tierce import Op, Request
from tierce_iscsi.scsi import limits, vpd
from tierce_iscsi.scsi.blocks import first_failure
from tierce_iscsi.scsi.cdb import be16, be32, be64
from tierce_iscsi.scsi.command import Command, Nexus, Outcome, Reply, Work
from tierce_iscsi.scsi.copy_results import RESULT_COUNT_MAX, Result
from tierce_iscsi.scsi.pausing import pause
from tierce_iscsi.scsi.sense import (
    PARAMETER_LIST_LENGTH,
    CheckConditionError,
    Key,
    Sense,
    invalid_field,
    invalid_parameter,
)
from tierce_iscsi.scsi.unit import LogicalUnit

_HEADER_BYTES, _TARGET_BYTES, _SEGMENT_BYTES = 16, 32, 28
LIST_BYTES_MAX = (
    _TARGET_BYTES * limits.COPY_TARGET_COUNT_MAX + _SEGMENT_BYTES * limits.COPY_SEGMENT_COUNT_MAX
)
_IDENTIFICATION, _BLOCK_TO_BLOCK = 0xE4, 0x02
#: LIST ID USAGE: no results are held.
_DISCARD_RESULTS = 3

_TOO_MANY_TARGETS = Sense(Key.ILLEGAL_REQUEST, 0x2606)
_UNKNOWN_TARGET_TYPE = Sense(Key.ILLEGAL_REQUEST, 0x2607)
_TOO_MANY_SEGMENTS = Sense(Key.ILLEGAL_REQUEST, 0x2608)
_UNKNOWN_SEGMENT_TYPE = Sense(Key.ILLEGAL_REQUEST, 0x2609)
#: UNREACHABLE COPY TARGET: a segment names a target that the list has not.
_NO_SUCH_TARGET = Sense(Key.COPY_ABORTED, 0x0804)
#: COPY TARGET DEVICE NOT REACHABLE
_NOT_THIS_UNIT = Sense(Key.COPY_ABORTED, 0x0D02)
#: A segment that reaches past the end.
_OUT_OF_RANGE = Sense(Key.COPY_ABORTED, 0x0000)


@attrs.frozen
class Segment:
    """A run of blocks to copy; offsets and length in bytes."""

    source: int
    destination: int
    length: int


# -- the parameter list ----------------------------------------------------------------------------


def copy_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of parameters that an EXTENDED COPY wants.

    Raises:
        CheckConditionError: PARAMETER LIST LENGTH ERROR.
    """
    unit.check_writable()
    length = be32(cdb, 10)
    if length and not _HEADER_BYTES <= length <= _HEADER_BYTES + LIST_BYTES_MAX:
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    return length


def _segments(unit: LogicalUnit, data: memoryview) -> list[Segment]:
    """Read the whole list.

    Raises:
        CheckConditionError: Something in it is wrong, or is not done here.
    """
    target_bytes, segment_bytes = be16(data, 2), be32(data, 8)
    if be32(data, 12):
        # Inline data.
        raise invalid_parameter(12)
    if _HEADER_BYTES + target_bytes + segment_bytes > len(data):
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    if target_bytes % _TARGET_BYTES:
        raise invalid_parameter(2)
    if target_bytes // _TARGET_BYTES > limits.COPY_TARGET_COUNT_MAX:
        raise CheckConditionError(_TOO_MANY_TARGETS)
    first = _HEADER_BYTES + target_bytes
    for at in range(_HEADER_BYTES, first, _TARGET_BYTES):
        if data[at] != _IDENTIFICATION:
            raise CheckConditionError(_UNKNOWN_TARGET_TYPE)
    is_here = [_is_this_unit(unit, data, at) for at in range(_HEADER_BYTES, first, _TARGET_BYTES)]
    segments: list[Segment] = []
    at, end = first, first + segment_bytes
    while at < end:
        if data[at] != _BLOCK_TO_BLOCK:
            raise CheckConditionError(_UNKNOWN_SEGMENT_TYPE)
        if len(segments) == limits.COPY_SEGMENT_COUNT_MAX:
            raise CheckConditionError(_TOO_MANY_SEGMENTS)
        if at + _SEGMENT_BYTES > end:
            raise CheckConditionError(PARAMETER_LIST_LENGTH)
        segments.append(_segment(unit, data, at, is_here))
        at += _SEGMENT_BYTES
    return segments


def _is_this_unit(unit: LogicalUnit, data: memoryview, at: int) -> bool:
    """True if a copy target's identification is our NAA name, with our kind and size of blocks."""
    name = vpd.unit_name(unit)
    kind = struct.pack(">BBxB", 0x01, 0x03, len(name))
    return (
        data[at + 1] & 0x1F == 0
        and bytes(data[at + 4 : at + 8 + len(name)]) == kind + name
        and be32(data, at + 28) & 0xFFFFFF == unit.block_size
    )


def _segment(unit: LogicalUnit, data: memoryview, at: int, is_here: list[bool]) -> Segment:
    if be16(data, at + 2) != _SEGMENT_BYTES - 4:
        raise invalid_parameter(at + 2)
    for index in (be16(data, at + 4), be16(data, at + 6)):
        if index >= len(is_here):
            raise CheckConditionError(_NO_SUCH_TARGET)
        if not is_here[index]:
            raise CheckConditionError(_NOT_THIS_UNIT)
    count, size = be16(data, at + 10), unit.block_size
    source, destination = be64(data, at + 12), be64(data, at + 20)
    if max(source, destination) + count > unit.block_count:
        raise CheckConditionError(_OUT_OF_RANGE)
    if count * size > limits.COPY_SEGMENT_BYTES_MAX:
        raise invalid_parameter(at + 10)
    return Segment(source * size, destination * size, count * size)


# -- copying ---------------------------------------------------------------------------------------


def extended_copy(unit: LogicalUnit, command: Command) -> Outcome:
    """EXTENDED COPY: each segment in turn, some of it at a time."""
    if not command.wanted:
        return Reply()
    data = command.data
    list_id = data[0] if data[1] >> 3 & 3 != _DISCARD_RESULTS else None
    segments = _segments(unit, data)
    return _Copy(unit, command.nexus, list_id, command.wanted, segments).go_on()


class _Copy:
    """One copy under way: the memory that its first read was given serves all the others."""

    def __init__(
        self,
        unit: LogicalUnit,
        nexus: Nexus,
        list_id: int | None,
        length: int,
        segments: list[Segment],
    ) -> None:
        self._unit = unit
        self._nexus = nexus
        self._list_id = list_id
        self._length = length
        self._piece_bytes = min(limits.COPY_BYTES, max((one.length for one in segments), default=0))
        self._pieces = pieces(segments, self._piece_bytes)
        self._memory: memoryview | None = None
        self._segment_count = self._byte_count = 0

    def go_on(self) -> Outcome:
        """Copy the next piece."""
        piece = next(self._pieces, None)
        if piece is None:
            return self._end(Reply(length=self._length))
        source, destination, length, is_last = piece
        read_at, read_bytes = source, length
        if self._memory is None:
            # As much as the longest piece will need, wherever the unit has it around this one.
            read_bytes = self._piece_bytes
            read_at = min(source, self._unit.block_count * self._unit.block_size - read_bytes)

        def written(requests: list[Request]) -> Outcome:
            failure = first_failure(self._unit, requests)
            if failure is not None:
                return self._end(failure)
            self._byte_count += length
            self._segment_count += is_last
            return pause(self._unit, self.go_on)

        def read(requests: list[Request]) -> Outcome:
            failure = first_failure(self._unit, requests)
            if failure is not None:
                return self._end(failure)
            found = requests[0].buffer
            assert found is not None, "a READ has a buffer"
            self._memory = self._memory or found
            data = found[source - read_at :][:length]
            return Work([Request(Op.WRITE, destination, length, data)], written)

        buffer = None if self._memory is None else self._memory[:length]
        return Work([Request(Op.READ, read_at, read_bytes, buffer)], read)

    def _end(self, reply: Reply) -> Reply:
        if self._list_id is not None:
            is_good = not reply.status
            result = Result(is_good, self._segment_count, self._byte_count)
            self._unit.copies.add(self._nexus, self._list_id, result)
        return reply


def pieces(segments: list[Segment], step: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (source, destination, length, whether it is its segment's last).

    Of a segment that is copied towards the end, the last piece comes first, so that nothing is
    overwritten before it is copied; within a piece all is read before any is written.
    """
    for segment in segments:
        starts = range(0, segment.length, step or 1)
        if segment.source < segment.destination:
            starts = starts[::-1]
        for done, at in enumerate(starts, 1):
            length = min(step, segment.length - at)
            yield segment.source + at, segment.destination + at, length, done == len(starts)


# -- results ---------------------------------------------------------------------------------------


def copy_status(unit: LogicalUnit, command: Command) -> Reply:
    """RECEIVE COPY RESULTS, COPY STATUS: of a copy that has ended, once. A session whose copy goes
    on waits for its answer."""
    cdb = command.cdb
    result = unit.copies.take(command.nexus, cdb[2])
    if result is None:
        raise invalid_field(2)
    status = 0x01 if result.is_good else 0x02
    # Transfer count in bytes, as many as fit.
    count = min(result.byte_count, 0xFFFFFFFF)
    data = struct.pack(">IBHBI", 8, status, result.segment_count, 0x00, count)
    return Reply(data[: be32(cdb, 10)])


def operating_parameters(unit: LogicalUnit, command: Command) -> Reply:
    """RECEIVE COPY RESULTS, OPERATING PARAMETERS: what a copy may ask for. SNLID: it may go without
    a list identifier."""
    data = struct.pack(
        ">B3xHHIIIII2xHBBBB3xBBB",
        *(0x01, limits.COPY_TARGET_COUNT_MAX, limits.COPY_SEGMENT_COUNT_MAX),
        # No inline data, no held data, no streams.
        *(LIST_BYTES_MAX, limits.COPY_SEGMENT_BYTES_MAX, 0, 0, 0),
        # Copies at once; granularities as powers of two: that of segments is a block.
        *(RESULT_COUNT_MAX, RESULT_COUNT_MAX, unit.block_size.bit_length() - 1, 0, 0),
        *(2, _BLOCK_TO_BLOCK, _IDENTIFICATION),
    )
    return Reply((struct.pack(">I", len(data)) + data)[: be32(command.cdb, 10)])
