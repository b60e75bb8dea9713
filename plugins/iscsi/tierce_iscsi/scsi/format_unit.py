"""FORMAT UNIT, the command (SBC-3 section 5.2); tierce_iscsi.scsi.formatting does it."""

from __future__ import annotations

from collections.abc import Callable

from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Deferred, Outcome, Reply
from tierce_iscsi.scsi.formatting import Formatting
from tierce_iscsi.scsi.sense import invalid_field, invalid_parameter
from tierce_iscsi.scsi.unit import LogicalUnit

_SHORT_HEADER_BYTES, _LONG_HEADER_BYTES = 4, 8
#: Bits of the second byte of the CDB, and of the parameters.
_FMTPINFO, _LONGLIST, _FMTDATA, _DEFECT_LIST_FORMAT = 0xC0, 0x20, 0x10, 0x07
_FOV, _DCRT, _STPF, _IP = 0x80, 0x20, 0x10, 0x08


def format_length(unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of parameters that a FORMAT UNIT wants: a header without lists.

    Raises:
        CheckConditionError: It asks for protection information.
    """
    unit.check_writable()
    flags = cdb[1]
    if flags & _FMTPINFO:
        raise invalid_field(1)
    if not flags & _FMTDATA:
        if flags & (_LONGLIST | _DEFECT_LIST_FORMAT):
            raise invalid_field(1)
        return 0
    return _LONG_HEADER_BYTES if flags & _LONGLIST else _SHORT_HEADER_BYTES


def format_unit(unit: LogicalUnit, command: Command) -> Outcome:
    """FORMAT UNIT."""
    if command.wanted:
        _check_header(command.data)

    def begin(done: Callable[[Outcome], None], is_aborted: Callable[[], bool]) -> None:
        def ended(reply: Reply) -> None:
            unit.formatting = None
            done(reply)

        unit.formatting = Formatting(
            unit.device,
            can_discard=unit.can_discard,
            soon=unit.soon,
            ended=ended,
            is_aborted=is_aborted,
        )
        unit.formatting.go_on()

    return Deferred(begin)


def _check_header(data: memoryview) -> None:
    """Raise CheckConditionError if the parameters ask for more than zeroes."""
    options, is_long = data[1], len(data) == _LONG_HEADER_BYTES
    if data[0] & 0x07:
        # PROTECTION FIELD USAGE.
        raise invalid_parameter(0)
    if options & _IP or (not options & _FOV and options & (_DCRT | _STPF)):
        # An initialization pattern; or options that are said not to be valid.
        raise invalid_parameter(1)
    if is_long and data[3]:
        # P_I_INFORMATION and the protection interval.
        raise invalid_parameter(3)
    if be32(data, 4) if is_long else be16(data, 2):
        # A list of defects.
        raise invalid_parameter(4 if is_long else 2)
