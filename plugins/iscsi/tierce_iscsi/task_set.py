"""The commands under way of one session (SAM-5: a task set), and how they are given up."""

from __future__ import annotations

from collections import deque

from tierce import Tracer
from tierce_iscsi.pdu import SERIAL_MASK
from tierce_iscsi.responses import ResponseWriter
from tierce_iscsi.session import Session
from tierce_iscsi.stream import Stream
from tierce_iscsi.tasks import Drain, SlowTask, Task


class TaskSet:
    """See the module.

    Args:
        session: Whose commands they are.
        stream: Where their data lie and their answers go.
        responses: Tells the initiator what others have ended.
        by_tag: The commands, by initiator task tag: the one table of the session, which the
            responses count to say how many more may come.
        tracer: Who is followed one by one, as long as somebody waits for it.

    Attributes:
        waiting: Commands that wait for memory, those first that hold some already.
        function_count: Task management functions under way.
        is_leaving: The session has logged out: what is under way is not waited for.
    """

    def __init__(
        self,
        session: Session,
        stream: Stream,
        responses: ResponseWriter,
        by_tag: dict[int, Task],
        tracer: Tracer,
    ) -> None:
        self.session = session
        self.stream = stream
        self.responses = responses
        self.by_tag = by_tag
        self._tracer = tracer
        self.waiting: deque[SlowTask] = deque()
        self.function_count = 0
        self.is_leaving = False

    def give_up(self, task: Task, drain: Drain) -> None:
        """End a task, at once or when what the device does for it is complete: `drain` waits for
        that, and says who is told of it."""
        if isinstance(task, SlowTask) and not task.pending_count:
            del self.by_tag[task.tag]
            self.release(task)
            if drain.issuer is self:
                drain.over.append(task.tag)
            elif drain.issuer is not None:
                self.responses.respond_aborted(task.tag)
        else:
            drain.add(task)

    def give_up_all(self, drain: Drain) -> None:
        """End every task."""
        for task in list(self.by_tag.values()):
            self.give_up(task, drain)

    def answer_given_up(self, task: Task) -> None:
        """A task that was given up is complete: say TASK ABORTED, unless our own initiator wanted
        that, or is gone (SAM-5 section 5.6, with the TAS bit set)."""
        tag, is_told = task.tag & SERIAL_MASK, True
        for drain in task.drains:
            if drain.issuer is self:
                drain.over.append(tag)
            is_told = is_told and drain.issuer not in {self, None}
        if is_told:
            self.responses.respond_aborted(tag)

    def release(self, task: SlowTask) -> None:
        """The task is over: give its buffers back; one that is being sent from is held beyond."""
        for region in (task.buffer, *task.regions):
            if region is not None:
                self.stream.let_go(region)
        task.buffer = None
        task.regions.clear()
        if task.work is not None:
            for request in task.work.requests:
                request.tag = None
                self._tracer.forget(request)
            task.work = None
        if task.is_waiting:
            task.is_waiting = False
            self.waiting.remove(task)
