"""SCSI commands that are not plain READs or WRITEs of one PDU: their data-out, what the device does
for them, the memory that they need.

**Memory.** A command that finds no memory waits for it, in the order of its coming: nothing is
refused for want of memory that will be there again. A WRITE gets room for all of its data before
any are asked for, so that commands which have some don't wait for one another for ever; what it
brought unasked is kept meanwhile. Only if there is not even room for that it ends with TASK SET
FULL.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce import Op, ProtocolError, Request, Stage, Tracer
from tierce_iscsi import pdu
from tierce_iscsi.fast_path import ANSWER, PARSE
from tierce_iscsi.pdu import FINAL, NO_TAG, RejectReason
from tierce_iscsi.scsi import device_server
from tierce_iscsi.scsi.command import Deferred, Outcome, Reply, Work, check_condition
from tierce_iscsi.scsi.sense import GOOD, PROTOCOL_SERVICE_CRC_ERROR, TASK_SET_FULL
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.tasks import SlowTask

#: Immediate commands have no window: beyond so many more than the queue's depth they are rejected.
IMMEDIATE_COUNT_MAX = 8
#: Commands that have waited for memory and are gone on with in one turn.
RETRY_COUNT_MAX = 2


class Commands:
    """See the module.

    Args:
        unit: The logical unit.
        tasks: The commands under way.
        clock_ns: A monotonic clock, for statistics.
        stage: The front end's counters.
        tracer: Who is followed one by one.
    """

    def __init__(
        self,
        unit: LogicalUnit,
        tasks: TaskSet,
        clock_ns: Callable[[], int],
        stage: Stage,
        tracer: Tracer,
    ) -> None:
        self._unit = unit
        self._tasks = tasks
        self._session = tasks.session
        self._stream = tasks.stream
        self._responses = tasks.responses
        self._clock_ns = clock_ns
        self._stage = stage
        self._tracer = tracer
        self._last_transfer_tag = 0

    def next_transfer_tag(self) -> int:
        """Return a target transfer tag that nothing has."""
        self._last_transfer_tag = self._last_transfer_tag % 0xFFFFFFF0 + 1
        return self._last_transfer_tag

    def command(self, header: bytes, data: memoryview) -> None:
        """Take a command.

        Raises:
            ProtocolError: The connection has to end.
        """
        by_tag, responses = self._tasks.by_tag, self._responses
        _, flags, _, _, lun, tag, expected, _, _, _, _ = pdu.SCSI_COMMAND.unpack_from(header)
        if tag in by_tag:
            responses.reject(header, RejectReason.TASK_IN_PROGRESS)
            return
        if len(by_tag) >= self._session.queue_depth + IMMEDIATE_COUNT_MAX:
            responses.reject(header, RejectReason.TOO_MANY_IMMEDIATE_COMMANDS)
            return
        task = SlowTask(tag, self._stream.arrived_ns, lun, expected, flags)
        self._check_unsolicited(task, flags, len(data))
        admitted = device_server.admit(
            *(self._unit, header[pdu.CDB_OFFSET :], lun, self._session),
            read=expected if task.is_read else 0,
            write=expected if task.is_write else 0,
        )
        if isinstance(admitted, Reply):
            responses.respond(task, admitted)
            return
        task.command = admitted
        task.wanted = admitted.due
        task.is_unsolicited = task.is_write and not flags & FINAL
        if task.wanted and not self._find_buffer(task, has_data=len(data) > 0):
            responses.respond(task, Reply(status=TASK_SET_FULL))
            return
        by_tag[tag] = task
        self._store(task, data)
        self._continue(task)

    def _check_unsolicited(self, task: SlowTask, flags: int, length: int) -> None:
        """Refuse data that the login ruled out (RFC 7143 sections 13.10 and 13.11)."""
        terms = self._session.terms
        if not flags & FINAL and terms.has_initial_r2t:
            raise ProtocolError("unsolicited data announced, but InitialR2T=Yes was agreed")
        if not length:
            return
        if not terms.has_immediate_data or not task.is_write:
            raise ProtocolError("immediate data with a command that may have none")
        if length > min(terms.first_burst_bytes_max, task.expected):
            raise ProtocolError(f"{length} bytes of immediate data are too many")

    # -- data-out ----------------------------------------------------------------------------------

    def _find_buffer(self, task: SlowTask, *, has_data: bool) -> bool:
        """Get room for a command's data-out, or for what it brings unasked and a place among those
        that wait for the rest; False if there is not even that."""
        memory = self._stream.large
        if not self._tasks.waiting:
            task.buffer = memory.take(task.wanted)
            if task.buffer is not None:
                return True
        if has_data or task.is_unsolicited:
            first = min(task.wanted, self._session.terms.first_burst_bytes_max)
            task.buffer = memory.take_begun(task.wanted, first)
            if task.buffer is None:
                return False
            task.is_begun = True
        self._wait(task)
        return True

    def _store(self, task: SlowTask, data: memoryview) -> None:
        """Keep data-out; what is more than the command wants is dropped."""
        count = min(len(data), task.wanted - task.received)
        if count > 0:
            assert task.buffer is not None, "what is wanted has room"
            task.buffer.view[task.received : task.received + count] = data[:count]
        task.received += len(data)

    def _continue(self, task: SlowTask) -> None:
        """Ask for more data-out, or do the command."""
        if task.is_unsolicited or task.is_waiting:
            return
        if task.received < task.wanted:
            task.transfer_tag = self.next_transfer_tag()
            desired = min(self._session.terms.burst_bytes_max, task.wanted - task.received)
            task.burst_end = task.received + desired
            task.data_number = 0
            self._responses.ready_to_transfer(task, desired)
            task.r2t_number += 1
            return
        assert task.command is not None, "nothing else is gone on with"
        if task.buffer is not None:
            task.command.data = task.buffer.view[: task.wanted]
        self._go(task, device_server.execute(self._unit, task.command))

    def data_out(self, header: bytes, data: memoryview) -> None:
        """Take Data-Out, asked for or not. What belongs to no command any more is dropped."""
        _, flags, _, _, tag, transfer_tag, _, number, offset = pdu.DATA_OUT.unpack(header)
        task = self._tasks.by_tag.get(tag)
        if not isinstance(task, SlowTask) or task.work is not None:
            return
        if transfer_tag == NO_TAG:
            if not task.is_unsolicited:
                return
            end = min(self._session.terms.first_burst_bytes_max, task.expected)
        elif transfer_tag and transfer_tag == task.transfer_tag:
            end = task.burst_end
        else:
            return
        stop = offset + len(data)
        if (number, offset) != (task.data_number, task.received) or stop > end:
            # A sequence error at error recovery level 0 ends the command (RFC 7143 section 7.9).
            del self._tasks.by_tag[tag]
            self._responses.respond(task, check_condition(PROTOCOL_SERVICE_CRC_ERROR))
            self._tasks.release(task)
            return
        task.data_number += 1
        self._store(task, data)
        # The last one has the F bit; one that says it by its length alone is understood too,
        # rather than waited for.
        if flags & FINAL or stop == end:
            task.is_unsolicited = False
            self._continue(task)

    # -- what the device does ----------------------------------------------------------------------

    def _go(self, task: SlowTask, outcome: Outcome) -> None:
        """Do the work until there is a reply, or until something of it is pending."""
        while not isinstance(outcome, Reply):
            if isinstance(outcome, Deferred):
                self._defer(task, outcome)
                return
            task.work = outcome
            requests = outcome.requests
            if not self._may_begin(task, outcome):
                self._wait(task)
                return
            for request in requests:
                request.tag = task
            if not task.is_submitted:
                self._follow(task, requests)
            self._unit.device.submit(requests, self.completed)
            task.pending_count = sum(request.status is None for request in requests)
            if task.pending_count:
                return
            outcome = self._finish(outcome)
        if len(outcome.data) and task.is_write:
            # It gives data where the initiator sends some: nobody gets them, and is told so.
            outcome = Reply(length=0)
        del self._tasks.by_tag[task.tag]
        self._count(task, outcome)
        self._responses.respond(task, outcome)
        self._tasks.release(task)

    def _follow(self, task: SlowTask, requests: list[Request]) -> None:
        """Follow a command, if it is its turn: by its first request, and by those that come after
        that."""
        task.is_submitted = True
        tracer = self._tracer
        tracer.left -= 1
        if tracer.left < 0:
            initiator = self._session.terms.initiator_name
            tracer.sample(requests[:1], task.started_ns, initiator)
        if tracer.live:
            tracer.note(requests, PARSE, task.started_ns, self._clock_ns() - task.started_ns)

    def _defer(self, task: SlowTask, outcome: Deferred) -> None:
        """Leave the task pending until something else than the device has done it."""
        task.work = Work([], lambda _requests: Reply())
        task.pending_count = 1
        is_inside = True

        def done(after: Outcome) -> None:
            task.work = Work([], lambda _requests: after)
            self._complete_one(task)
            if not is_inside:
                self._stream.wake()

        outcome.begin(done, lambda: bool(task.drains))
        is_inside = False

    def _finish(self, work: Work) -> Outcome:
        """Return what comes after work that is done."""
        for request in work.requests:
            # The task knows its requests: together they would be a cycle, and keep its memory.
            request.tag = None
        after = work.finish(work.requests)
        if not isinstance(after, Reply) and work.requests:
            first = work.requests[0]
            if isinstance(after, Work) and after.requests:
                after.requests[0].trace, first.trace = first.trace, None
            self._tracer.forget(first)
        return after

    def _may_begin(self, task: SlowTask, work: Work) -> bool:
        """True if there is memory for it now, which those that wait already have not a claim to."""
        holds_some = task.buffer is not None or task.regions
        if self._tasks.waiting and not holds_some and any(map(_needs_buffer, work.requests)):
            return False
        return self._find_room(task, work)

    def _find_room(self, task: SlowTask, work: Work) -> bool:
        """Give every READ without a buffer one; False if there is no memory for it now."""
        for request in work.requests:
            if _needs_buffer(request):
                region = self._stream.large.take(request.length, has_own=task.has_own)
                if region is None:
                    return False
                task.regions.append(region)
                request.buffer = region.view[: request.length]
        return True

    def completed(self, requests: list[Request]) -> None:
        """Go on with the commands whose requests were pending; see `tierce.Completed`."""
        for request in requests:
            task = request.tag
            assert isinstance(task, SlowTask), "every pending request has a task"
            self._complete_one(task)
        # Not only answers: what is complete may have made room to read or to parse on.
        self._stream.wake()

    def _complete_one(self, task: SlowTask) -> None:
        """One of its pending requests is complete."""
        task.pending_count -= 1
        if task.pending_count:
            return
        work, drains = task.work, task.drains
        assert work is not None, "what is complete was work"
        if drains:
            del self._tasks.by_tag[task.tag]
            self._tasks.answer_given_up(task)
            self._tasks.release(task)
        else:
            self._go(task, self._finish(work))
        for drain in drains:
            drain.complete(task)

    def _count(self, task: SlowTask, reply: Reply) -> None:
        if task.work is None or not task.work.requests:
            return
        stage, request = self._stage, task.work.requests[0]
        elapsed_ns = self._clock_ns() - task.started_ns
        length = sum(request.length for request in task.work.requests)
        stage.add(request.op, 1, length, elapsed_ns)
        stage.size(request.op, 1, length)
        if reply.status != GOOD:
            answered = (one.status for one in task.work.requests if one.status is not None)
            stage.fail(request.op, 1, next((one.code for one in answered if not one.is_good), None))
        if elapsed_ns > self._tracer.look_ns:
            first = task.work.requests[:1]
            self._tracer.answered(first, task.started_ns, elapsed_ns, ANSWER)

    # -- waiting for memory ------------------------------------------------------------------------

    def _wait(self, task: SlowTask) -> None:
        task.is_waiting = True
        if task.work is not None and task.buffer is not None:
            # It holds what others wait for, and needs only a little more to be done with it.
            self._tasks.waiting.appendleft(task)
        else:
            self._tasks.waiting.append(task)
        self._stream.account.wait(self._retry)

    def _retry(self) -> None:
        """Some memory has come back: go on with some that wait, the first ones first."""
        waiting = self._tasks.waiting
        count = 0
        while count < RETRY_COUNT_MAX and waiting and self._has_found(waiting[0]):
            count += 1
            task = waiting.popleft()
            task.is_waiting = False
            if task.work is None:
                self._continue(task)
            else:
                self._go(task, task.work)
        account = self._stream.account
        if waiting:
            account.wait(self._retry)
        if count:
            # There may be memory for more, when others have had their turn.
            account.changed()
        self._stream.wake()

    def _has_found(self, task: SlowTask) -> bool:
        """True if there is memory now for what it waits for."""
        if task.work is not None:
            return self._find_room(task, task.work)
        memory = self._stream.large
        if task.is_begun:
            assert task.buffer is not None, "begun is a buffer"
            task.is_begun = not memory.complete(task.buffer)
            return not task.is_begun
        task.buffer = memory.take(task.wanted)
        return task.buffer is not None


def _needs_buffer(request: Request) -> bool:
    return request.op is Op.READ and request.buffer is None
