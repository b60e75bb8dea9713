"""FORMAT UNIT: every block reads as zeroes afterwards (SBC-3 section 5.2).

While it lasts the unit is not ready, for everybody, and says how far it is. It is answered when it
is done and durable: IMMED is not honoured, as an early GOOD would be a promise not yet kept. Who
aborts it, or is gone, stops it where it is; the unit is ready then, and formatted in part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tierce import Op, Request
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Deferred, Outcome, Reply, check_condition
from tierce_iscsi.scsi.sense import Key, Sense, invalid_field, invalid_parameter, sense_of

if TYPE_CHECKING:
    from tierce_iscsi.scsi.unit import LogicalUnit

#: LOGICAL UNIT NOT READY, FORMAT IN PROGRESS
_IN_PROGRESS = 0x0404
_PROGRESS_UNITS = 0x10000
_SHORT_HEADER_BYTES, _LONG_HEADER_BYTES = 4, 8
#: Bits of the second byte of the CDB, and of the parameters.
_FMTPINFO, _LONGLIST, _FMTDATA, _DEFECT_LIST_FORMAT = 0xC0, 0x20, 0x10, 0x07
_FOV, _DCRT, _STPF, _IP = 0x80, 0x20, 0x10, 0x08


class Formatting:
    """A format under way.

    Attributes:
        done_bytes: How far it is.
    """

    def __init__(
        self,
        unit: LogicalUnit,
        done: Callable[[Outcome], None],
        is_aborted: Callable[[], bool],
    ) -> None:
        self._unit = unit
        self._done = done
        self._is_aborted = is_aborted
        self._size_bytes = unit.block_count * unit.block_size
        self._op = Op.DISCARD if unit.can_discard else Op.WRITE_ZEROES
        self.done_bytes = 0

    @property
    def sense(self) -> Sense:
        """What everybody is told meanwhile."""
        progress = self.done_bytes * _PROGRESS_UNITS // self._size_bytes
        return Sense(Key.NOT_READY, _IN_PROGRESS, progress=min(progress, _PROGRESS_UNITS - 1))

    def go_on(self) -> None:
        """Zero the next piece; after the last, flush."""
        if self._is_aborted():
            self._end(Reply())
            return
        length = min(limits.ZERO_BYTES, self._size_bytes - self.done_bytes)
        request = Request(self._op, self.done_bytes, length) if length else Request(Op.FLUSH)
        self._unit.device.submit([request], self._settled)
        if request.status is not None:
            self._settled([request])

    def _settled(self, requests: list[Request]) -> None:
        (request,) = requests
        status = request.status
        assert status is not None, "settled requests have a status"
        if not status.is_good:
            self._end(check_condition(sense_of(status, self._unit.block_size)))
        elif request.op is Op.FLUSH:
            self._end(Reply(length=0))
        else:
            self.done_bytes += request.length
            self._unit.soon(self.go_on)

    def _end(self, reply: Reply) -> None:
        self._unit.formatting = None
        self._done(reply)


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
        unit.formatting = Formatting(unit, done, is_aborted)
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
