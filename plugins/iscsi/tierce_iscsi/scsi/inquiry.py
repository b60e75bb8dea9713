"""INQUIRY and its vital product data pages (SPC-4 sections 6.6 and 7.8, SBC-3 section 6.5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.cdb import be16
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.sense import invalid_field

if TYPE_CHECKING:
    from tierce_iscsi.scsi.unit import LogicalUnit

#: SPC-4, SBC-3, iSCSI: what we claim to follow (SPC-4 table 142).
VERSION_DESCRIPTORS = (0x0460, 0x04C0, 0x0960)
#: Peripheral qualifier 3, type 1Fh: a LUN with nothing behind it (SPC-4 table 140).
_NO_UNIT = 0x7F
_ABSENT = bytes((_NO_UNIT, 0, 0x06, 0x02, 31)).ljust(36, b"\0")
#: T10's vendor identification field for a product revision.
REVISION = "0001"


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
    page = _PAGES.get(cdb[2])
    if page is None:
        raise invalid_field(2)
    body = page(unit)
    return Reply((struct.pack(">BBH", 0, cdb[2], len(body)) + body)[:allocation])


def _text(value: str, length: int) -> bytes:
    """Left-aligned ASCII, padded with spaces."""
    return value.encode("ascii", "replace")[:length].ljust(length)


def _standard(unit: LogicalUnit) -> bytes:
    """Standard INQUIRY data: a disk that follows SPC-4, with command queuing."""
    versions = b"".join(struct.pack(">H", version) for version in VERSION_DESCRIPTORS)
    head = bytes((0x00, 0x00, 0x06, 0x02, 0, 0x00, 0x00, 0x02))
    identity = _text(unit.vendor, 8) + _text(unit.product, 16) + _text(REVISION, 4)
    data = bytearray(head + identity + bytes(22) + versions.ljust(16, b"\0") + bytes(22))
    assert len(data) == 96, "SPC-4 table 139"
    data[4] = len(data) - 5
    return bytes(data)


def _supported(_unit: LogicalUnit) -> bytes:
    return bytes(sorted(_PAGES))


def _serial(unit: LogicalUnit) -> bytes:
    return unit.serial.encode("ascii")


def _designator(code_set: int, association: int, kind: int, value: bytes) -> bytes:
    return struct.pack(">BBxB", 0x50 | code_set, 0x80 | association << 4 | kind, len(value)) + value


def _identification(unit: LogicalUnit) -> bytes:
    """Device identification: NAA, T10 vendor, and the names of target and port.

    The NAA is locally assigned (type 3): 60 bits of the volume's uuid.
    """
    naa = (0x3 << 60 | int(unit.serial[:15], 16)).to_bytes(8, "big")
    target = unit.iqn.encode() + b"\0"
    target += bytes(-len(target) & 3)
    port = f"{unit.iqn},t,0x0001".encode() + b"\0"
    port += bytes(-len(port) & 3)
    return b"".join(
        (
            struct.pack(">BBxB", 0x01, 0x03, len(naa)) + naa,
            struct.pack(">BBxB", 0x02, 0x01, 8 + len(unit.serial))
            + _text(unit.vendor, 8)
            + unit.serial.encode("ascii"),
            _designator(0x03, 1, 0x08, port),
            # Relative target port identifier 1.
            _designator(0x01, 1, 0x04, b"\0\0\0\1"),
            _designator(0x01, 1, 0x05, b"\0\0\0\1"),
            _designator(0x03, 2, 0x08, target),
        )
    )


def _extended(_unit: LogicalUnit) -> bytes:
    """Extended INQUIRY data: simple tasks only (SIMPSUP), a volatile cache (V_SUP)."""
    data = bytearray(60)
    data[1] = 0x01
    data[2] = 0x01
    return bytes(data)


def _block_limits(unit: LogicalUnit) -> bytes:
    size = unit.block_size
    geometry = unit.device.geometry
    can_discard = unit.can_discard
    return struct.pack(
        ">BBHIIIIIIIQ20x",
        *(0x00, limits.COMPARE_BLOCK_COUNT_MAX if unit.can_compare else 0),
        max(1, geometry.optimal_io_bytes // size),
        limits.TRANSFER_BYTES_MAX // size,
        min(geometry.io_bytes_max, limits.TRANSFER_BYTES_MAX) // size,
        *(0, limits.UNMAP_BYTES_MAX // size if can_discard else 0),
        limits.UNMAP_DESCRIPTOR_COUNT_MAX if can_discard else 0,
        max(1, geometry.optimal_io_bytes // size) if can_discard else 0,
        # UGAVALID, and an alignment of 0.
        0x80000000 if can_discard else 0,
        limits.WRITE_SAME_BYTES_MAX // size,
    )


def _characteristics(_unit: LogicalUnit) -> bytes:
    """Block device characteristics: not a rotating medium."""
    return struct.pack(">H58x", 0x0001)


def _provisioning(unit: LogicalUnit) -> bytes:
    """Logical block provisioning: thin; what is unmapped reads as zeroes."""
    if not unit.can_discard:
        return bytes(4)
    # LBPU, LBPWS, LBPRZ; thin.
    return bytes((0, 0x80 | 0x40 | 0x04, 0x02, 0))


_PAGES = {
    0x00: _supported,
    0x80: _serial,
    0x83: _identification,
    0x86: _extended,
    0xB0: _block_limits,
    0xB1: _characteristics,
    0xB2: _provisioning,
}
