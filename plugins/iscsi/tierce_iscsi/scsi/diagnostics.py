"""Commands that ask how the unit does (SPC-4 sections 6.6, 6.42 and 7.3, SBC-3 section 5.18)."""

from __future__ import annotations

import struct

from tierce import Op, Request
from tierce_iscsi.scsi.blocks import first_failure
from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Reply, Work
from tierce_iscsi.scsi.sense import invalid_field
from tierce_iscsi.scsi.unit import LogicalUnit

_SUPPORTED, _EXCEPTIONS = 0x00, 0x2F
_SUBPAGES = 0xFF
#: Parameter 0 of the Informational Exceptions page, in binary, read only; no exception, and a
#: temperature that is not known.
_NO_EXCEPTION = struct.pack(">HBBBBBx", 0x0000, 0x03, 4, 0, 0, 0xFF)


def send_diagnostic(unit: LogicalUnit, command: Command) -> Reply | Work:
    """SEND DIAGNOSTIC: the default self-test reads the first block, and flushes. There are no
    diagnostic pages, and no self-tests that run by themselves."""
    cdb = command.cdb
    if cdb[1] >> 5:
        # SELF-TEST CODE.
        raise invalid_field(1)
    if be16(cdb, 3):
        raise invalid_field(3)
    if not cdb[1] & 0x04:
        return Reply()

    def finish(requests: list[Request]) -> Reply:
        return first_failure(unit, requests) or Reply()

    return Work([Request(Op.READ, 0, unit.block_size), Request(Op.FLUSH)], finish)


def log_sense(_unit: LogicalUnit, command: Command) -> Reply:
    """LOG SENSE: which pages there are, and Informational Exceptions, of which there are none:
    statistics are told by `tierce volume show`, in more detail than a log page has room for."""
    cdb = command.cdb
    if cdb[1] & 0x03:
        # PPC is obsolete; SP: nothing can be saved.
        raise invalid_field(1)
    page, subpage = cdb[2] & 0x3F, cdb[3]
    if page not in {_SUPPORTED, _EXCEPTIONS}:
        raise invalid_field(2)
    if subpage and (subpage, page) != (_SUBPAGES, _SUPPORTED):
        raise invalid_field(3)
    if be16(cdb, 5):
        # PARAMETER POINTER.
        raise invalid_field(5)
    if page == _EXCEPTIONS:
        body = _NO_EXCEPTION
    elif subpage:
        # Each with its subpage; the bit says that the page's own header has one.
        body, page = bytes((_SUPPORTED, 0, _SUPPORTED, _SUBPAGES, _EXCEPTIONS, 0)), page | 0x40
    else:
        body = bytes((_SUPPORTED, _EXCEPTIONS))
    return Reply((struct.pack(">BBH", page, subpage, len(body)) + body)[: be16(cdb, 7)])


def read_defects_10(_unit: LogicalUnit, command: Command) -> Reply:
    """READ DEFECT DATA(10): lists in the format that is asked for, with nothing in them."""
    return Reply(struct.pack(">xBH", command.cdb[2] & 0x1F, 0)[: be16(command.cdb, 7)])


def read_defects_12(_unit: LogicalUnit, command: Command) -> Reply:
    """READ DEFECT DATA(12): as (10), with a generation that never changes."""
    return Reply(struct.pack(">xBHI", command.cdb[1] & 0x1F, 0, 0)[: be32(command.cdb, 6)])
