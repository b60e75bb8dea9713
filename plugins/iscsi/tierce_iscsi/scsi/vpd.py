"""Vital product data: what a logical unit says of itself (SPC-4 section 7.8, SBC-3 section 6.5).

Both its serial number and its world-wide name come from the volume's uuid. The name is NAA type 6,
the longest that initiators know. Nobody has given us a company identifier, so the three bytes in
its place have the bit that says "assigned locally" (IEEE 802, the second lowest of the first byte):
it can't meet a name that somebody else was given.
"""

from __future__ import annotations

import struct

from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.unit import LogicalUnit

#: Relative identifier of the one target port, and the one target port group.
PORT, PORT_GROUP = 1, 1
_LOCAL_COMPANY = "025443"
_NAA_TYPE_6 = "6"
_BINARY, _ASCII, _UTF8 = 1, 2, 3
_OF_UNIT, _OF_PORT, _OF_TARGET = 0, 1, 2
_T10, _NAA, _RELATIVE_PORT, _PORT_GROUP, _NAME = 1, 3, 4, 5, 8
#: PIV, and protocol 5, iSCSI.
_ISCSI = 0x50


def text(value: str, length: int) -> bytes:
    """Return left-aligned ASCII, padded with spaces."""
    return value.encode("ascii", "replace")[:length].ljust(length)


def unit_name(unit: LogicalUnit) -> bytes:
    """Return the unit's NAA designator: 100 bits of the volume's uuid."""
    return bytes.fromhex(_NAA_TYPE_6 + _LOCAL_COMPANY + unit.serial[:25])


def _designator(code_set: int, association: int, kind: int, value: bytes) -> bytes:
    protocol = 0
    if association != _OF_UNIT:
        code_set, protocol = code_set | _ISCSI, 0x80
    head = struct.pack(">BBxB", code_set, protocol | association << 4 | kind, len(value))
    return head + value


def _name(value: str) -> bytes:
    """A SCSI name string: UTF-8, ended by a null byte, padded to four bytes."""
    encoded = value.encode() + b"\0"
    return encoded + bytes(-len(encoded) & 3)


def _port_name(unit: LogicalUnit) -> bytes:
    return _designator(_UTF8, _OF_PORT, _NAME, _name(f"{unit.iqn},t,0x{PORT_GROUP:04x}"))


def supported(_unit: LogicalUnit) -> bytes:
    """Supported VPD pages."""
    return bytes(sorted(PAGES))


def serial(unit: LogicalUnit) -> bytes:
    """Unit serial number."""
    return unit.serial.encode("ascii")


def identification(unit: LogicalUnit) -> bytes:
    """Device identification: of the unit, its target port, the port's group and the target."""
    vendor = text(unit.vendor, 8) + unit.serial.encode("ascii")
    return b"".join(
        (
            _designator(_BINARY, _OF_UNIT, _NAA, unit_name(unit)),
            _designator(_ASCII, _OF_UNIT, _T10, vendor),
            _port_name(unit),
            _designator(_BINARY, _OF_PORT, _RELATIVE_PORT, struct.pack(">HH", 0, PORT)),
            _designator(_BINARY, _OF_PORT, _PORT_GROUP, struct.pack(">HH", 0, PORT_GROUP)),
            _designator(_UTF8, _OF_TARGET, _NAME, _name(unit.iqn)),
        )
    )


def extended(_unit: LogicalUnit) -> bytes:
    """Extended INQUIRY data: simple tasks only (SIMPSUP), a volatile cache (V_SUP)."""
    data = bytearray(60)
    data[1] = 0x01
    data[2] = 0x01
    return bytes(data)


def mode_policy(_unit: LogicalUnit) -> bytes:
    """Mode page policy: every page is shared by all initiators."""
    return bytes((0x3F, 0xFF, 0x00, 0x00))


def ports(unit: LogicalUnit) -> bytes:
    """SCSI ports: one, with no initiator's part."""
    name = _port_name(unit)
    return struct.pack(">2xH2xH2xH", PORT, 0, len(name)) + name


def block_limits(unit: LogicalUnit) -> bytes:
    """Block limits (SBC-3 section 6.5.3)."""
    size = unit.block_size
    geometry = unit.device.geometry
    can_discard = unit.can_discard
    granularity = limits.PHYSICAL_BYTES // size if can_discard else 0
    if granularity == 1:
        # Every block can be unmapped by itself, which needs no saying; and QEMU 7.2, told so,
        # asks for the status of half a block and aborts.
        granularity = 0
    return struct.pack(
        ">BBHIIIIIIIQ20x",
        *(0x00, limits.COMPARE_BLOCK_COUNT_MAX if unit.can_compare else 0),
        max(1, geometry.optimal_io_bytes // size),
        limits.TRANSFER_BYTES_MAX // size,
        min(geometry.io_bytes_max, limits.OPTIMAL_BYTES) // size,
        *(0, limits.UNMAP_BYTES_MAX // size if can_discard else 0),
        limits.UNMAP_DESCRIPTOR_COUNT_MAX if can_discard else 0,
        granularity,
        # UGAVALID, and an alignment of 0.
        0x80000000 if granularity else 0,
        limits.WRITE_SAME_BLOCK_COUNT_MAX,
    )


def characteristics(_unit: LogicalUnit) -> bytes:
    """Block device characteristics: not a rotating medium."""
    return struct.pack(">H58x", 0x0001)


def provisioning(unit: LogicalUnit) -> bytes:
    """Logical block provisioning: thin; what is unmapped reads as zeroes."""
    if not unit.can_discard:
        return bytes(4)
    # LBPU, LBPWS, LBPRZ; thin. Not LBPWS10: initiators unmap by UNMAP or WRITE SAME(16).
    return bytes((0, 0x80 | 0x40 | 0x04, 0x02, 0))


PAGES = {
    0x00: supported,
    0x80: serial,
    0x83: identification,
    0x86: extended,
    0x87: mode_policy,
    0x88: ports,
    0xB0: block_limits,
    0xB1: characteristics,
    0xB2: provisioning,
}
