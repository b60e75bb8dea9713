"""Task management (RFC 7143 section 11.5, SAM-5 section 7).

A function is answered only when no write of a task that it ends can be applied any more
(`Settling`); the tasks of sessions that are gone count too. Meanwhile nothing else waits. If that
takes too long the answer is FUNCTION REJECTED, what has not settled goes on and is answered, and
what ended meanwhile is told as TASK ABORTED.

Whose tasks end by another's function are told so, each by TASK ABORTED (the TAS bit of the control
mode page); the function's own initiator hears of its tasks by the answer to the function. A reset
is told to every session, the issuer's too, as a unit attention.
"""

from __future__ import annotations

from typing import Protocol

from tierce_iscsi import pdu
from tierce_iscsi.connection import Connection
from tierce_iscsi.diary import Cause
from tierce_iscsi.pdu import Opcode, TaskFunction, TaskResponse
from tierce_iscsi.scsi.sense import BUS_DEVICE_RESET
from tierce_iscsi.settling import Settler, Settling
from tierce_iscsi.tasks import Drain

#: Functions of one session under way at once; one more is rejected.
FUNCTION_COUNT_MAX = 8
#: Functions that name a logical unit.
_OF_UNIT = frozenset(
    {
        TaskFunction.ABORT_TASK,
        TaskFunction.ABORT_TASK_SET,
        TaskFunction.CLEAR_TASK_SET,
        TaskFunction.LOGICAL_UNIT_RESET,
    }
)
#: What is never done.
_REFUSED = {
    TaskFunction.TASK_REASSIGN: TaskResponse.REASSIGN_NOT_SUPPORTED,
    TaskFunction.CLEAR_ACA: TaskResponse.NOT_SUPPORTED,
}
_FUNCTIONS = frozenset(TaskFunction)


class Sessions(Settler, Protocol):
    """The sessions of a target."""

    def connections(self) -> list[Connection]:
        """Every connection in its full feature phase."""
        ...

    def drain_gone(self, drain: Drain) -> None:
        """Wait for what sessions that are gone have left unsettled too."""
        ...

    def end_all(self, reason: str, cause: Cause) -> None:
        """End every session once its answers are sent."""
        ...


def manage(sessions: Sessions, connection: Connection, header: bytes) -> None:
    """Do the function that this task management request asks for."""
    _, flags, _, lun, tag, task_tag, _, _, _ = pdu.TASK_REQUEST.unpack(header)
    number = flags & 0x7F
    refusal = _refusal(connection, number, lun)
    if refusal is None:
        Function(sessions, connection, TaskFunction(number), tag).begin(task_tag)
    else:
        connection.slow.answer(
            Opcode.TASK_MANAGEMENT_RESPONSE, tag, response=refusal, transfer_tag=0
        )


def _refusal(connection: Connection, number: int, lun: int) -> TaskResponse | None:
    """Return why a function can't be done at all, None if it can."""
    if number not in _FUNCTIONS:
        return TaskResponse.NOT_SUPPORTED
    function = TaskFunction(number)
    if function in _OF_UNIT and lun != pdu.LUN:
        return TaskResponse.NO_SUCH_LUN
    if connection.function_count >= FUNCTION_COUNT_MAX:
        return TaskResponse.REJECTED
    return _REFUSED.get(function)


class Function:
    """One function under way.

    Args:
        sessions: The target's.
        connection: Whose initiator wants it.
        function: What it is.
        tag: The request's task tag.
    """

    def __init__(
        self, sessions: Sessions, connection: Connection, function: TaskFunction, tag: int
    ) -> None:
        self._sessions = sessions
        self._connection = connection
        self._function = function
        self._tag = tag
        self._response = TaskResponse.COMPLETE
        self._settling = Settling(sessions, self._done, self._expired, issuer=connection)

    def begin(self, task_tag: int) -> None:
        """Give up the tasks that it ends, and wait for them.

        Args:
            task_tag: The referenced task's, for ABORT TASK.
        """
        connection, drain = self._connection, self._settling.drain
        connection.function_count += 1
        match self._function:
            case TaskFunction.ABORT_TASK:
                task = connection.tasks.get(task_tag)
                if task is not None:
                    connection.give_up(task, drain)
                elif not connection.stop_giving(task_tag):
                    # It has been answered: on one connection nothing overtakes. Even so it may
                    # have been answered without being settled.
                    self._response = TaskResponse.NO_SUCH_TASK
            case TaskFunction.ABORT_TASK_SET:
                connection.stop_giving()
                connection.give_up_all(drain)
            case _:
                connection.stop_giving()
                for other in self._sessions.connections():
                    other.give_up_all(drain)
                    other.wake()
                self._sessions.drain_gone(drain)
        self._settling.start()

    def _done(self) -> None:
        self._connection.function_count -= 1
        match self._function:
            case TaskFunction.LOGICAL_UNIT_RESET | TaskFunction.TARGET_WARM_RESET:
                self._reset()
            case TaskFunction.TARGET_COLD_RESET:
                self._reset()
                self._sessions.end_all("the target was reset", Cause.RESET)
                return
        self._answer(self._response)

    def _reset(self) -> None:
        """Drop what a reset drops, and tell every session (SAM-5 section 6.3.3)."""
        self._connection.unit.reset()
        for other in self._sessions.connections():
            other.session.attend(BUS_DEVICE_RESET)

    def _expired(self) -> None:
        connection = self._connection
        connection.function_count -= 1
        if not connection.is_closed:
            for tag in self._settling.drain.over:
                connection.slow.respond_aborted(tag)
        self._answer(TaskResponse.REJECTED)

    def _answer(self, response: TaskResponse) -> None:
        connection = self._connection
        if connection.is_closed:
            return
        connection.slow.answer(
            *(Opcode.TASK_MANAGEMENT_RESPONSE, self._tag), response=response, transfer_tag=0
        )
        # The last task to settle may have been another session's.
        connection.wake()
