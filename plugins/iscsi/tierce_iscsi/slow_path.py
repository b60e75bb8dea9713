"""Everything of a connection that is not a plain READ or WRITE, one PDU at a time."""

from __future__ import annotations

from typing import Protocol

from tierce import ProtocolError
from tierce_iscsi import pdu
from tierce_iscsi.buffers import Region
from tierce_iscsi.commands import Commands
from tierce_iscsi.completion import Completion, CompletionHost
from tierce_iscsi.pdu import IMMEDIATE, NO_TAG, LogoutResponse, Opcode, RejectReason
from tierce_iscsi.session import Cause, Session
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.text_exchange import TextExchange

#: Reasons of a logout (RFC 7143 section 11.14.1).
CLOSE_SESSION, CLOSE_CONNECTION = 0, 1


class Host(CompletionHost, Protocol):
    """The target, as the slow path of one of its connections sees it."""

    def manage_tasks(self, tasks: TaskSet, header: bytes) -> None:
        """Do a task management function."""
        ...

    def answer_text(self, session: Session, text: bytes) -> bytes:
        """Answer the whole text of a text request."""
        ...


class SlowPath:
    """See the module.

    Args:
        host: The target.
        tasks: The commands under way.
        commands: Does them.
    """

    def __init__(self, host: Host, tasks: TaskSet, commands: Commands) -> None:
        self._host = host
        self._tasks = tasks
        self._session = tasks.session
        self._stream = tasks.stream
        self._responses = tasks.responses
        self._commands = commands
        self._text = TextExchange(pdu.LOGIN_SEGMENT_BYTES_MAX)

    def take(self, region: Region, at: int, size: int) -> None:
        """Take the PDU at `at`, which is whole and whose digests are right.

        Raises:
            ProtocolError: The connection has to end.
        """
        view = region.view
        header = bytes(view[at : at + pdu.BHS_BYTES])
        opcode = header[0] & 0x3F
        lengths = pdu.COMMON.unpack_from(header)[3]
        data_at = at + pdu.BHS_BYTES + (lengths >> 24) * 4
        if self._stream.has_header_digest:
            data_at += pdu.DIGEST_BYTES
        data = view[data_at : data_at + (lengths & 0xFFFFFF)]
        assert data_at + len(data) <= at + size, "the connection has measured it"
        if opcode == Opcode.DATA_OUT:
            self._commands.data_out(header, data)
            return
        if not self._accept(header):
            return
        match opcode:
            case Opcode.SCSI_COMMAND:
                self._commands.command(header, data)
            case Opcode.NOP_OUT:
                self._nop_out(header, data)
            case Opcode.TASK_MANAGEMENT:
                self._host.manage_tasks(self._tasks, header)
            case Opcode.TEXT:
                self._text_request(header, data)
            case Opcode.LOGOUT:
                self._logout(header)
            case Opcode.SNACK:
                self._responses.reject(header, RejectReason.SNACK_REJECT)
            case Opcode.LOGIN:
                raise ProtocolError("a login in the full feature phase")
            case _:
                self._responses.reject(header, RejectReason.COMMAND_NOT_SUPPORTED)

    def _accept(self, header: bytes) -> bool:
        """True if the command's CmdSN is the next one, or it is immediate.

        One outside of the window that the initiator was told is dropped without a word
        (RFC 7143 section 4.2.2.1).
        """
        if header[0] & IMMEDIATE or header[0] & 0x3F == Opcode.SNACK:
            return True
        session = self._session
        cmd_sn = int.from_bytes(header[24:28], "big")
        if not session.is_in_window(cmd_sn):
            return False
        if cmd_sn != session.exp_cmd_sn:
            raise ProtocolError(f"CmdSN {cmd_sn} where {session.exp_cmd_sn} was next")
        session.exp_cmd_sn = (cmd_sn + 1) & pdu.SERIAL_MASK
        return True

    def _nop_out(self, header: bytes, data: memoryview) -> None:
        """A ping, or the answer to ours (RFC 7143 section 11.18)."""
        _, _, _, lun, tag, _, _, _ = pdu.REQUEST.unpack(header)
        if tag == NO_TAG:
            return
        echo = bytes(data[: self._session.terms.segment_bytes_max])
        self._responses.answer(Opcode.NOP_IN, tag, data=echo, lun=lun)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._responses.nop_in(self._commands.next_transfer_tag())

    def _text_request(self, header: bytes, data: memoryview) -> None:
        _, flags, _, _, tag, transfer_tag, _, _ = pdu.REQUEST.unpack(header)
        session = self._session
        flags, transfer_tag, part = self._text.take(
            *(flags, transfer_tag, data),
            answer=lambda text: self._host.answer_text(session, text),
            part_bytes_max=lambda: session.terms.segment_bytes_max,
        )
        self._responses.answer(
            Opcode.TEXT_RESPONSE, tag, data=part, flags=flags, transfer_tag=transfer_tag
        )

    def _logout(self, header: bytes) -> None:
        """Logout: everything under way is given up, and complete before the answer."""
        _, flags, _, _, tag, transfer_tag, _, _ = pdu.REQUEST.unpack(header)
        stream, tasks = self._stream, self._tasks
        reason, connection_id = flags & 0x7F, transfer_tag >> 16

        def answer(response: LogoutResponse) -> None:
            if not stream.is_closed:
                self._responses.answer(
                    Opcode.LOGOUT_RESPONSE, tag, response=response, transfer_tag=0
                )
                stream.wake()

        def end(response: LogoutResponse) -> None:
            stream.end("it has logged out", Cause.LOGGED_OUT)
            answer(response)

        if reason not in {CLOSE_SESSION, CLOSE_CONNECTION}:
            answer(LogoutResponse.RECOVERY_NOT_SUPPORTED)
            return
        if reason == CLOSE_CONNECTION and connection_id != self._session.connection_id:
            answer(LogoutResponse.NO_SUCH_CONNECTION)
            return
        if tasks.is_leaving:
            return
        tasks.is_leaving = True
        completion = Completion(
            self._host,
            lambda: end(LogoutResponse.SUCCESS),
            lambda: end(LogoutResponse.CLEANUP_FAILED),
        )
        stream.stop_giving()
        tasks.give_up_all(completion.drain)
        completion.start()
