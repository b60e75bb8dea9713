"""INQUIRY, and what initiators ask to find paths (SPC-4 sections 6.6 and 6.36)."""

from __future__ import annotations

import struct

from tierce_iscsi.scsi import vpd
from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.sense import invalid_field
from tierce_iscsi.scsi.unit import LogicalUnit

#: SPC-4, SBC-3, iSCSI: what we claim to follow (SPC-4 table 142).
VERSION_DESCRIPTORS = (0x0460, 0x04C0, 0x0960)
#: Peripheral qualifier 3, type 1Fh: a LUN with nothing behind it (SPC-4 table 140).
_NO_UNIT = 0x7F
_ABSENT = bytes((_NO_UNIT, 0, 0x06, 0x02, 31)).ljust(36, b"\0")
#: T10's vendor identification field for a product revision.
REVISION = "0001"
#: TPGS: the state of target port groups is never changed by initiators; 3PC: EXTENDED COPY.
_IMPLICIT_PORT_GROUPS, _THIRD_PARTY_COPY = 0x10, 0x08


def inquiry(unit: LogicalUnit, command: Command) -> Reply:
    """INQUIRY: the standard data, or with EVPD one page."""
    cdb = command.cdb
    allocation = be16(cdb, 3)
    if cdb[1] & 0xFE:
        raise invalid_field(1)
    if not cdb[1] & 0x01:
        if cdb[2]:
            raise invalid_field(2)
        return Reply((_ABSENT if command.lun else _standard(unit))[:allocation])
    if command.lun:
        # Of a unit that is not there no page is known, and the list of pages says so.
        if cdb[2]:
            raise invalid_field(2)
        return Reply(bytes((_NO_UNIT, 0, 0, 1, 0))[:allocation])
    page = vpd.PAGES.get(cdb[2])
    if page is None:
        raise invalid_field(2)
    body = page(unit)
    return Reply((struct.pack(">BBH", 0, cdb[2], len(body)) + body)[:allocation])


def _standard(unit: LogicalUnit) -> bytes:
    """Standard INQUIRY data: a disk that follows SPC-4, with command queuing."""
    versions = b"".join(struct.pack(">H", version) for version in VERSION_DESCRIPTORS)
    head = bytes((0x00, 0x00, 0x06, 0x02, 0, _IMPLICIT_PORT_GROUPS | _THIRD_PARTY_COPY, 0x00, 0x02))
    identity = vpd.text(unit.vendor, 8) + vpd.text(unit.product, 16) + vpd.text(REVISION, 4)
    data = bytearray(head + identity + bytes(22) + versions.ljust(16, b"\0") + bytes(22))
    assert len(data) == 96, "SPC-4 table 139"
    data[4] = len(data) - 5
    return bytes(data)


def report_port_groups(_unit: LogicalUnit, command: Command) -> Reply:
    """REPORT TARGET PORT GROUPS: one group of one port, always active and optimized, whichever
    portal is used: they all lead to this one target."""
    cdb = command.cdb
    # AAS 0; AO_SUP; status 0, none given.
    group = struct.pack(">BBHxBxBHH", 0x00, 0x01, vpd.PORT_GROUP, 0, 1, 0, vpd.PORT)
    match cdb[1] >> 5:
        case 0:
            head = b""
        case 1:
            # The extended header: no implicit transition is ever waited for.
            head = bytes((0x10, 0, 0, 0))
        case _:
            raise invalid_field(1)
    body = head + group
    return Reply((struct.pack(">I", len(body)) + body)[: be32(cdb, 6)])
