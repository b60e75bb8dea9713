"""Sense data: what went wrong, as SCSI says it (SPC-4 section 4.5).

Fixed format, whose information field has 32 bits; descriptor format where it is asked for.
"""

from __future__ import annotations

import enum
import struct

import attrs

from tierce import Code, Status, TierceError

GOOD = 0x00
CHECK_CONDITION = 0x02
RESERVATION_CONFLICT = 0x18
TASK_SET_FULL = 0x28
TASK_ABORTED = 0x40

#: Response code, segment, key, information, additional length, command specific, ASC << 8 | ASCQ,
#: FRU, sense key specific.
_FIXED = struct.Struct(">BBBIBIHB3s")
assert _FIXED.size == 18
#: Response code, key, ASC << 8 | ASCQ, additional length; descriptors follow.
_DESCRIPTORS = struct.Struct(">BBH3xB")
#: Type, additional length, VALID, information.
_INFORMATION = struct.Struct(">BBBxQ")
#: Type, additional length, sense key specific.
_SPECIFIC = struct.Struct(">BBxx3sx")
assert (_DESCRIPTORS.size, _INFORMATION.size, _SPECIFIC.size) == (8, 12, 8)


class Key(enum.IntEnum):
    """Sense keys (SPC-4 table 48)."""

    NO_SENSE = 0x0
    NOT_READY = 0x2
    MEDIUM_ERROR = 0x3
    HARDWARE_ERROR = 0x4
    ILLEGAL_REQUEST = 0x5
    UNIT_ATTENTION = 0x6
    DATA_PROTECT = 0x7
    COPY_ABORTED = 0xA
    ABORTED_COMMAND = 0xB
    MISCOMPARE = 0xE


@attrs.frozen
class Sense:
    """What happened.

    Attributes:
        key: Sense key.
        code: ASC << 8 | ASCQ (SPC-4 annex F).
        information: An LBA or an offset, where there is one that fits 32 bits.
        field: Byte of the CDB (or of the parameters) that is wrong.
        is_in_parameters: `field` counts in the parameter list, not in the CDB.
        progress: How much of an operation is done, of 65536.
    """

    key: Key
    code: int
    information: int | None = None
    field: int | None = None
    is_in_parameters: bool = False
    progress: int | None = None

    def encode(self, *, is_descriptor: bool = False) -> bytes:
        """Return 18 bytes of fixed format sense data, or as many as descriptors need."""
        specific = b"\0\0\0"
        if self.field is not None:
            flags = 0x80 if self.is_in_parameters else 0xC0
            specific = struct.pack(">BH", flags, self.field)
        elif self.progress is not None:
            specific = struct.pack(">BH", 0x80, self.progress)
        information = self.information
        if is_descriptor:
            descriptors = b""
            if information is not None:
                descriptors += _INFORMATION.pack(0x00, 10, 0x80, information)
            if any(specific):
                descriptors += _SPECIFIC.pack(0x02, 6, specific)
            return _DESCRIPTORS.pack(0x72, self.key, self.code, len(descriptors)) + descriptors
        is_valid = information is not None and information <= 0xFFFFFFFF
        return _FIXED.pack(
            *(0xF0 if is_valid else 0x70, 0, self.key, information if is_valid else 0, 10),
            *(0, self.code, 0, specific),
        )


class CheckConditionError(TierceError):
    """A command ends with CHECK CONDITION and this sense."""

    def __init__(self, sense: Sense) -> None:
        super().__init__(f"sense {sense.key.name} {sense.code:#06x}")
        self.sense = sense


NO_SENSE = Sense(Key.NO_SENSE, 0x0000)
INVALID_OPCODE = Sense(Key.ILLEGAL_REQUEST, 0x2000, field=0)
LBA_OUT_OF_RANGE = Sense(Key.ILLEGAL_REQUEST, 0x2100)
UNIT_NOT_SUPPORTED = Sense(Key.ILLEGAL_REQUEST, 0x2500)
PARAMETER_LIST_LENGTH = Sense(Key.ILLEGAL_REQUEST, 0x1A00)
MISCOMPARE = Sense(Key.MISCOMPARE, 0x1D00)
WRITE_PROTECTED = Sense(Key.DATA_PROTECT, 0x2700)
#: INVALID FIELD IN COMMAND INFORMATION UNIT: what the initiator expects to transfer (direction or
#: length) is not what the CDB transfers.
NOT_AS_EXPECTED = Sense(Key.ILLEGAL_REQUEST, 0x0E03)
INTERNAL_TARGET_FAILURE = Sense(Key.HARDWARE_ERROR, 0x4400)
#: DATA PHASE ERROR: less data-out came than the command was admitted for.
DATA_MISSING = Sense(Key.ABORTED_COMMAND, 0x4B00)
PROTOCOL_SERVICE_CRC_ERROR = Sense(Key.ABORTED_COMMAND, 0x4705)

# Unit attentions.
POWER_ON = Sense(Key.UNIT_ATTENTION, 0x2900)
BUS_DEVICE_RESET = Sense(Key.UNIT_ATTENTION, 0x2903)
MODE_PARAMETERS_CHANGED = Sense(Key.UNIT_ATTENTION, 0x2A01)
COMMANDS_CLEARED = Sense(Key.UNIT_ATTENTION, 0x2F00)
RESERVATIONS_PREEMPTED = Sense(Key.UNIT_ATTENTION, 0x2A03)
RESERVATIONS_RELEASED = Sense(Key.UNIT_ATTENTION, 0x2A04)
REGISTRATIONS_PREEMPTED = Sense(Key.UNIT_ATTENTION, 0x2A05)
CAPACITY_CHANGED = Sense(Key.UNIT_ATTENTION, 0x2A09)


def invalid_field(index: int) -> CheckConditionError:
    """INVALID FIELD IN CDB, at this byte."""
    return CheckConditionError(Sense(Key.ILLEGAL_REQUEST, 0x2400, field=index))


def invalid_parameter(index: int) -> CheckConditionError:
    """INVALID FIELD IN PARAMETER LIST, at this byte."""
    return CheckConditionError(
        Sense(Key.ILLEGAL_REQUEST, 0x2600, field=index, is_in_parameters=True)
    )


_OF_CODE: dict[Code, tuple[Key, int]] = {
    Code.MISCOMPARE: (Key.MISCOMPARE, 0x1D00),
    Code.OUT_OF_RANGE: (Key.ILLEGAL_REQUEST, 0x2100),
    Code.UNSUPPORTED: (Key.ILLEGAL_REQUEST, 0x2000),
    # UNRECOVERED READ ERROR
    Code.READ_ERROR: (Key.MEDIUM_ERROR, 0x1100),
    # WRITE ERROR
    Code.WRITE_ERROR: (Key.MEDIUM_ERROR, 0x0C00),
    # SPACE ALLOCATION FAILED WRITE PROTECT: what a thin device says (SBC-3 section 4.7.3.6).
    Code.NO_SPACE: (Key.DATA_PROTECT, 0x2707),
    # LOGICAL UNIT IS IN PROCESS OF BECOMING READY: initiators try again.
    Code.NOT_READY: (Key.NOT_READY, 0x0401),
    # LOGICAL UNIT COMMUNICATION FAILURE
    Code.FENCED: (Key.HARDWARE_ERROR, 0x0800),
    Code.READ_ONLY: (Key.DATA_PROTECT, 0x2700),
    # COMMANDS CLEARED BY DEVICE SERVER
    Code.ABORTED: (Key.ABORTED_COMMAND, 0x2F02),
}
assert set(_OF_CODE) == set(Code) - {Code.GOOD}, "every outcome has its sense"


def sense_of(status: Status, block_size: int) -> Sense:
    """Return the sense that says what a device reported.

    Args:
        status: Not GOOD.
        block_size: Bytes of a block: the information field holds the LBA of a medium error.
    """
    key, code = _OF_CODE[status.code]
    information = None
    if status.offset is not None and key is Key.MEDIUM_ERROR:
        information = status.offset // block_size
    elif status.offset is not None and key is Key.MISCOMPARE:
        information = status.offset
    return Sense(key, code, information)
