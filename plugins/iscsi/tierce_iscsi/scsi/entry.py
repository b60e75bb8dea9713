"""What the command table says of a command."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from tierce_iscsi.scsi.command import Command, Outcome
from tierce_iscsi.scsi.registrations import Access
from tierce_iscsi.scsi.unit import LogicalUnit

Handler = Callable[[LogicalUnit, Command], Outcome]

#: NACA, in the last byte of every CDB.
NACA = 0x04


def _no_data(_unit: LogicalUnit, _cdb: bytes) -> int:
    return 0


def _usage(text: str) -> bytes:
    usage = bytes.fromhex(text)
    return usage[:-1] + bytes((usage[-1] | NACA,)) if usage else usage


def _always(_unit: LogicalUnit) -> bool:
    return True


class Needs(enum.Enum):
    """How much data-out an initiator has to announce for a command that takes some."""

    #: All of it; what is more is dropped, and told as a residual.
    ALL = "all"
    #: Exactly as much: a length that differs says that initiator and CDB mean different things.
    EXACTLY = "exactly"
    #: Any number of whole blocks: they are written, the rest is told as a residual
    #: (RFC 7143 section 11.4.5.1).
    BLOCKS = "blocks"
    #: Any number of bytes, so too.
    BYTES = "bytes"


@attrs.frozen
class Entry:
    """One command.

    Attributes:
        handler: What does it.
        usage: The bits of its CDB that are looked at, as REPORT SUPPORTED OPERATION CODES
            gives them (SPC-4 section 6.35.3); its length is the CDB's.
        data_out: Bytes of data-out that it takes.
        needs: How much of them it can't do without.
        access: What reservations make of it.
        is_any_lun: Answers for a LUN that is not there too, and past a unit attention.
        is_supported: False where the device can't do it.
        actions: By service action, for an opcode that has them.
    """

    handler: Handler
    usage: bytes = attrs.field(converter=_usage)
    data_out: Callable[[LogicalUnit, bytes], int] = _no_data
    needs: Needs = Needs.ALL
    access: Access = Access.ANY
    is_any_lun: bool = False
    is_supported: Callable[[LogicalUnit], bool] = _always
    actions: dict[int, Entry] | None = None
