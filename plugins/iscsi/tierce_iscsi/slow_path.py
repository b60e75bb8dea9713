"""Everything of a connection that is not a plain READ or WRITE, one PDU at a time."""

from __future__ import annotations

from typing import Protocol

from tierce import Op, ProtocolError
from tierce_iscsi import pdu
from tierce_iscsi.buffers import Region
from tierce_iscsi.connection import Connection
from tierce_iscsi.pdu import FINAL, IMMEDIATE, NO_TAG, Opcode, RejectReason
from tierce_iscsi.responses import Responses
from tierce_iscsi.scsi.command import Deferred, Outcome, Reply, Work, check_condition
from tierce_iscsi.scsi.sense import (
    GOOD,
    PROTOCOL_SERVICE_CRC_ERROR,
    TASK_SET_FULL,
)
from tierce_iscsi.tasks import Drain, SlowTask

#: Immediate commands have no window: beyond so many more than the queue's depth they are rejected.
IMMEDIATE_COUNT_MAX = 8


class Host(Protocol):
    """What serves the connections of one target."""

    def connections(self) -> list[Connection]:
        """Every connection in its full feature phase."""
        ...

    def manage_tasks(self, connection: Connection, header: bytes) -> None:
        """Do a task management function."""
        ...

    def list_targets(self, connection: Connection, data: bytes) -> bytes:
        """Answer the text of a text request."""
        ...


class SlowPath(Responses):
    """See the module.

    Args:
        connection: Whose slow path it is.
        host: The target.
    """

    def __init__(self, connection: Connection, host: Host) -> None:
        super().__init__(connection)
        self._host = host
        self._transfer_tag = 0
        self._text = bytearray()

    def take(self, region: Region, at: int, size: int) -> None:
        """Take the PDU at `at`, which is whole and whose digests are right.

        Raises:
            ProtocolError: The connection has to end.
        """
        connection = self.connection
        connection.pdu_count += 1
        view = region.view
        header = bytes(view[at : at + pdu.BHS_BYTES])
        opcode = header[0] & 0x3F
        lengths = pdu.COMMON.unpack_from(header)[3]
        data_at = at + pdu.BHS_BYTES + (lengths >> 24) * 4
        if connection.has_header_digest:
            data_at += pdu.DIGEST_BYTES
        data = view[data_at : data_at + (lengths & 0xFFFFFF)]
        assert data_at + len(data) <= at + size, "the connection has measured it"
        if opcode == Opcode.DATA_OUT:
            self._data_out(header, data)
            return
        if not self._accept(header):
            return
        match opcode:
            case Opcode.SCSI_COMMAND:
                self._command(header, data)
            case Opcode.NOP_OUT:
                self._nop_out(header, data)
            case Opcode.TASK_MANAGEMENT:
                self._host.manage_tasks(connection, header)
            case Opcode.TEXT:
                self._text_request(header, data)
            case Opcode.LOGOUT:
                self._logout(header)
            case Opcode.SNACK:
                self.reject(header, RejectReason.SNACK_REJECT)
            case Opcode.LOGIN:
                raise ProtocolError("a login in the full feature phase")
            case _:
                self.reject(header, RejectReason.COMMAND_NOT_SUPPORTED)

    def _accept(self, header: bytes) -> bool:
        """True if the command's CmdSN is the next one, or it is immediate.

        One outside of the window is dropped without a word (RFC 7143 section 4.2.2.1).
        """
        if header[0] & IMMEDIATE or header[0] & 0x3F == Opcode.SNACK:
            return True
        session = self.connection.session
        cmd_sn = int.from_bytes(header[24:28], "big")
        # A later window than the last one told may be open by now.
        session.window(len(self.connection.tasks))
        if not session.is_in_window(cmd_sn):
            return False
        if cmd_sn != session.exp_cmd_sn:
            raise ProtocolError(f"CmdSN {cmd_sn} where {session.exp_cmd_sn} was next")
        session.exp_cmd_sn = (cmd_sn + 1) & pdu.SERIAL_MASK
        return True

    # -- SCSI commands -----------------------------------------------------------------------------

    def _command(self, header: bytes, data: memoryview) -> None:
        connection = self.connection
        _, flags, _, _, lun, tag, expected, _, _, _, _ = pdu.SCSI_COMMAND.unpack_from(header)
        if tag in connection.tasks:
            self.reject(header, RejectReason.TASK_IN_PROGRESS)
            return
        if len(connection.tasks) >= connection.session.queue_depth + IMMEDIATE_COUNT_MAX:
            self.reject(header, RejectReason.TOO_MANY_IMMEDIATE_COMMANDS)
            return
        cdb = header[pdu.CDB_OFFSET :]
        task = SlowTask(tag, connection.clock_ns(), lun, expected, flags)
        self._check_unsolicited(task, flags, len(data))
        admitted = connection.unit.admit(
            *(cdb, lun, connection.session),
            read=expected if task.is_read else 0,
            write=expected if task.is_write else 0,
        )
        if isinstance(admitted, Reply):
            self.respond(task, admitted)
            return
        task.command = admitted
        task.wanted = admitted.due
        if task.wanted:
            task.buffer = connection.large.take(task.wanted)
            if task.buffer is None:
                self.respond(task, Reply(status=TASK_SET_FULL))
                return
        task.is_unsolicited = task.is_write and not flags & FINAL
        connection.tasks[tag] = task
        self._store(task, data)
        self._continue(task)

    def _check_unsolicited(self, task: SlowTask, flags: int, length: int) -> None:
        """Refuse data that the login ruled out (RFC 7143 sections 13.10 and 13.11)."""
        terms = self.connection.session.terms
        if not flags & FINAL and terms.has_initial_r2t:
            raise ProtocolError("unsolicited data announced, but InitialR2T=Yes was agreed")
        if not length:
            return
        if not terms.has_immediate_data or not task.is_write:
            raise ProtocolError("immediate data with a command that may have none")
        if length > min(terms.first_burst_bytes_max, task.expected):
            raise ProtocolError(f"{length} bytes of immediate data are too many")

    def _store(self, task: SlowTask, data: memoryview) -> None:
        """Keep data-out; what is more than the command wants is dropped."""
        count = min(len(data), task.wanted - task.received)
        if count > 0:
            assert task.buffer is not None, "what is wanted has room"
            task.buffer.view[task.received : task.received + count] = data[:count]
        task.received += len(data)

    def _continue(self, task: SlowTask) -> None:
        """Ask for more data-out, or do the command."""
        if task.is_unsolicited:
            return
        connection = self.connection
        if task.received < task.wanted:
            self._transfer_tag = self._transfer_tag % 0xFFFFFFF0 + 1
            task.transfer_tag = self._transfer_tag
            desired = min(connection.session.terms.burst_bytes_max, task.wanted - task.received)
            task.burst_end = task.received + desired
            task.data_number = 0
            self.ready_to_transfer(task, desired)
            task.r2t_number += 1
            return
        assert task.command is not None, "nothing else is gone on with"
        if task.buffer is not None:
            task.command.data = task.buffer.view[: task.wanted]
        self._go(task, connection.unit.execute(task.command))

    def _data_out(self, header: bytes, data: memoryview) -> None:
        """Data-Out, asked for or not. What belongs to no command any more is dropped."""
        _, flags, _, _, tag, transfer_tag, _, number, offset = pdu.DATA_OUT.unpack(header)
        task = self.connection.tasks.get(tag)
        if not isinstance(task, SlowTask) or task.work is not None:
            return
        if transfer_tag == NO_TAG:
            if not task.is_unsolicited:
                return
            end = min(self.connection.session.terms.first_burst_bytes_max, task.expected)
        elif transfer_tag == task.transfer_tag:
            end = task.burst_end
        else:
            return
        if (number, offset) != (task.data_number, task.received) or offset + len(data) > end:
            # A sequence error at error recovery level 0 ends the command (RFC 7143 section 7.9).
            del self.connection.tasks[tag]
            self.respond(task, check_condition(PROTOCOL_SERVICE_CRC_ERROR))
            self.let_go(task)
            return
        task.data_number += 1
        self._store(task, data)
        if flags & FINAL:
            task.is_unsolicited = False
            self._continue(task)

    def _go(self, task: SlowTask, outcome: Outcome) -> None:
        """Do the work until there is a reply, or until something of it is parked."""
        connection = self.connection
        while not isinstance(outcome, Reply):
            if isinstance(outcome, Deferred):
                self._defer(task, outcome)
                return
            if not self._find_room(task, outcome):
                outcome = Reply(status=TASK_SET_FULL)
                break
            task.work = outcome
            for request in outcome.requests:
                request.tag = task
            connection.unit.device.submit(outcome.requests, connection.settled)
            task.left = sum(request.status is None for request in outcome.requests)
            if task.left:
                return
            outcome = outcome.finish(outcome.requests)
        if len(outcome.data) and task.is_write:
            # It gives data where the initiator sends some: nobody gets them, and is told so.
            outcome = Reply(length=0)
        connection.tasks.pop(task.tag, None)
        self._count(task, outcome)
        self.respond(task, outcome)
        self.let_go(task)

    def _defer(self, task: SlowTask, outcome: Deferred) -> None:
        """Park the task until something else than the device has done it."""
        task.work = Work([], lambda _requests: Reply())
        task.left = 1
        is_inside = True

        def done(after: Outcome) -> None:
            task.work = Work([], lambda _requests: after)
            self.settled(task)
            if not is_inside:
                self.connection.wake()

        outcome.begin(done, lambda: task.is_aborted)
        is_inside = False

    def _find_room(self, task: SlowTask, work: Work) -> bool:
        """Give every READ without a buffer one; False if there is no memory for it."""
        for request in work.requests:
            if request.op is Op.READ and request.buffer is None:
                region = self.connection.large.take(request.length)
                if region is None:
                    return False
                task.regions.append(region)
                request.buffer = region.view[: request.length]
        return True

    def settled(self, task: SlowTask) -> None:
        """One of its parked requests has settled."""
        task.left -= 1
        if task.left:
            return
        if task.is_aborted:
            self.let_go(task)
        else:
            work = task.work
            assert work is not None, "what has settled was work"
            self._go(task, work.finish(work.requests))
        if not task.left:
            for drain in task.drains:
                drain.settle()

    def let_go(self, task: SlowTask) -> None:
        """Give its buffers back; those that are being sent from are held beyond it."""
        if task.buffer is not None:
            self.connection.large.give(task.buffer)
            task.buffer = None
        for region in task.regions:
            self.connection.large.give(region)
        task.regions.clear()

    def _count(self, task: SlowTask, reply: Reply) -> None:
        if task.work is None or not task.work.requests:
            return
        stage, request = self.connection.stage, task.work.requests[0]
        if reply.status == GOOD:
            elapsed_ns = self.connection.clock_ns() - task.started_ns
            length = sum(request.length for request in task.work.requests)
            stage.add(request.op, 1, length, elapsed_ns)
        else:
            stage.fail(request.op)

    # -- the rest ----------------------------------------------------------------------------------

    def _nop_out(self, header: bytes, data: memoryview) -> None:
        """A ping, or the answer to ours (RFC 7143 section 11.18)."""
        _, _, _, lun, tag, _, _, _ = pdu.REQUEST.unpack(header)
        if tag == NO_TAG:
            return
        echo = bytes(data[: self.connection.session.terms.segment_bytes_max])
        self.answer(Opcode.NOP_IN, tag, data=echo, lun=lun)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._transfer_tag = self._transfer_tag % 0xFFFFFFF0 + 1
        self.nop_in(self._transfer_tag)

    def _text_request(self, header: bytes, data: memoryview) -> None:
        """A text request in a normal session: nothing but SendTargets means anything here."""
        _, flags, _, _, tag, _, _, _ = pdu.REQUEST.unpack(header)
        if len(self._text) + len(data) > pdu.LOGIN_SEGMENT_BYTES_MAX:
            raise ProtocolError(f"more than {pdu.LOGIN_SEGMENT_BYTES_MAX} bytes of text")
        self._text += data
        if flags & 0x40:
            self.answer(Opcode.TEXT_RESPONSE, tag, flags=0, transfer_tag=1)
            return
        text = bytes(self._text)
        self._text.clear()
        answer = self._host.list_targets(self.connection, text)
        if len(answer) > self.connection.session.terms.segment_bytes_max:
            raise ProtocolError("a text request with more keys than its answer can hold")
        self.answer(Opcode.TEXT_RESPONSE, tag, data=answer)

    def _logout(self, header: bytes) -> None:
        """Logout: everything under way is given up, and settled before the answer."""
        _, flags, _, _, tag, transfer_tag, _, _ = pdu.REQUEST.unpack(header)
        connection = self.connection
        reason, connection_id = flags & 0x7F, transfer_tag >> 16
        if reason > 1:
            # 2: connection recovery is not supported (RFC 7143 section 11.15.1).
            self.answer(Opcode.LOGOUT_RESPONSE, tag, response=2, transfer_tag=0)
            return
        if reason == 1 and connection_id != connection.session.connection_id:
            # 1: CID not found.
            self.answer(Opcode.LOGOUT_RESPONSE, tag, response=1, transfer_tag=0)
            return

        def answer() -> None:
            self.answer(Opcode.LOGOUT_RESPONSE, tag, transfer_tag=0)
            connection.ending = "logout"

        drain = Drain(answer)
        connection.abort_all(drain)
        drain.start()
