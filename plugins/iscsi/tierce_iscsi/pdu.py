"""iSCSI PDUs on the wire: opcodes, layouts, limits (RFC 7143 section 11).

Every PDU starts with a basic header segment (BHS) of 48 bytes. An additional header segment,
a header digest, the data segment, padding to 4 bytes and a data digest follow, in this order,
each only where it is there. All integers are big-endian.

The structs below are compiled once. Each names its fields in the order of the RFC's drawing, so
that a line of code can be read beside the page.
"""

from __future__ import annotations

import enum
import struct

import attrs

from tierce import ProtocolError

#: Bytes of every basic header segment.
BHS_BYTES = 48
#: Bytes of a header or data digest (CRC32C).
DIGEST_BYTES = 4
#: An additional header segment counts its words in one byte.
AHS_BYTES_MAX = 255 * 4
#: The data segment of a login or text PDU, which no MaxRecvDataSegmentLength has widened yet
#: (RFC 7143 section 13.12).
LOGIN_SEGMENT_BYTES_MAX = 8192
#: The tag that means "none" (RFC 7143 section 11.2.1.8).
NO_TAG = 0xFFFFFFFF
#: The one logical unit of a target.
LUN = 0

#: Sequence numbers are compared modulo 2**32 (RFC 1982).
SERIAL_MASK = 0xFFFFFFFF
SERIAL_HALF = 0x80000000


class Opcode(enum.IntEnum):
    """RFC 7143 section 11.2.1.2."""

    NOP_OUT = 0x00
    SCSI_COMMAND = 0x01
    TASK_MANAGEMENT = 0x02
    LOGIN = 0x03
    TEXT = 0x04
    DATA_OUT = 0x05
    LOGOUT = 0x06
    SNACK = 0x10
    NOP_IN = 0x20
    SCSI_RESPONSE = 0x21
    TASK_MANAGEMENT_RESPONSE = 0x22
    LOGIN_RESPONSE = 0x23
    TEXT_RESPONSE = 0x24
    DATA_IN = 0x25
    LOGOUT_RESPONSE = 0x26
    READY_TO_TRANSFER = 0x31
    ASYNC_MESSAGE = 0x32
    REJECT = 0x3F


#: The I bit of the first byte (RFC 7143 section 11.2.1.1).
IMMEDIATE = 0x40
#: The F bit of the second byte.
FINAL = 0x80
#: The C bit of a login or text PDU: its text goes on in the next one.
CONTINUE = 0x40


class RejectReason(enum.IntEnum):
    """RFC 7143 section 11.17.1."""

    DATA_DIGEST_ERROR = 0x02
    SNACK_REJECT = 0x03
    PROTOCOL_ERROR = 0x04
    COMMAND_NOT_SUPPORTED = 0x05
    TOO_MANY_IMMEDIATE_COMMANDS = 0x06
    TASK_IN_PROGRESS = 0x07
    INVALID_PDU_FIELD = 0x09


class TaskFunction(enum.IntEnum):
    """Task management functions (RFC 7143 section 11.5.1)."""

    ABORT_TASK = 1
    ABORT_TASK_SET = 2
    CLEAR_ACA = 3
    CLEAR_TASK_SET = 4
    LOGICAL_UNIT_RESET = 5
    TARGET_WARM_RESET = 6
    TARGET_COLD_RESET = 7
    TASK_REASSIGN = 8


class TaskResponse(enum.IntEnum):
    """Answers to task management functions (RFC 7143 section 11.6.1)."""

    COMPLETE = 0
    NO_SUCH_TASK = 1
    NO_SUCH_LUN = 2
    REASSIGN_NOT_SUPPORTED = 4
    NOT_SUPPORTED = 5
    REJECTED = 255


class LogoutResponse(enum.IntEnum):
    """Answers to a logout (RFC 7143 section 11.15.1)."""

    SUCCESS = 0
    NO_SUCH_CONNECTION = 1
    RECOVERY_NOT_SUPPORTED = 2
    CLEANUP_FAILED = 3


class LoginStatus(enum.IntEnum):
    """Status class and detail of a login response, as one number (RFC 7143 section 11.13.5)."""

    SUCCESS = 0x0000
    INITIATOR_ERROR = 0x0200
    AUTHENTICATION_FAILURE = 0x0201
    AUTHORIZATION_FAILURE = 0x0202
    NOT_FOUND = 0x0203
    UNSUPPORTED_VERSION = 0x0205
    TOO_MANY_CONNECTIONS = 0x0206
    MISSING_PARAMETER = 0x0207
    SESSION_TYPE_NOT_SUPPORTED = 0x0209
    SESSION_DOES_NOT_EXIST = 0x020A
    TARGET_ERROR = 0x0300
    SERVICE_UNAVAILABLE = 0x0301
    OUT_OF_RESOURCES = 0x0302


#: opcode, flags, 2 bytes of the opcode's own, AHS words << 24 | data length, LUN or the opcode's
#: own, initiator task tag: how every PDU starts.
COMMON = struct.Struct(">BBHIQI")
#: The start of a SCSI command up to the second byte of its CDB: opcode, flags, -, lengths, LUN,
#: ITT, expected data transfer length, CmdSN, ExpStatSN, CDB 0, CDB 1 (section 11.3).
SCSI_COMMAND = struct.Struct(">BBHIQIIIIBB")
CDB_OFFSET = 32
#: From its third byte, a CDB of 10 bytes: LBA, group, blocks, control (SBC-3 READ(10)).
CDB_10 = struct.Struct(">IBHB")
#: From its third byte, a CDB of 16 bytes: LBA, blocks, group, control (SBC-3 READ(16)).
CDB_16 = struct.Struct(">QIBB")
#: opcode, flags, version max, version min, lengths, ISID, TSIH, ITT, CID, CmdSN, ExpStatSN.
LOGIN_REQUEST = struct.Struct(">BBBBI6sHIH2xII16x")
#: opcode, flags, version max, version active, lengths, ISID, TSIH, ITT, StatSN, ExpCmdSN,
#: MaxCmdSN, status class << 8 | detail.
LOGIN_RESPONSE = struct.Struct(">BBBBI6sHI4xIIIH10x")
#: opcode, flags, lengths, LUN, ITT, TTT, CmdSN, ExpStatSN: NOP-Out, text and logout requests.
REQUEST = struct.Struct(">BB2xIQIIII16x")
#: As REQUEST with the referenced task's tag and CmdSN (section 11.5).
TASK_REQUEST = struct.Struct(">BB2xIQIIIII12x")
#: opcode, flags, lengths, LUN, ITT, TTT, ExpStatSN, DataSN, buffer offset (section 11.7).
DATA_OUT = struct.Struct(">BB2xIQII4xI4xII4x")
#: opcode, flags, response, lengths, LUN, ITT, TTT, StatSN, ExpCmdSN, MaxCmdSN: NOP-In, text,
#: logout and task management responses.
RESPONSE = struct.Struct(">BBBxIQIIIII12x")
#: opcode << 24 | flags << 16 | status, lengths, LUN, ITT, TTT, StatSN, ExpCmdSN, MaxCmdSN,
#: DataSN, buffer offset, residual count (section 11.7).
DATA_IN = struct.Struct(">IIQIIIIIIII")
#: The same for a read answered by one PDU with status GOOD in it: what is always 0 is filled.
DATA_IN_WHOLE = struct.Struct(">IIQIIIII12x")
#: opcode << 24 | flags << 16 | response << 8 | status, lengths, ITT, SNACK tag, StatSN,
#: ExpCmdSN, MaxCmdSN, ExpDataSN, bidirectional residual, residual (section 11.4).
SCSI_RESPONSE = struct.Struct(">II8xIIIIIIII")
#: The same for a command without data-in that ended GOOD.
SCSI_RESPONSE_GOOD = struct.Struct(">I12xI4xIII12x")
#: opcode << 24 | flags << 16, -, LUN, ITT, TTT, StatSN, ExpCmdSN, MaxCmdSN, R2TSN, buffer
#: offset, desired length (section 11.8).
R2T = struct.Struct(">I4xQIIIIIIII")
#: opcode << 24 | flags << 16 | reason << 8, lengths, -, -1, -, StatSN, ExpCmdSN, MaxCmdSN, DataSN.
REJECT = struct.Struct(">II8xI4xIIII8x")

assert all(
    layout.size == BHS_BYTES
    for layout in (
        *(LOGIN_REQUEST, LOGIN_RESPONSE, REQUEST, TASK_REQUEST, DATA_OUT, RESPONSE, DATA_IN),
        *(DATA_IN_WHOLE, SCSI_RESPONSE, SCSI_RESPONSE_GOOD, R2T, REJECT),
    )
), "every header is a BHS"
assert SCSI_COMMAND.size == CDB_OFFSET + 2, "the CDB's third byte is where CDB_10 and CDB_16 start"

#: First words of the answers that the fast path gives: opcode, F bit, S bit, status GOOD.
DATA_IN_GOOD_WORD = Opcode.DATA_IN << 24 | (FINAL | 0x01) << 16
SCSI_RESPONSE_WORD = Opcode.SCSI_RESPONSE << 24 | FINAL << 16


def padded(length: int) -> int:
    """Return `length` rounded up to the 4 bytes that every segment is padded to."""
    return (length + 3) & ~3


def is_after(number: int, other: int) -> bool:
    """True if sequence number `number` comes after `other`, modulo 2**32 (RFC 1982)."""
    return number != other and (number - other) & SERIAL_MASK < SERIAL_HALF


@attrs.frozen
class Pdu:
    """One whole PDU without digests, for the phases in which none are negotiated.

    Attributes:
        header: The BHS.
        data: The data segment without padding.
    """

    header: bytes
    data: bytes

    @property
    def opcode(self) -> int:
        """The opcode without the I bit."""
        return self.header[0] & 0x3F


def take_pdu(buffer: bytearray, segment_bytes_max: int) -> Pdu | None:
    """Take the first PDU out of `buffer`; None while it is not whole.

    Raises:
        ProtocolError: Its data segment is longer than `segment_bytes_max`, or it has an
            additional header segment, which no PDU of the login phase has.
    """
    if len(buffer) < BHS_BYTES:
        return None
    lengths = COMMON.unpack_from(buffer)[3]
    if lengths > segment_bytes_max:
        raise ProtocolError(
            f"a data segment of {lengths & 0xFFFFFF} bytes with {lengths >> 24} words of "
            f"additional header; here at most {segment_bytes_max} and none are allowed"
        )
    end = BHS_BYTES + padded(lengths)
    if len(buffer) < end:
        return None
    pdu = Pdu(bytes(buffer[:BHS_BYTES]), bytes(buffer[BHS_BYTES : BHS_BYTES + lengths]))
    del buffer[:end]
    return pdu


def join(header: bytes, data: bytes = b"") -> bytes:
    """Return a PDU without digests: the header, the data segment and its padding."""
    return header + data + bytes(-len(data) & 3)
