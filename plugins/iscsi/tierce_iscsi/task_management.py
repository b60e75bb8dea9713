"""Task management (RFC 7143 section 11.5, SAM-5 section 7).

A function is answered only when every task that it ends has settled: none of their writes may be
applied after the answer. The tasks of sessions that are gone count
too. Meanwhile nothing else waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tierce_iscsi import pdu
from tierce_iscsi.connection import Connection
from tierce_iscsi.pdu import Opcode, TaskFunction, TaskResponse
from tierce_iscsi.scsi.sense import BUS_DEVICE_RESET, COMMANDS_CLEARED
from tierce_iscsi.tasks import Drain

#: Functions that name a logical unit.
_OF_UNIT = frozenset(
    {
        TaskFunction.ABORT_TASK,
        TaskFunction.ABORT_TASK_SET,
        TaskFunction.CLEAR_TASK_SET,
        TaskFunction.LOGICAL_UNIT_RESET,
    }
)


class Sessions(Protocol):
    """The sessions of a target."""

    def connections(self) -> list[Connection]:
        """Every connection in its full feature phase."""
        ...

    def drain_gone(self, drain: Drain) -> None:
        """Add what sessions that are gone have left unsettled."""
        ...

    def end_all(self, reason: str) -> None:
        """End every session once its answers are sent."""
        ...


def manage(sessions: Sessions, connection: Connection, header: bytes) -> None:
    """Do the function that this task management request asks for."""
    _, flags, _, lun, tag, task_tag, _, _, _ = pdu.TASK_REQUEST.unpack(header)
    number = flags & 0x7F

    def answer(response: TaskResponse) -> Callable[[], None]:
        def send() -> None:
            connection.slow.answer(
                Opcode.TASK_MANAGEMENT_RESPONSE, tag, response=response, transfer_tag=0
            )
            # The last task to settle may have been another session's.
            connection.wake()

        return send

    if number not in set(TaskFunction):
        answer(TaskResponse.NOT_SUPPORTED)()
        return
    function = TaskFunction(number)
    if function in _OF_UNIT and lun != pdu.LUN:
        answer(TaskResponse.NO_SUCH_LUN)()
        return
    drain = Drain(answer(TaskResponse.COMPLETE))
    match function:
        case TaskFunction.ABORT_TASK:
            task = connection.tasks.get(task_tag)
            if task is None:
                # It has been answered already: on one connection nothing overtakes.
                answer(TaskResponse.NO_SUCH_TASK)()
                return
            connection.abort(task, drain)
        case TaskFunction.ABORT_TASK_SET:
            connection.abort_all(drain)
        case TaskFunction.CLEAR_TASK_SET:
            _clear(sessions, connection, drain)
        case TaskFunction.LOGICAL_UNIT_RESET | TaskFunction.TARGET_WARM_RESET:
            _reset(sessions, connection, drain)
        case TaskFunction.TARGET_COLD_RESET:
            drain = Drain(lambda: sessions.end_all("target cold reset"))
            _reset(sessions, connection, drain)
        case TaskFunction.TASK_REASSIGN:
            answer(TaskResponse.REASSIGN_NOT_SUPPORTED)()
            return
        case TaskFunction.CLEAR_ACA:
            answer(TaskResponse.NOT_SUPPORTED)()
            return
    drain.start()


def _clear(sessions: Sessions, connection: Connection, drain: Drain) -> None:
    """End every task of every session; tell those sessions that lost one."""
    for other in sessions.connections():
        if other.abort_all(drain) and other is not connection:
            other.session.attend(COMMANDS_CLEARED)
    sessions.drain_gone(drain)


def _reset(sessions: Sessions, connection: Connection, drain: Drain) -> None:
    """End every task, drop what a reset drops, and tell every other session."""
    for other in sessions.connections():
        other.abort_all(drain)
        if other is not connection:
            other.session.attend(BUS_DEVICE_RESET)
    sessions.drain_gone(drain)
    connection.unit.reset()
