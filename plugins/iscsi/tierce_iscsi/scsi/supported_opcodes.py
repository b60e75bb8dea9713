"""REPORT SUPPORTED OPERATION CODES, made from the command table (SPC-4 section 6.35)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.entry import Entry
from tierce_iscsi.scsi.sense import invalid_field
from tierce_iscsi.scsi.unit import LogicalUnit

_ALL, _ONE, _ONE_ACTION = 0, 1, 2
#: SUPPORT: not at all, or as the standard says.
_ABSENT, _STANDARD = 1, 3
#: The nominal and the recommended timeout: none is stated.
_TIMEOUTS = struct.pack(">HHII", 10, 0, 0, 0)


def report_opcodes(commands: Mapping[int, Entry], unit: LogicalUnit, command: Command) -> Reply:
    """All commands of a table, or one with the bits of its CDB that are looked at."""
    cdb = command.cdb
    options, has_timeouts = cdb[2] & 7, bool(cdb[2] & 0x80)
    allocation = be32(cdb, 6)
    if options == _ALL:
        return Reply(_list(commands, unit, has_timeouts=has_timeouts)[:allocation])
    if options not in {_ONE, _ONE_ACTION}:
        raise invalid_field(2)
    entry = commands.get(cdb[3])
    if entry is not None and (entry.actions is not None) != (options == _ONE_ACTION):
        # An opcode with service actions is asked about with one, and only such an opcode.
        raise invalid_field(2)
    if entry is not None and entry.actions is not None:
        entry = entry.actions.get(be16(cdb, 4))
    if entry is None or not entry.is_supported(unit):
        return Reply(struct.pack(">BBH", 0, _ABSENT, 0)[:allocation])
    flags = _STANDARD | (0x80 if has_timeouts else 0)
    data = struct.pack(">BBH", 0, flags, len(entry.usage)) + entry.usage
    return Reply((data + (_TIMEOUTS if has_timeouts else b""))[:allocation])


def _list(commands: Mapping[int, Entry], unit: LogicalUnit, *, has_timeouts: bool) -> bytes:
    body = b""
    for opcode, entry in sorted(commands.items()):
        if entry.actions is None:
            body += _descriptor(unit, opcode, entry, None, has_timeouts=has_timeouts)
            continue
        for action, part in sorted(entry.actions.items()):
            body += _descriptor(unit, opcode, part, action, has_timeouts=has_timeouts)
    return struct.pack(">I", len(body)) + body


def _descriptor(
    unit: LogicalUnit, opcode: int, entry: Entry, action: int | None, *, has_timeouts: bool
) -> bytes:
    if not entry.is_supported(unit):
        return b""
    flags = (0x02 if has_timeouts else 0) | (0x01 if action is not None else 0)
    head = struct.pack(">BBHBBH", opcode, 0, action or 0, 0, flags, len(entry.usage))
    return head + (_TIMEOUTS if has_timeouts else b"")


def report_task_functions(_unit: LogicalUnit, command: Command) -> Reply:
    """REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: abort task (set), clear task set, LUN reset."""
    return Reply(bytes((0x80 | 0x40 | 0x10 | 0x08, 0, 0, 0))[: be32(command.cdb, 6)])
