"""Answering READs and WRITEs of the fast path: in runs of memory, one push for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tierce import GOOD, Op, Request, Stage
from tierce_iscsi import pdu
from tierce_iscsi.buffers import Region
from tierce_iscsi.memory import Account
from tierce_iscsi.scsi.command import check_condition
from tierce_iscsi.scsi.sense import sense_of
from tierce_iscsi.stream import Stream
from tierce_iscsi.tasks import FastTask, Task

if TYPE_CHECKING:
    from tierce_iscsi.scsi.unit import LogicalUnit
    from tierce_iscsi.session import Session
    from tierce_iscsi.slow_path import SlowPath


#: Names of this module: to look a member up in its enum costs 50 ns each time.
READ, WRITE = Op.READ, Op.WRITE
PACK_DATA_IN, PACK_RESPONSE = pdu.DATA_IN_WHOLE.pack_into, pdu.SCSI_RESPONSE_GOOD.pack_into


class Answers(Stream):
    """A stream that answers commands.

    Args:
        unit: The logical unit.
        session: The session whose only connection this is.
        account: What the session has borrowed of the target's memory.
        clock_ns: A monotonic clock, for statistics.
        stage: The front end's counters.
        wake: Called when there is something to send outside of `Connection.advance`.
    """

    __slots__ = (
        *("clock_ns", "function_count", "is_closed", "is_leaving", "pdu_count", "session", "slow"),
        *("stage", "tasks", "unit", "wake"),
    )

    def __init__(
        self,
        unit: LogicalUnit,
        session: Session,
        account: Account,
        *,
        clock_ns: Callable[[], int],
        stage: Stage,
        wake: Callable[[], None],
    ) -> None:
        super().__init__(session.terms, account)
        self.unit = unit
        self.session = session
        self.tasks: dict[int, Task] = {}
        self.clock_ns = clock_ns
        self.stage = stage
        self.wake = wake
        #: The socket is closed: nothing is answered any more.
        self.is_closed = False
        #: It has logged out: what is under way is not waited for.
        self.is_leaving = False
        #: Task management functions under way.
        self.function_count = 0
        #: PDUs that came, so that a look at it tells silence from life.
        self.pdu_count = 0
        #: Everything that is not fast; set by whoever makes the connection.
        self.slow: SlowPath

    def _answer(self, batch: list[Request], out: Region, begin: int, started_ns: int) -> None:
        """Answer settled requests of a batch, whose tags are (ITT, place), in one run if the
        reads' places follow each other from `begin` to `out.end`."""
        session = self.session
        stat_sn, exp_cmd_sn = session.stat_sn, session.exp_cmd_sn
        max_cmd_sn = session.window(len(self.tasks))
        memory = out.memory
        pack = PACK_DATA_IN
        overhead = self._header_bytes + self._trailer_bytes
        run, run_end = begin, begin
        writes: list[int] = []
        failed: list[Request] = []
        read_count = read_bytes = write_bytes = 0
        for request in batch:
            status = request.status
            if status is not GOOD and not status.is_good:  # type: ignore[union-attr]
                failed.append(request)
                continue
            tag, place = request.tag
            length = request.length
            if request.op is not READ:
                writes.append(tag)
                write_bytes += length
                continue
            if place != run_end:
                self._push_run(out, run, run_end)
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
                self._add_digests(out, place, length)
            read_count += 1
            read_bytes += length
        session.stat_sn = stat_sn
        if run_end != out.end:
            self._push_run(out, run, run_end)
            run = out.end
        if writes:
            self._answer_writes(writes, out, max_cmd_sn)
        self._push_run(out, run, out.end)
        elapsed_ns = self.clock_ns() - started_ns
        if read_count:
            self.stage.add(READ, read_count, read_bytes, elapsed_ns)
        if writes:
            self.stage.add(WRITE, len(writes), write_bytes, elapsed_ns)
        for request in failed:
            self._answer_failure(request, request.tag[0])

    def _answer_writes(self, tags: list[int], out: Region, max_cmd_sn: int) -> None:
        """Put GOOD for these writes behind what is in the region."""
        session = self.session
        stat_sn, exp_cmd_sn = session.stat_sn, session.exp_cmd_sn
        pack = PACK_RESPONSE
        memory, at, step = out.memory, out.end, self._header_bytes
        for tag in tags:
            pack(memory, at, pdu.SCSI_RESPONSE_WORD, tag, stat_sn, exp_cmd_sn, max_cmd_sn)
            if step > pdu.BHS_BYTES:
                self._add_digests(out, at, 0)
            stat_sn = stat_sn + 1 & 0xFFFFFFFF
            at += step
        session.stat_sn = stat_sn
        out.end = at

    def _answer_failure(self, request: Request, tag: int) -> None:
        """Answer a READ or WRITE that failed."""
        status = request.status
        assert status is not None, "answered only when settled"
        self.stage.fail(request.op)
        reply = check_condition(sense_of(status, self.unit.block_size))
        self.slow.respond_status(tag, reply, residual=request.length, residual_flag=0x02)

    def _answer_parked_read(self, request: Request, task: FastTask) -> None:
        out, place = task.region, task.place
        status = request.status
        assert status is not None, "settled requests have a status"
        if not status.is_good:
            self._answer_failure(request, task.tag & pdu.SERIAL_MASK)
            return
        session = self.session
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
            *(session.stat_sn, session.exp_cmd_sn, session.window(len(self.tasks))),
        )
        session.stat_sn = session.stat_sn + 1 & 0xFFFFFFFF
        self._add_digests(out, place, request.length)
        overhead = self._header_bytes + self._trailer_bytes
        self._push_run(out, place, place + request.length + overhead)
        self.stage.add(READ, 1, request.length, self.clock_ns() - task.started_ns)

    def _answer_parked_writes(self, writes: list[Request]) -> None:
        """Answer what settled together with one run; its time is that of the oldest."""
        good: list[int] = []
        length = 0
        oldest_ns = now_ns = self.clock_ns()
        for request in writes:
            status = request.status
            assert status is not None, "settled requests have a status"
            if not status.is_good:
                self._answer_failure(request, request.tag.tag & pdu.SERIAL_MASK)
                continue
            good.append(request.tag.tag & pdu.SERIAL_MASK)
            length += request.length
            oldest_ns = min(oldest_ns, request.tag.started_ns)
        if not good:
            return
        self.stage.add(WRITE, len(good), length, now_ns - oldest_ns)
        out = self._out
        if out is None or out.size - out.end < len(good) * self._header_bytes:
            if out is not None:
                self._next_out(out)
            out = self._out = self._out or self._outgoing.take()
        if out is None:
            for tag in good:
                self.slow.respond_good(tag)
            return
        begin = out.end
        self._answer_writes(good, out, self.session.window(len(self.tasks)))
        self._push_run(out, begin, out.end)
