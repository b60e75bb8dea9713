"""Commands that need no module of their own (SPC-4, SBC-3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tierce_iscsi.scsi.cdb import be32
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.sense import NO_SENSE, UNIT_NOT_SUPPORTED, invalid_field

if TYPE_CHECKING:
    from tierce_iscsi.scsi.unit import LogicalUnit


def unit_ready(_unit: LogicalUnit, _command: Command) -> Reply:
    """TEST UNIT READY: what is open is ready; a device that is not says so by its statuses."""
    return Reply()


def request_sense(_unit: LogicalUnit, command: Command) -> Reply:
    """REQUEST SENSE: a pending unit attention, else NO SENSE; of a LUN that is not there, that."""
    attentions = command.nexus.attentions
    sense = NO_SENSE
    if command.lun:
        sense = UNIT_NOT_SUPPORTED
    elif attentions:
        sense = attentions.pop(0)
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
    """READ CAPACITY(16): one logical block per physical block, as the alignment that pays is told
    by the Block Limits page; with LBPME and LBPRZ where blocks can be unmapped."""
    thin_bits = 0xC000 if unit.can_discard else 0
    data = struct.pack(">QIBBH16x", unit.block_count - 1, unit.block_size, 0, 0, thin_bits)
    return Reply(data[: be32(command.cdb, 10)])


def start_stop(_unit: LogicalUnit, command: Command) -> Reply:
    """START STOP UNIT: always started; a medium that is not removable can't be ejected."""
    if command.cdb[4] & 0x02:
        raise invalid_field(4)
    return Reply()


def prevent_allow(_unit: LogicalUnit, _command: Command) -> Reply:
    """PREVENT ALLOW MEDIUM REMOVAL: nobody can remove it anyway."""
    return Reply()
