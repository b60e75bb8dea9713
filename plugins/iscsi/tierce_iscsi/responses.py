"""Building the PDUs of the slow path, with their sequence numbers and digests."""

from __future__ import annotations

import struct
from collections.abc import Sized

from crc32c import crc32c

from tierce_iscsi import pdu
from tierce_iscsi.buffers import Region
from tierce_iscsi.pdu import FINAL, NO_TAG, SERIAL_MASK, Opcode, RejectReason
from tierce_iscsi.scsi.command import Reply
from tierce_iscsi.scsi.sense import GOOD, TASK_ABORTED
from tierce_iscsi.session import Session
from tierce_iscsi.stream import Stream
from tierce_iscsi.tasks import DataIn, SlowTask

#: O and U bits of a SCSI response or Data-In (RFC 7143 section 11.4.1).
OVERFLOW, UNDERFLOW = 0x04, 0x02
#: Data-In PDUs made at once. An initiator that takes 512 bytes a PDU makes 16,384 of one READ.
DATA_IN_COUNT_MAX = 64


class ResponseWriter:
    """What a connection answers.

    Args:
        session: Whose sequence numbers they carry.
        stream: Where they go.
        tasks: The commands under way: so many less may come.
    """

    def __init__(self, session: Session, stream: Stream, tasks: Sized) -> None:
        self._session = session
        self._stream = stream
        self._tasks = tasks

    def push(
        self, header: bytes, data: bytes | memoryview = b"", owner: Region | None = None
    ) -> None:
        """Queue a PDU; `owner`, where its data lie, is let go of when they have been sent."""
        stream = self._stream
        output = stream.output
        if stream.has_header_digest:
            header += crc32c(header).to_bytes(4, "little")
        if not len(data):
            output.push(header, owner)
            return
        tail = bytes(-len(data) & 3)
        if stream.has_data_digest:
            tail += crc32c(tail, crc32c(data)).to_bytes(4, "little")
        if isinstance(data, bytes):
            output.push(header + data + tail, owner)
            return
        output.push(header)
        output.push(data, None if tail else owner)
        if tail:
            output.push(tail, owner)

    def _numbers(self, *, is_counted: bool = True) -> tuple[int, int, int]:
        """Return StatSN, ExpCmdSN, MaxCmdSN for the next response."""
        session = self._session
        stat_sn = session.stat_sn
        if is_counted:
            session.stat_sn = (stat_sn + 1) & SERIAL_MASK
        return stat_sn, session.exp_cmd_sn, session.window(len(self._tasks))

    def answer(
        self,
        opcode: Opcode,
        tag: int,
        *,
        data: bytes = b"",
        lun: int = 0,
        flags: int = FINAL,
        response: int = 0,
        transfer_tag: int = NO_TAG,
    ) -> None:
        """Queue a NOP-In, text, logout or task management response."""
        head = (opcode, flags, response, len(data), lun, tag, transfer_tag)
        self.push(pdu.RESPONSE.pack(*head, *self._numbers()), data)

    def nop_in(self, transfer_tag: int) -> None:
        """Queue a ping of ours; it takes no StatSN (RFC 7143 section 11.19.1)."""
        head = (Opcode.NOP_IN, FINAL, 0, 0, pdu.LUN, NO_TAG, transfer_tag)
        self.push(pdu.RESPONSE.pack(*head, *self._numbers(is_counted=False)))

    def reject(self, header: bytes | memoryview, reason: RejectReason) -> None:
        """Queue a Reject of the PDU with this header (RFC 7143 section 11.17)."""
        word = Opcode.REJECT << 24 | FINAL << 16 | reason << 8
        rejected = bytes(header)
        self.push(pdu.REJECT.pack(word, len(rejected), NO_TAG, *self._numbers(), 0), rejected)

    def ready_to_transfer(self, task: SlowTask, desired: int) -> None:
        """Queue an R2T for the next `desired` bytes of data-out."""
        word = Opcode.READY_TO_TRANSFER << 24 | FINAL << 16
        numbers = self._numbers(is_counted=False)
        self.push(
            pdu.R2T.pack(
                *(word, task.lun, task.tag, task.transfer_tag, *numbers, task.r2t_number),
                *(task.received, desired),
            )
        )

    def respond_good(self, tag: int) -> None:
        """Queue GOOD for a command without data-in or residual."""
        self.respond_status(tag, Reply())

    def respond_status(
        self,
        tag: int,
        reply: Reply,
        *,
        residual: int = 0,
        residual_flag: int = 0,
        data_count: int = 0,
    ) -> None:
        """Queue a SCSI response with the reply's status and sense.

        Args:
            tag: Initiator task tag.
            reply: Its data are not sent here.
            residual: Residual count.
            residual_flag: `OVERFLOW`, `UNDERFLOW` or 0.
            data_count: Data-In or R2T PDUs that went before (ExpDataSN).
        """
        sense = reply.sense and struct.pack(">H", len(reply.sense)) + reply.sense
        word = pdu.SCSI_RESPONSE_WORD | residual_flag << 16 | reply.status
        header = pdu.SCSI_RESPONSE.pack(
            *(word, len(sense), tag, 0, *self._numbers(), data_count, 0, residual),
        )
        self.push(header, sense)

    def respond(self, task: SlowTask, reply: Reply) -> None:
        """Answer a command: data-in as far as the initiator wants it, then the status.

        What the command transfers beyond or below the expected length is the residual
        (RFC 7143 section 11.4.5).
        """
        if reply.status != GOOD and reply.length is None:
            flag = UNDERFLOW if task.expected else 0
            self.respond_status(
                *(task.tag, reply),
                residual=task.expected,
                residual_flag=flag,
                data_count=task.r2t_number,
            )
            return
        length = len(reply.data) if reply.length is None else reply.length
        flag = OVERFLOW if length > task.expected else UNDERFLOW if length < task.expected else 0
        residual = abs(length - task.expected)
        count = min(len(reply.data), task.expected) if task.is_read else 0
        if count:
            self._give(task, memoryview(reply.data)[:count], residual, flag)
        else:
            self.respond_status(
                *(task.tag, reply),
                residual=residual,
                residual_flag=flag,
                data_count=task.r2t_number,
            )

    def respond_aborted(self, tag: int) -> None:
        """Queue TASK ABORTED."""
        self.respond_status(tag, Reply(status=TASK_ABORTED))

    # -- data-in -----------------------------------------------------------------------------------

    def _give(self, task: SlowTask, data: memoryview, residual: int, flag: int) -> None:
        """Queue data-in: at once if it is one PDU, else as the initiator takes it."""
        regions = [region for region in (task.buffer, *task.regions) if region is not None]
        region = next((one for one in regions if one.memory is data.obj), None)
        if region is not None:
            region.holds += 1
        given = DataIn(task.tag, data, region, residual, flag)
        terms = self._session.terms
        if len(data) <= min(terms.segment_bytes_max, terms.burst_bytes_max):
            self._give_part(given)
            return
        self._stream.giving.append(given)
        self.give_more()

    def give_more(self) -> None:
        """Queue more of what is to be given, a bounded part of it."""
        stream = self._stream
        giving = stream.giving
        for _count in range(DATA_IN_COUNT_MAX):
            if not giving or stream.output.is_full:
                return
            self._give_part(giving[0])
            if giving[0].is_given:
                giving.popleft()

    def _give_part(self, given: DataIn) -> None:
        """Queue the next Data-In PDU; the last one carries the status GOOD."""
        terms = self._session.terms
        offset = given.offset
        burst_left = terms.burst_bytes_max - offset % terms.burst_bytes_max
        count = min(len(given.data) - offset, terms.segment_bytes_max, burst_left)
        part, number = given.data[offset : offset + count], given.number
        given.offset += count
        given.number += 1
        is_last = given.is_given
        bits = FINAL if is_last or count == burst_left else 0
        if is_last:
            word = Opcode.DATA_IN << 24 | (bits | 0x01 | given.flag) << 16
            numbers = self._numbers()
        else:
            word = Opcode.DATA_IN << 24 | bits << 16
            numbers = (0, *self._numbers(is_counted=False)[1:])
        self.push(
            pdu.DATA_IN.pack(
                *(word, count, 0, given.tag, NO_TAG, *numbers, number, offset),
                given.residual if is_last else 0,
            ),
            part,
            given.region if is_last else None,
        )
