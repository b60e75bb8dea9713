"""Commands of thin provisioning: UNMAP, WRITE SAME, GET LBA STATUS (SBC-3 section 4.7)."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

from tierce import Extent, Op, Request
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.blocks import first_failure
from tierce_iscsi.scsi.cdb import (
    be16,
    be32,
    be64,
    checked_extent,
    extent_index,
    refuse_protection,
)
from tierce_iscsi.scsi.command import Command, Outcome, Reply, Work
from tierce_iscsi.scsi.pausing import pause
from tierce_iscsi.scsi.sense import (
    LBA_OUT_OF_RANGE,
    PARAMETER_LIST_LENGTH,
    CheckConditionError,
    invalid_field,
    invalid_parameter,
)
from tierce_iscsi.scsi.unit import LogicalUnit

_STATUS_DESCRIPTOR = struct.Struct(">QIB3x")
WRITE_SAME_16 = 0x93
MAPPED, DEALLOCATED = 0, 1


def unmap_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of parameters that an UNMAP wants."""
    unit.check_writable()
    if cdb[1] & 0x01:
        # ANCHOR: nothing is anchored here.
        raise invalid_field(1)
    return be16(cdb, 7)


def unmap(unit: LogicalUnit, command: Command) -> Reply | Work:
    """UNMAP (SBC-3 section 5.28): every descriptor is discarded, or none if one is wrong."""
    wanted, data = command.wanted, command.data
    if not wanted:
        return Reply()
    if len(data) < 8:
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    end = min(len(data), 8 + be16(data, 2))
    extents = [(be64(data, at), be32(data, at + 8)) for at in range(8, end - 15, 16)]
    if len(extents) > limits.UNMAP_DESCRIPTOR_COUNT_MAX:
        raise invalid_parameter(2)
    if any(lba + count > unit.block_count for lba, count in extents):
        raise CheckConditionError(LBA_OUT_OF_RANGE)
    size = unit.block_size
    if sum(count for _lba, count in extents) * size > limits.UNMAP_BYTES_MAX:
        raise invalid_parameter(8)
    requests = [Request(Op.DISCARD, lba * size, count * size) for lba, count in extents if count]
    if not requests:
        return Reply(length=wanted)
    return Work(requests, lambda done: first_failure(unit, done) or Reply(length=wanted))


def _has_no_data(cdb: bytes) -> bool:
    """True for NDOB, which only WRITE SAME(16) has."""
    return cdb[0] == WRITE_SAME_16 and bool(cdb[1] & 0x01)


def write_same_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of data-out that a WRITE SAME wants: one block, or none with NDOB."""
    unit.check_writable()
    refuse_protection(cdb)
    has_unmap = unit.can_discard and cdb[0] == WRITE_SAME_16
    if cdb[1] & 0x10 or (cdb[1] & 0x08 and not has_unmap):
        # ANCHOR; or UNMAP where nothing can be unmapped, or in WRITE SAME(10): LBPWS10 is 0.
        raise invalid_field(1)
    _same_extent(unit, cdb)
    return 0 if _has_no_data(cdb) else unit.block_size


def _same_extent(unit: LogicalUnit, cdb: bytes) -> tuple[int, int]:
    """Return (offset, length) in bytes; 0 blocks mean "to the end" (WSNZ is 0)."""
    lba, count = checked_extent(cdb, unit.block_count)
    count = count or unit.block_count - lba
    if count > limits.WRITE_SAME_BLOCK_COUNT_MAX:
        raise invalid_field(extent_index(cdb))
    return lba * unit.block_size, count * unit.block_size


def write_same(unit: LogicalUnit, command: Command) -> Outcome:
    """WRITE SAME(10), (16) (SBC-3 section 5.46), some of it at a time."""
    wanted = command.wanted
    offset, length = _same_extent(unit, command.cdb)
    block = bytes(command.data)
    if block.strip(b"\0"):
        piece = memoryview(block * (min(length, limits.PATTERN_BYTES) // len(block)))
        steps = _pattern(offset, length, piece)
    else:
        steps = _zeroes(offset, length, Op.DISCARD if command.cdb[1] & 0x08 else Op.WRITE_ZEROES)

    requests: list[Request] | None = next(steps)

    def go_on() -> Work:
        nonlocal requests
        current, requests = requests, next(steps, None)
        assert current is not None, "gone on with only while there is more"
        return Work(current, completed)

    def completed(done: list[Request]) -> Outcome:
        failure = first_failure(unit, done)
        if failure is not None:
            return failure
        return Reply(length=wanted) if requests is None else pause(unit, go_on)

    return go_on()


def _pattern(offset: int, length: int, piece: memoryview) -> Iterator[list[Request]]:
    """Yield writes of a repeated piece that all share its buffer."""
    step = limits.PATTERN_COUNT * len(piece)
    for begin in range(0, length, step):
        end = min(length, begin + step)
        yield [
            Request(Op.WRITE, offset + at, min(len(piece), end - at), piece[: end - at])
            for at in range(begin, end, len(piece))
        ]


def _zeroes(offset: int, length: int, op: Op) -> Iterator[list[Request]]:
    """Yield writes of zeroes, or discards."""
    for at in range(0, length, limits.ZERO_BYTES):
        yield [Request(op, offset + at, min(limits.ZERO_BYTES, length - at))]


def block_runs(extents: tuple[Extent, ...], block_size: int) -> Iterator[tuple[int, int, bool]]:
    """Yield (LBA, block count, whether it is a hole) of extents that need not fit blocks: a block
    of which a part holds data is mapped."""
    at = extents[0].offset // block_size
    last = extents[-1]
    end = (last.offset + last.length) // block_size
    if not last.is_hole:
        end = -(-(last.offset + last.length) // block_size)
    for is_hole, neighbours in itertools.groupby(extents, lambda extent: extent.is_hole):
        run = list(neighbours)
        first = -(-run[0].offset // block_size)
        stop = (run[-1].offset + run[-1].length) // block_size
        if is_hole and first < stop:
            if at < first:
                yield at, first - at, False
            yield first, stop - first, True
            at = stop
    if at < end:
        yield at, end - at, False


def get_lba_status(unit: LogicalUnit, command: Command) -> Reply | Work:
    """GET LBA STATUS (SBC-3 section 5.4): which blocks from an LBA on are mapped."""
    lba, allocation = be64(command.cdb, 2), be32(command.cdb, 10)
    if lba >= unit.block_count:
        raise CheckConditionError(LBA_OUT_OF_RANGE)
    offset = lba * unit.block_size
    length = min(unit.block_count * unit.block_size - offset, limits.STATUS_BYTES_MAX)

    def finish(requests: list[Request]) -> Reply:
        failure = first_failure(unit, requests)
        if failure is not None:
            return failure
        descriptors = b"".join(
            _STATUS_DESCRIPTOR.pack(first, count, DEALLOCATED if is_hole else MAPPED)
            for first, count, is_hole in block_runs(requests[0].extents, unit.block_size)
        )
        return Reply((struct.pack(">I4x", 4 + len(descriptors)) + descriptors)[:allocation])

    return Work([Request(Op.BLOCK_STATUS, offset, length)], finish)
