"""Commands that need no module of their own (SPC-4, SBC-3)."""

from __future__ import annotations

import struct

from tierce import Op, Request
from tierce_iscsi.scsi.blocks import first_failure
from tierce_iscsi.scsi.cdb import be32
from tierce_iscsi.scsi.command import Command, Reply, Work
from tierce_iscsi.scsi.sense import NO_SENSE, UNIT_NOT_SUPPORTED, invalid_field
from tierce_iscsi.scsi.unit import LogicalUnit


def unit_ready(_unit: LogicalUnit, _command: Command) -> Reply:
    """TEST UNIT READY: what is open is ready; a device that is not says so by its statuses."""
    return Reply()


def request_sense(unit: LogicalUnit, command: Command) -> Reply:
    """REQUEST SENSE: a pending unit attention, how far a format is, or NO SENSE; of a LUN that is
    not there, that."""
    attentions = command.nexus.attentions
    sense = NO_SENSE
    if command.lun:
        sense = UNIT_NOT_SUPPORTED
    elif attentions:
        sense = attentions.pop(0)
    elif unit.formatting is not None:
        sense = unit.formatting.sense
    is_descriptor = bool(command.cdb[1] & 0x01)
    return Reply(sense.encode(is_descriptor=is_descriptor)[: command.cdb[4]])


def report_luns(_unit: LogicalUnit, command: Command) -> Reply:
    """REPORT LUNS: LUN 0 (SPC-4 section 6.33)."""
    if command.cdb[2] not in {0x00, 0x01, 0x02}:
        raise invalid_field(2)
    luns = b"" if command.cdb[2] == 0x01 else bytes(8)
    return Reply((struct.pack(">I4x", len(luns)) + luns)[: be32(command.cdb, 6)])


def read_capacity_10(unit: LogicalUnit, command: Command) -> Reply:
    """READ CAPACITY(10): PMI is obsolete, and an LBA without it means nothing."""
    if not command.cdb[8] & 0x01 and be32(command.cdb, 2):
        raise invalid_field(2)
    return Reply(struct.pack(">II", min(unit.block_count - 1, 0xFFFFFFFF), unit.block_size))


def read_capacity_16(unit: LogicalUnit, command: Command) -> Reply:
    """READ CAPACITY(16): with how many blocks are one physical block, and LBPME and LBPRZ where
    blocks can be unmapped."""
    thin_bits = 0xC000 if unit.can_discard else 0
    exponent = (unit.physical_bytes // unit.block_size).bit_length() - 1
    data = struct.pack(">QIBBH16x", unit.block_count - 1, unit.block_size, 0, exponent, thin_bits)
    return Reply(data[: be32(command.cdb, 10)])


def start_stop(unit: LogicalUnit, command: Command) -> Reply | Work:
    """START STOP UNIT: always started; a medium that is not removable can't be ejected, and there
    are no power conditions. Who stops the unit wants its cache on the medium, unless NO_FLUSH."""
    flags = command.cdb[4]
    if flags & 0xF2:
        raise invalid_field(4)
    if flags & 0x05:
        return Reply()
    return Work([Request(Op.FLUSH)], lambda requests: first_failure(unit, requests) or Reply())


def prevent_allow(_unit: LogicalUnit, _command: Command) -> Reply:
    """PREVENT ALLOW MEDIUM REMOVAL: nobody can remove it anyway."""
    return Reply()
