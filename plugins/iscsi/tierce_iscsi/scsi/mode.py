"""MODE SENSE and MODE SELECT (SPC-4 sections 6.11 to 6.14 and 7.5, SBC-3 section 6.4)."""

from __future__ import annotations

import struct

from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.sense import (
    PARAMETER_LIST_LENGTH,
    CheckConditionError,
    Key,
    Sense,
    invalid_field,
    invalid_parameter,
)
from tierce_iscsi.scsi.unit import LogicalUnit

ALL_PAGES = 0x3F
CURRENT, CHANGEABLE, DEFAULT, SAVED = 0, 1, 2, 3
_SAVING_NOT_SUPPORTED = Sense(Key.ILLEGAL_REQUEST, 0x3900)
#: WP and DPOFUA of the device-specific parameter (SBC-3 table 152).
_WRITE_PROTECT, _DPO_FUA = 0x80, 0x10


def _recovery(_unit: LogicalUnit) -> bytes:
    """Read-write error recovery: retries are the medium's own affair, and blocks move as it
    likes."""
    return struct.pack(">BB10x", 0x01, 0x0A)


def _caching(_unit: LogicalUnit) -> bytes:
    """WCE: writes are acknowledged before they are durable; SYNCHRONIZE CACHE makes them so."""
    return struct.pack(">BBB17x", 0x08, 0x12, 0x04)


def _control(_unit: LogicalUnit) -> bytes:
    """One task set for all initiators; reordering is unrestricted; fixed format sense. TAS: tasks
    that another initiator's function ends are answered with TASK ABORTED."""
    return struct.pack(">BBBBBBHHH", 0x0A, 0x0A, 0x00, 0x10, 0, 0x40, 0, 0, 0)


def _exceptions(_unit: LogicalUnit) -> bytes:
    """Informational exceptions control: none are reported."""
    return struct.pack(">BB10x", 0x1C, 0x0A)


_PAGES = {0x01: _recovery, 0x08: _caching, 0x0A: _control, 0x1C: _exceptions}


def mode_sense(unit: LogicalUnit, command: Command) -> Reply:
    """MODE SENSE(6) and (10). No page can be changed, so the changeable values are 0."""
    cdb = command.cdb
    is_long = cdb[0] == 0x5A
    control, code, subpage = cdb[2] >> 6, cdb[2] & 0x3F, cdb[3]
    if control == SAVED:
        raise CheckConditionError(_SAVING_NOT_SUPPORTED)
    if subpage not in {0x00, 0xFF} or (subpage and code != ALL_PAGES):
        raise invalid_field(3)
    if code != ALL_PAGES and code not in _PAGES:
        raise invalid_field(2)
    pages = b"".join(
        page[:2] + bytes(len(page) - 2) if control == CHANGEABLE else page
        for page in (
            make(unit) for number, make in sorted(_PAGES.items()) if code in {ALL_PAGES, number}
        )
    )
    descriptor = b"" if cdb[1] & 0x08 else _block_descriptor(unit)
    specific = _DPO_FUA | (_WRITE_PROTECT if unit.is_read_only else 0)
    if is_long:
        length = 6 + len(descriptor) + len(pages)
        head = struct.pack(">HBBBxH", length, 0, specific, 0, len(descriptor))
        allocation = be16(cdb, 7)
    else:
        head = bytes((3 + len(descriptor) + len(pages), 0, specific, len(descriptor)))
        allocation = cdb[4]
    return Reply((head + descriptor + pages)[:allocation])


def _block_descriptor(unit: LogicalUnit) -> bytes:
    """The short block descriptor (SBC-3 section 6.4.2.2)."""
    return struct.pack(">II", min(unit.block_count, 0xFFFFFFFF), unit.block_size)


def mode_select_length(_unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of parameters that a MODE SELECT brings."""
    return be16(cdb, 7) if cdb[0] == 0x55 else cdb[4]


def mode_select(unit: LogicalUnit, command: Command) -> Reply:
    """MODE SELECT(6) and (10): takes what is so already, refuses every change."""
    cdb, data = command.cdb, command.data
    if not cdb[1] & 0x10 or cdb[1] & 0x01:
        # PF must be set: the pages are SPC's; SP: nothing can be saved.
        raise invalid_field(1)
    wanted = command.wanted
    if not wanted:
        return Reply()
    is_long = cdb[0] == 0x55
    head = 8 if is_long else 4
    if len(data) < head:
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    descriptors = be16(data, 6) if is_long else data[3]
    at = head + descriptors
    if descriptors not in {0, 8} or at > len(data):
        raise invalid_parameter(head - 1)
    if descriptors:
        _check_descriptor(unit, data, head)
    while at < len(data):
        at = _check_page(unit, data, at)
    return Reply(length=wanted)


def _check_descriptor(unit: LogicalUnit, data: memoryview, at: int) -> None:
    """Raise CheckConditionError if a short block descriptor asks for another size: 0, and all ones
    for the count, mean the one that there is."""
    if be32(data, at) not in {0, 0xFFFFFFFF, unit.block_count}:
        raise invalid_parameter(at)
    if be32(data, at + 4) & 0xFFFFFF not in {0, unit.block_size}:
        raise invalid_parameter(at + 5)


def _check_page(unit: LogicalUnit, data: memoryview, at: int) -> int:
    """Return where the next page begins, if this one changes nothing."""
    make = _PAGES.get(data[at] & 0x3F)
    if make is None or data[at] & 0x40:
        raise invalid_parameter(at)
    page = make(unit)
    if at + len(page) > len(data):
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    for index in range(1, len(page)):
        if data[at + index] != page[index]:
            raise invalid_parameter(at + index)
    return at + len(page)
