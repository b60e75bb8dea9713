"""Doing the commands of a logical unit: what is admitted, what stands in the way, who does it
(SAM-5: a device server)."""

from __future__ import annotations

from tierce_iscsi.scsi.cdb import extent_index
from tierce_iscsi.scsi.command import Command, Nexus, Outcome, Reply, check_condition
from tierce_iscsi.scsi.entry import NACA, Entry, Needs
from tierce_iscsi.scsi.sense import (
    DATA_MISSING,
    INVALID_OPCODE,
    NOT_AS_EXPECTED,
    RESERVATION_CONFLICT,
    UNIT_NOT_SUPPORTED,
    CheckConditionError,
    invalid_field,
)
from tierce_iscsi.scsi.table import COMMANDS
from tierce_iscsi.scsi.unit import LogicalUnit

_CONFLICT = Reply(status=RESERVATION_CONFLICT)


def admit(
    unit: LogicalUnit,
    cdb: bytes,
    lun: int,
    nexus: Nexus,
    *,
    read: int = 0,
    write: int = 0,
) -> Command | Reply:
    """Decide when a command arrives, before any of its data-out is asked for, how much of it
    the command takes.

    That is a matter of its CDB alone, and decided once: nothing that changes until the data are
    here (a unit attention told, a reservation that ends) lets it be done with less. What is
    wrong with the CDB ends it at once, and its data are not waited for.

    Args:
        unit: The logical unit that it is for, if LUN is that of one.
        cdb: 16 bytes.
        lun: The LUN field.
        nexus: Whose it is.
        read: Bytes that the initiator expects to be given.
        write: Bytes that it expects to send.
    """
    try:
        entry = _entry(unit, cdb, lun)
    except CheckConditionError as error:
        return check_condition(error.sense)
    admitted: Command | Reply
    try:
        admitted = _admit(unit, entry, cdb, lun, nexus, read, write)
    except CheckConditionError as error:
        admitted = check_condition(error.sense)
    if isinstance(admitted, Reply):
        # What stands in the way of any command is told before what is wrong with this one.
        return _hindrance(unit, nexus, entry) or admitted
    return admitted


def _admit(
    unit: LogicalUnit,
    entry: Entry,
    cdb: bytes,
    lun: int,
    nexus: Nexus,
    read: int,
    write: int,
) -> Command | Reply:
    control = len(entry.usage) - 1
    if cdb[control] & NACA:
        # NORMACA is 0: no error stops what comes behind it (SAM-5 section 5.2).
        raise invalid_field(control)
    wanted = entry.data_out(unit, cdb)
    if read and (write or wanted):
        # Bidirectional, which none of a disk's commands is; or the wrong way.
        return check_condition(NOT_AS_EXPECTED)
    if entry.needs is Needs.EXACTLY and write > wanted:
        raise invalid_field(extent_index(cdb))
    if not _is_enough(unit, entry, wanted, write):
        return check_condition(NOT_AS_EXPECTED, length=wanted)
    return Command(cdb, nexus, lun, wanted, min(wanted, write))


def _is_enough(unit: LogicalUnit, entry: Entry, wanted: int, announced: int) -> bool:
    """True if a command that takes `wanted` bytes can be done with what is announced."""
    if entry.needs is Needs.BLOCKS and announced % unit.block_size == 0:
        return True
    return announced >= wanted or entry.needs is Needs.BYTES


def execute(unit: LogicalUnit, command: Command) -> Outcome:
    """Do an admitted command whose data-out is here, or say what has to be done for it."""
    entry = _entry(unit, command.cdb, command.lun)
    hindrance = _hindrance(unit, command.nexus, entry)
    if hindrance is not None:
        return hindrance
    if len(command.data) < command.due:
        return check_condition(DATA_MISSING)
    try:
        return entry.handler(unit, command)
    except CheckConditionError as error:
        return check_condition(error.sense)


def _hindrance(unit: LogicalUnit, nexus: Nexus, entry: Entry) -> Reply | None:
    """Return what keeps this session from such a command now, None if nothing does. A unit
    attention is told by it."""
    if not entry.is_any_lun:
        if nexus.attentions:
            return check_condition(nexus.attentions.pop(0))
        if unit.formatting is not None:
            return check_condition(unit.formatting.sense)
    return None if unit.reservations.allows(nexus, entry.access) else _CONFLICT


def _entry(unit: LogicalUnit, cdb: bytes, lun: int) -> Entry:
    """Return what the table says of the command.

    Raises:
        CheckConditionError: There is no such command, or no such LUN.
    """
    entry = COMMANDS.get(cdb[0])
    if entry is not None and entry.actions is not None:
        entry = entry.actions.get(cdb[1] & 0x1F)
        if entry is None:
            raise invalid_field(1)
    if entry is None or not entry.is_supported(unit):
        raise CheckConditionError(INVALID_OPCODE)
    if lun and not entry.is_any_lun:
        raise CheckConditionError(UNIT_NOT_SUPPORTED)
    return entry
