"""The fast path: READs and WRITEs of one PDU each, handed to the device in batches and answered in
runs of memory, one push for each."""

from __future__ import annotations

from collections.abc import Callable

from tierce import GOOD, Completed, Op, Request, Stage, Tracer, count_sizes
from tierce_iscsi import pdu
from tierce_iscsi.buffers import RECEIVE_BYTES_MIN, Region
from tierce_iscsi.scsi.command import check_condition
from tierce_iscsi.scsi.sense import sense_of
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.session import Cause
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.tasks import FastTask

#: Names of this module: to look a member up in its enum costs 50 ns each time.
READ, WRITE = Op.READ, Op.WRITE
#: Stamps of a sampled I/O: from its arrival until it is handed to the device, and from when that
#: has done it until its answer is queued.
PARSE, ANSWER = "frontend.parse", "frontend.answer"
PACK_DATA_IN, PACK_RESPONSE = pdu.DATA_IN_WHOLE.pack_into, pdu.SCSI_RESPONSE_GOOD.pack_into


class FastPath:
    """See the module.

    Args:
        unit: The logical unit.
        tasks: The commands under way; those that the device has not done at once go there.
        clock_ns: A monotonic clock, for statistics.
        stage: The front end's counters.
        tracer: Who is followed one by one.
    """

    __slots__ = (
        *("_clock_ns", "_completed", "_header_bytes", "_overhead", "_responses", "_session"),
        *("_stage", "_stream", "_tasks", "_tracer", "_unit"),
    )

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
        self._clock_ns = clock_ns
        self._stage = stage
        self._tracer = tracer
        # Of the tasks' own, looked up once: each look costs every batch.
        self._session = tasks.session
        self._stream = tasks.stream
        self._responses = tasks.responses
        self._header_bytes = tasks.stream.header_bytes
        self._overhead = tasks.stream.header_bytes + tasks.stream.trailer_bytes
        #: One object for every batch, so that the device can tell its submitter by identity.
        self._completed: Completed = self.completed

    def submit(
        self, batch: list[Request], region: Region, out: Region, begin: int, started_ns: int
    ) -> None:
        """Hand a batch to the device, and answer what has a status.

        Args:
            batch: READs whose places follow each other from `begin`, and WRITEs; their tags are
                (ITT, place).
            region: Where the writes' data lie.
            out: Where the reads' data go.
            begin: Where the first read's header goes.
            started_ns: When the batch arrived.
        """
        tracer = self._tracer
        tracer.left -= len(batch)
        if tracer.left < 0:
            self._follow(batch, started_ns)
        self._unit.device.submit(batch, self._completed)
        # A loop, as a comprehension is a call: once for each batch.
        pending_count = 0
        for request in batch:
            if request.status is None:
                pending_count += 1
                self._hold(request, out if request.op is READ else region, started_ns)
        if pending_count < len(batch):
            answered = batch
            if pending_count:
                answered = [request for request in batch if request.status is not None]
            elapsed_ns = self._answer(answered, out, begin, started_ns)
            if elapsed_ns > tracer.look_ns:
                tracer.answered(answered, started_ns, elapsed_ns, ANSWER)
        if out.size - out.end < RECEIVE_BYTES_MIN:
            self._stream.next_out(out)

    def _follow(self, batch: list[Request], started_ns: int) -> None:
        """Follow some of these."""
        tracer = self._tracer
        tracer.sample(batch, started_ns, self._session.terms.initiator_name)
        if tracer.live:
            tracer.note(batch, PARSE, started_ns, self._clock_ns() - started_ns)

    def _hold(self, request: Request, held: Region, started_ns: int) -> None:
        """Make a task of what the device has not done at once."""
        by_tag = self._tasks.by_tag
        tag, place = request.tag
        while tag in by_tag:
            # One tag for two commands of a batch: both must complete, neither is answered.
            reason = f"task tag {tag & pdu.SERIAL_MASK:#x} was in use"
            self._stream.end(reason, Cause.PROTOCOL)
            tag += 1 << 32
        held.holds += 1
        request.tag = by_tag[tag] = FastTask(tag, started_ns, held, place)

    def completed(self, requests: list[Request]) -> None:
        """Answer requests that were pending; see `tierce.Completed`."""
        writes: list[Request] = []
        for request in requests:
            task = request.tag
            assert isinstance(task, FastTask), "every pending request has a task"
            del self._tasks.by_tag[task.tag]
            drains = task.drains
            if drains:
                self._tracer.forget(request)
                self._tasks.answer_given_up(task)
            elif request.op is READ:
                self._answer_late_read(request, task)
            else:
                writes.append(request)
            region = task.region
            region.holds -= 1
            if not region.holds:
                self._stream.free(region)
            if drains:
                for drain in drains:
                    drain.complete(task)
        if writes:
            self._answer_late_writes(writes)
        # Not only answers: what is complete may have made room to read or to parse on.
        self._stream.wake()

    def dispose(self) -> None:
        """Nothing is under way, and nothing will be: let go of ourselves."""
        self._completed = _nobody

    # -- answers -----------------------------------------------------------------------------------

    def _answer(self, batch: list[Request], out: Region, begin: int, started_ns: int) -> int:
        """Answer the requests of a batch that are complete, in one run if the reads' places follow
        each other from `begin` to `out.end`. Returns their age in ns."""
        session, stream = self._session, self._stream
        stat_sn, exp_cmd_sn = session.stat_sn, session.exp_cmd_sn
        max_cmd_sn = session.window(len(self._tasks.by_tag))
        pack, overhead = PACK_DATA_IN, self._overhead
        run, run_end = begin, begin
        memory, size, is_mixed = out.memory, batch[0].length, False
        writes: list[int] = []
        failed: list[Request] = []
        for request in batch:
            status = request.status
            if status is not GOOD and not status.is_good:  # type: ignore[union-attr]
                failed.append(request)
                continue
            tag, place = request.tag
            length = request.length
            if length != size:
                is_mixed = True
            if request.op is not READ:
                writes.append(tag)
                continue
            if place != run_end:
                stream.push_run(out, run, run_end)
                run = place
            pack(
                memory,
                place,
                pdu.DATA_IN_GOOD_WORD,
                length,
                0,
                tag,
                pdu.NO_TAG,
                stat_sn,
                exp_cmd_sn,
                max_cmd_sn,
            )
            stat_sn = stat_sn + 1 & 0xFFFFFFFF
            run_end = place + length + overhead
            if overhead > pdu.BHS_BYTES:
                stream.add_digests(out, place, length)
        session.stat_sn = stat_sn
        if run_end != out.end:
            stream.push_run(out, run, run_end)
            run = out.end
        if writes:
            self._answer_writes(writes, out, max_cmd_sn)
        stream.push_run(out, run, out.end)
        elapsed_ns = self._clock_ns() - started_ns
        write_count = len(writes)
        read_count = len(batch) - write_count - len(failed)
        if is_mixed:
            self._count_mixed([one for one in batch if one not in failed], elapsed_ns)
        else:
            if read_count:
                self._stage.add(READ, read_count, read_count * size, elapsed_ns, size)
            if write_count:
                self._stage.add(WRITE, write_count, write_count * size, elapsed_ns, size)
        for request in failed:
            self._answer_failure(request, request.tag[0], elapsed_ns)
        return elapsed_ns

    def _count_mixed(self, requests: list[Request], elapsed_ns: int) -> None:
        """Count what is not of one size."""
        for op in (READ, WRITE):
            lengths = [request.length for request in requests if request.op is op]
            if lengths:
                self._stage.add(op, len(lengths), sum(lengths), elapsed_ns)
        count_sizes(self._stage, requests)

    def _answer_writes(self, tags: list[int], out: Region, max_cmd_sn: int) -> None:
        """Put GOOD for these writes behind what is in the region."""
        session = self._session
        stat_sn, exp_cmd_sn = session.stat_sn, session.exp_cmd_sn
        pack = PACK_RESPONSE
        memory, at, step = out.memory, out.end, self._header_bytes
        for tag in tags:
            pack(memory, at, pdu.SCSI_RESPONSE_WORD, tag, stat_sn, exp_cmd_sn, max_cmd_sn)
            if step > pdu.BHS_BYTES:
                self._stream.add_digests(out, at, 0)
            stat_sn = stat_sn + 1 & 0xFFFFFFFF
            at += step
        session.stat_sn = stat_sn
        out.end = at

    def _answer_failure(self, request: Request, tag: int, elapsed_ns: int) -> None:
        """Answer a READ or WRITE that failed."""
        status = request.status
        assert status is not None, "answered only when complete"
        stage = self._stage
        stage.add(request.op, 1, request.length, elapsed_ns, request.length)
        stage.fail(request.op, 1, status.code)
        reply = check_condition(sense_of(status, self._unit.block_size))
        self._responses.respond_status(tag, reply, residual=request.length, residual_flag=0x02)

    def _answer_late_read(self, request: Request, task: FastTask) -> None:
        """Answer a READ that was pending, where its data lie."""
        out, place = task.region, task.place
        status = request.status
        assert status is not None, "complete requests have a status"
        elapsed_ns = self._clock_ns() - task.started_ns
        if elapsed_ns > self._tracer.look_ns:
            self._tracer.answered((request,), task.started_ns, elapsed_ns, ANSWER)
        if not status.is_good:
            self._answer_failure(request, task.tag & pdu.SERIAL_MASK, elapsed_ns)
            return
        session, stream = self._session, self._stream
        pdu.DATA_IN_WHOLE.pack_into(
            *(
                out.memory,
                place,
                pdu.DATA_IN_GOOD_WORD,
                request.length,
                0,
                task.tag & pdu.SERIAL_MASK,
                pdu.NO_TAG,
            ),
            *(session.stat_sn, session.exp_cmd_sn, session.window(len(self._tasks.by_tag))),
        )
        session.stat_sn = session.stat_sn + 1 & 0xFFFFFFFF
        stream.add_digests(out, place, request.length)
        stream.push_run(out, place, place + request.length + self._overhead)
        self._stage.add(READ, 1, request.length, elapsed_ns, request.length)

    def _answer_late_writes(self, writes: list[Request]) -> None:
        """Answer what was completed together with one run. What came together and is of one size
        counts together, with its own age."""
        good: list[int] = []
        stage = self._stage
        count = run_ns = size = 0
        now_ns, look_ns = self._clock_ns(), self._tracer.look_ns
        for request in writes:
            task, status = request.tag, request.status
            assert status is not None, "complete requests have a status"
            if now_ns - task.started_ns > look_ns:
                age_ns = now_ns - task.started_ns
                self._tracer.answered((request,), task.started_ns, age_ns, ANSWER)
            if not status.is_good:
                elapsed_ns = now_ns - task.started_ns
                self._answer_failure(request, task.tag & pdu.SERIAL_MASK, elapsed_ns)
                continue
            good.append(task.tag & pdu.SERIAL_MASK)
            if task.started_ns != run_ns or request.length != size:
                if count:
                    stage.add(WRITE, count, count * size, now_ns - run_ns, size)
                count, run_ns, size = 0, task.started_ns, request.length
            count += 1
        if not good:
            return
        stage.add(WRITE, count, count * size, now_ns - run_ns, size)
        out = self._stream.room_for(len(good) * self._header_bytes)
        if out is None:
            for tag in good:
                self._responses.respond_good(tag)
            return
        begin = out.end
        self._answer_writes(good, out, self._session.window(len(self._tasks.by_tag)))
        self._stream.push_run(out, begin, out.end)


def _nobody(_requests: list[Request]) -> None:
    raise AssertionError("nothing of a disposed connection is under way")
