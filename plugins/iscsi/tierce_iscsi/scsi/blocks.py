"""Commands that move or compare blocks: READ, WRITE, VERIFY, PRE-FETCH, SYNCHRONIZE CACHE,
COMPARE AND WRITE, ORWRITE (SBC-3 section 5)."""

from __future__ import annotations

from collections.abc import Callable

from tierce import NO_FLAGS, Code, Flag, Op, Request, first_difference
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.cdb import checked_extent, extent, extent_index, refuse_protection
from tierce_iscsi.scsi.command import Command, Outcome, Reply, Work, check_condition
from tierce_iscsi.scsi.pausing import pause
from tierce_iscsi.scsi.sense import (
    LBA_OUT_OF_RANGE,
    NOT_AS_EXPECTED,
    CheckConditionError,
    Key,
    Sense,
    invalid_field,
    sense_of,
)
from tierce_iscsi.scsi.unit import LogicalUnit

#: What is read, then compared and written, may lose so often against other writers.
CHANGE_ROUND_COUNT_MAX = 16


def transfer(unit: LogicalUnit, cdb: bytes) -> tuple[int, int]:
    """Return (offset, length) in bytes of a command that reads or writes, checked.

    Raises:
        CheckConditionError: Out of range, too long, or with protection information.
    """
    if cdb[0] >> 5:
        refuse_protection(cdb)
    lba, count = checked_extent(cdb, unit.block_count)
    if count * unit.block_size > limits.TRANSFER_BYTES_MAX:
        raise invalid_field(extent_index(cdb))
    return lba * unit.block_size, count * unit.block_size


def has_fua(cdb: bytes) -> bool:
    """True if FUA is set; CDBs of 6 bytes have none."""
    return bool(cdb[0] >> 5 and cdb[1] & 0x08)


def _flags(*, fua: bool) -> Flag:
    return Flag.FUA if fua else NO_FLAGS


def first_failure(unit: LogicalUnit, requests: list[Request]) -> Reply | None:
    """Return the reply that reports the first request that failed, None if all are good."""
    for request in requests:
        status = request.status
        assert status is not None, "looked at only when complete"
        if not status.is_good:
            return check_condition(sense_of(status, unit.block_size))
    return None


def read(unit: LogicalUnit, command: Command) -> Reply | Work:
    """READ(6), READ(10), READ(12), READ(16).

    FUA on a read asks for the medium's bytes: what the cache holds goes there first.
    """
    offset, length = transfer(unit, command.cdb)
    if not length:
        return Reply()

    def finish(requests: list[Request]) -> Reply:
        return first_failure(unit, requests) or Reply(requests[0].buffer or b"")

    def flushed(requests: list[Request]) -> Reply | Work:
        return first_failure(unit, requests) or Work([Request(Op.READ, offset, length)], finish)

    if has_fua(command.cdb):
        return Work([Request(Op.FLUSH)], flushed)
    return Work([Request(Op.READ, offset, length)], finish)


def write_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of data-out that a WRITE wants."""
    unit.check_writable()
    return transfer(unit, cdb)[1]


def write(unit: LogicalUnit, command: Command) -> Outcome:
    """WRITE(6), WRITE(10), WRITE(12), WRITE(16).

    An initiator that announced less than the CDB says gets that written, to the byte, and the rest
    told as residual; one that announced nothing gets all of it told so.
    """
    fua = has_fua(command.cdb)
    part = len(command.data) % unit.block_size
    if not part:
        return _write(unit, command, fua=fua)
    if not unit.can_compare:
        return check_condition(NOT_AS_EXPECTED, length=command.wanted)
    whole = len(command.data) - part
    offset, rest = transfer(unit, command.cdb)[0], command.data[whole:]

    def begin_of_block() -> Work:
        return _change(
            *(unit, offset + whole, unit.block_size, lambda old: bytes(rest) + old[part:]),
            lambda: Reply(length=command.wanted),
            fua=fua,
        )

    def written(requests: list[Request]) -> Outcome:
        return first_failure(unit, requests) or begin_of_block()

    if not whole:
        return begin_of_block()
    return Work([Request(Op.WRITE, offset, whole, command.data[:whole], _flags(fua=fua))], written)


def write_and_verify(unit: LogicalUnit, command: Command) -> Reply | Work:
    """WRITE AND VERIFY(10), (12), (16): written to the medium, then compared with BYTCHK=1.

    Without BYTCHK the medium's own check is asked for, which is the write's being durable.
    """
    bytchk = command.cdb[1] >> 1 & 3
    if bytchk > 1:
        raise invalid_field(1)
    return _write(unit, command, fua=True, is_verified=bytchk == 1)


def _write(
    unit: LogicalUnit, command: Command, *, fua: bool, is_verified: bool = False
) -> Reply | Work:
    offset, length = transfer(unit, command.cdb)
    data = command.data
    if not data:
        return Reply(length=length)

    def finish(requests: list[Request]) -> Reply | Work:
        failure = first_failure(unit, requests)
        if failure is None and is_verified:
            return _compare(unit, offset, data, length)
        return failure or Reply(length=length)

    return Work([Request(Op.WRITE, offset, len(data), data, _flags(fua=fua))], finish)


def verify_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of data-out that a VERIFY wants."""
    length = transfer(unit, cdb)[1]
    match cdb[1] >> 1 & 3:
        case 0:
            return 0
        case 1:
            return length
        case 3:
            return min(length, unit.block_size)
    raise invalid_field(1)


def verify(unit: LogicalUnit, command: Command) -> Reply | Work:
    """VERIFY(10), (12), (16): read; with BYTCHK=1 compare; with BYTCHK=3 every block with one."""
    offset, length = transfer(unit, command.cdb)
    wanted = command.wanted
    if not length:
        return Reply()
    if not wanted:
        return Work(
            [Request(Op.READ, offset, length)],
            lambda requests: first_failure(unit, requests) or Reply(),
        )
    data = command.data
    if wanted < length:
        data = memoryview(bytes(data) * (length // wanted))
    return _compare(unit, offset, data, wanted)


def _compare(unit: LogicalUnit, offset: int, data: memoryview, length: int) -> Work:
    """Read what is at `offset` and compare it with `data`; reply as for `length` bytes."""

    def finish(requests: list[Request]) -> Reply:
        failure = first_failure(unit, requests)
        if failure is not None:
            return failure
        found = requests[0].buffer
        assert found is not None, "a READ has a buffer"
        if found == data:
            return Reply(length=length)
        return check_condition(Sense(Key.MISCOMPARE, 0x1D00, first_difference(found, data)))

    return Work([Request(Op.READ, offset, len(data))], finish)


def prefetch(unit: LogicalUnit, command: Command) -> Reply:
    """PRE-FETCH(10), (16): a hint, whose range is checked. The kernel reads ahead by itself."""
    lba, count = extent(command.cdb)
    if lba + count > unit.block_count or lba >= unit.block_count:
        raise CheckConditionError(LBA_OUT_OF_RANGE)
    return Reply()


def synchronize_cache(unit: LogicalUnit, command: Command) -> Reply | Work:
    """SYNCHRONIZE CACHE(10), (16): the whole cache, whatever the range. IMMED is not honoured:
    an early GOOD would be a promise not yet kept."""
    lba, count = extent(command.cdb)
    if lba + count > unit.block_count or (lba and lba >= unit.block_count):
        raise CheckConditionError(LBA_OUT_OF_RANGE)
    return Work([Request(Op.FLUSH)], lambda requests: first_failure(unit, requests) or Reply())


def compare_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of data-out that a COMPARE AND WRITE wants: to compare, then to write."""
    unit.check_writable()
    refuse_protection(cdb)
    lba, count = int.from_bytes(cdb[2:10], "big"), cdb[13]
    if lba + count > unit.block_count or lba >= unit.block_count:
        raise CheckConditionError(LBA_OUT_OF_RANGE)
    if count > limits.COMPARE_BLOCK_COUNT_MAX:
        raise invalid_field(13)
    return 2 * count * unit.block_size


def compare_and_write(unit: LogicalUnit, command: Command) -> Reply | Work:
    """COMPARE AND WRITE (SBC-3 section 5.2), atomic in the device."""
    wanted = command.wanted
    if not wanted:
        return Reply()
    offset = int.from_bytes(command.cdb[2:10], "big") * unit.block_size
    request = Request(
        *(Op.COMPARE_AND_WRITE, offset, wanted // 2, command.data),
        flags=_flags(fua=bool(command.cdb[1] & 0x08)),
    )

    def finish(requests: list[Request]) -> Reply:
        status = requests[0].status
        assert status is not None, "looked at only when complete"
        if status.code is Code.MISCOMPARE:
            where = None if status.offset is None else status.offset - offset
            return check_condition(Sense(Key.MISCOMPARE, 0x1D00, where))
        return first_failure(unit, requests) or Reply(length=wanted)

    return Work([request], finish)


def or_write(unit: LogicalUnit, command: Command) -> Outcome:
    """ORWRITE(16): some blocks at a time."""
    offset, length = transfer(unit, command.cdb)
    fua = has_fua(command.cdb)
    at = 0

    def merge(old: bytes) -> bytes:
        mask = int.from_bytes(command.data[at : at + len(old)], "little")
        return (int.from_bytes(old, "little") | mask).to_bytes(len(old), "little")

    def step() -> Outcome:
        return _change(unit, offset + at, min(limits.OR_BYTES, length - at), merge, after, fua=fua)

    def after() -> Outcome:
        nonlocal at
        at += min(limits.OR_BYTES, length - at)
        return pause(unit, step) if at < length else Reply(length=length)

    return step() if length else Reply()


def _change(
    unit: LogicalUnit,
    offset: int,
    length: int,
    change: Callable[[bytes], bytes],
    after: Callable[[], Outcome],
    *,
    fua: bool,
) -> Work:
    """Read some blocks and write what `change` makes of them, if nothing has changed them since,
    else once more; go on with `after`."""
    rounds = 0

    def read() -> Work:
        buffer = memoryview(bytearray(length))
        return Work([Request(Op.READ, offset, length, buffer)], merge)

    def merge(requests: list[Request]) -> Outcome:
        failure = first_failure(unit, requests)
        if failure is not None:
            return failure
        old = bytes(requests[0].buffer or b"")
        both = memoryview(old + change(old))
        swap = Request(Op.COMPARE_AND_WRITE, offset, length, both, _flags(fua=fua))
        return Work([swap], compared)

    def compared(requests: list[Request]) -> Outcome:
        nonlocal rounds
        status = requests[0].status
        assert status is not None, "looked at only when complete"
        rounds += 1
        if status.code is Code.MISCOMPARE and rounds < CHANGE_ROUND_COUNT_MAX:
            return read()
        return first_failure(unit, requests) or after()

    return read()
