"""Task management (RFC 7143 section 11.5, SAM-5 section 7).

A function is answered only when no write of a task that it ends can be applied any more
(`Completion`); the tasks of sessions that are gone count too. Meanwhile nothing else waits. If that
takes too long the answer is FUNCTION REJECTED, what is not complete goes on and is answered, and
what ended meanwhile is told as TASK ABORTED.

Whose tasks end by another's function are told so, each by TASK ABORTED (the TAS bit of the control
mode page); the function's own initiator hears of its tasks by the answer to the function. A reset
is told to every session, the issuer's too, as a unit attention.
"""

from __future__ import annotations

from typing import Protocol

from tierce_iscsi import pdu
from tierce_iscsi.completion import Completion, CompletionHost
from tierce_iscsi.pdu import Opcode, TaskFunction, TaskResponse
from tierce_iscsi.scsi.sense import BUS_DEVICE_RESET
from tierce_iscsi.session import Cause
from tierce_iscsi.task_set import TaskSet
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


class Sessions(CompletionHost, Protocol):
    """The sessions of a target."""

    def task_sets(self) -> list[TaskSet]:
        """Those of every session in its full feature phase."""
        ...

    def drain_gone(self, drain: Drain) -> None:
        """Wait for what sessions that are gone have left pending too."""
        ...

    def reset_unit(self) -> None:
        """Forget what a reset of the logical unit drops."""
        ...

    def end_all(self, reason: str, cause: Cause) -> None:
        """End every session once its answers are sent."""
        ...


def manage(sessions: Sessions, tasks: TaskSet, header: bytes) -> None:
    """Do the function that this task management request asks for."""
    _, flags, _, lun, tag, task_tag, _, _, _ = pdu.TASK_REQUEST.unpack(header)
    number = flags & 0x7F
    refusal = _refusal(tasks, number, lun)
    if refusal is None:
        Function(sessions, tasks, TaskFunction(number), tag).begin(task_tag)
    else:
        tasks.responses.answer(
            Opcode.TASK_MANAGEMENT_RESPONSE, tag, response=refusal, transfer_tag=0
        )


def _refusal(tasks: TaskSet, number: int, lun: int) -> TaskResponse | None:
    """Return why a function can't be done at all, None if it can."""
    if number not in _FUNCTIONS:
        return TaskResponse.NOT_SUPPORTED
    function = TaskFunction(number)
    if function in _OF_UNIT and lun != pdu.LUN:
        return TaskResponse.NO_SUCH_LUN
    if tasks.function_count >= FUNCTION_COUNT_MAX:
        return TaskResponse.REJECTED
    return _REFUSED.get(function)


class Function:
    """One function under way.

    Args:
        sessions: The target's.
        tasks: Those of the session whose initiator wants it.
        function: What it is.
        tag: The request's task tag.
    """

    def __init__(
        self, sessions: Sessions, tasks: TaskSet, function: TaskFunction, tag: int
    ) -> None:
        self._sessions = sessions
        self._tasks = tasks
        self._function = function
        self._tag = tag
        self._response = TaskResponse.COMPLETE
        self._completion = Completion(sessions, self._done, self._expired, issuer=tasks)

    def begin(self, task_tag: int) -> None:
        """Give up the tasks that it ends, and wait for them.

        Args:
            task_tag: The referenced task's, for ABORT TASK.
        """
        tasks, drain = self._tasks, self._completion.drain
        tasks.function_count += 1
        match self._function:
            case TaskFunction.ABORT_TASK:
                task = tasks.by_tag.get(task_tag)
                if task is not None:
                    tasks.give_up(task, drain)
                elif not tasks.stream.stop_giving(task_tag):
                    # It has been answered: on one connection nothing overtakes. Even so it may
                    # have been answered without being complete.
                    self._response = TaskResponse.NO_SUCH_TASK
            case TaskFunction.ABORT_TASK_SET:
                tasks.stream.stop_giving()
                tasks.give_up_all(drain)
            case _:
                tasks.stream.stop_giving()
                for other in self._sessions.task_sets():
                    other.give_up_all(drain)
                    other.stream.wake()
                self._sessions.drain_gone(drain)
        self._completion.start()

    def _done(self) -> None:
        self._tasks.function_count -= 1
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
        self._sessions.reset_unit()
        for other in self._sessions.task_sets():
            other.session.attend(BUS_DEVICE_RESET)

    def _expired(self) -> None:
        tasks = self._tasks
        tasks.function_count -= 1
        if not tasks.stream.is_closed:
            for tag in self._completion.drain.over:
                tasks.responses.respond_aborted(tag)
        self._answer(TaskResponse.REJECTED)

    def _answer(self, response: TaskResponse) -> None:
        stream = self._tasks.stream
        if stream.is_closed:
            return
        self._tasks.responses.answer(
            *(Opcode.TASK_MANAGEMENT_RESPONSE, self._tag), response=response, transfer_tag=0
        )
        # The last task to complete may have been another session's.
        stream.wake()
