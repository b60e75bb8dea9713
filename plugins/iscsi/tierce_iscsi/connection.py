"""A connection in its full feature phase: bytes in, device requests and bytes out.

No socket, no clock and no thread: a shell reads into `receive_window`, says how much came
(`received`), calls `advance` while it returns True, and sends what `output` holds.

**The fast path.** `advance` turns the READs and WRITEs that lie whole in the buffer, and need
nothing special, into one batch: two `unpack_from` and one `Request` each, nothing else. A READ's
data go right behind the room for its Data-In header in an outgoing region, a WRITE's data stay
where they were received. After `Device.submit`, every request that has a status is answered,
reads first, so that the batch is one run of memory and one send. Everything else in the stream
(`SlowPath`) ends the batch before it, and is dealt with one PDU at a time.

Parked requests keep what they need in a `FastTask` and are answered from `settled`, one push for
all that settle together. They hold up nothing.

**Turns.** One call of `advance` does one batch, or `SLOW_COUNT_MAX` PDUs of the slow path; between
calls the shell may let others have their turn. It stops for want of a region to answer into and
while too much waits to be sent (`is_stalled`), at any point of what was received.

**Order.** One connection means that commands arrive in the order of their CmdSN; a CmdSN in the
window but not the next one can only be an initiator's mistake, and ends the connection. One
outside of the window that it was told is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tierce import Op, Request, Settled, Stage
from tierce_iscsi import pdu
from tierce_iscsi.answers import Answers
from tierce_iscsi.buffers import RECEIVE_BYTES_MIN, Region
from tierce_iscsi.diary import Cause
from tierce_iscsi.memory import Account
from tierce_iscsi.tasks import Drain, FastTask, SlowTask, Task
from tierce_iscsi.text import RECV_SEGMENT_BYTES

if TYPE_CHECKING:
    from tierce_iscsi.scsi.unit import LogicalUnit
    from tierce_iscsi.session import Session

#: CDB opcodes of the fast path (SBC-3).
READ_10, READ_16, WRITE_10, WRITE_16 = 0x28, 0x88, 0x2A, 0x8A
READS, WRITES = frozenset({READ_10, READ_16}), frozenset({WRITE_10, WRITE_16})
TEN_BYTES, SIXTEEN_BYTES = frozenset({READ_10, WRITE_10}), frozenset({READ_16, WRITE_16})
#: Names of this module: to look a member up in its enum costs 50 ns each time.
SCSI_COMMAND = int(pdu.Opcode.SCSI_COMMAND)
READ, WRITE = Op.READ, Op.WRITE
UNPACK_COMMAND = pdu.SCSI_COMMAND.unpack_from
UNPACK_CDB_10, UNPACK_CDB_16 = pdu.CDB_10.unpack_from, pdu.CDB_16.unpack_from
#: Second byte of a CDB: what a fast READ may not have (RDPROTECT, FUA), what a WRITE may not
#: (WRPROTECT), and a WRITE's FUA.
READ_SPECIAL, WRITE_SPECIAL, FUA = 0xE8, 0xE0, 0x08
#: F, R and W bits of a command.
DIRECTION, FINAL_READ, FINAL_WRITE = 0xE0, 0xC0, 0xA0
#: One connection's turn: what it has sent is begun no longer than this.
TURN_NS = 1_000_000
#: PDUs of the slow path in one call of `advance`: some 0.3 ms, if none takes long.
SLOW_COUNT_MAX = 16


class Connection(Answers):
    """See the module.

    Args:
        unit: The logical unit.
        session: The session whose only connection this is.
        account: What the session has borrowed of the target's memory.
        clock_ns: A monotonic clock, for statistics.
        stage: The front end's counters.
        wake: Called when there is something to send outside of `advance`.
    """

    __slots__ = ("_has_digest", "_immediate_bytes_max", "_read_bytes_max", "_settled")

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
        super().__init__(unit, session, account, clock_ns=clock_ns, stage=stage, wake=wake)
        #: One object for every batch, so that the device can tell its submitter by identity.
        self._settled: Settled = self.settled
        self._has_digest = self._header_bytes + self._trailer_bytes > pdu.BHS_BYTES
        self._read_bytes_max = self._immediate_bytes_max = 0
        self.renegotiated()

    def renegotiated(self) -> None:
        """Look at what the initiator takes and gives in one PDU: it may say so anew at any time."""
        terms = self.session.terms
        self._read_bytes_max = min(
            terms.segment_bytes_max, terms.burst_bytes_max, RECV_SEGMENT_BYTES
        )
        self._immediate_bytes_max = terms.first_burst_bytes_max if terms.has_immediate_data else 0

    # -- the fast path -----------------------------------------------------------------------------

    def advance(self) -> bool:  # noqa: C901, PLR0912, PLR0915 - one loop over locals
        """Deal with one batch of what was received; True if there may be more of it.

        One long loop over local names, on purpose: a call costs 0.03 us and the state that it
        would have to share through attributes half as much again, per PDU, of the 1.6 us that the
        whole protocol takes for a read.

        Raises:
            ProtocolError: The connection has to end.
        """
        region = self._in
        if region is None or self.ending:
            return False
        out = self._out
        if out is None:
            out = self._out = self._outgoing.take()
            self.is_stalled = out is None
            if out is None:
                return False
        started_ns = self.clock_ns()
        session = self.session
        unit = self.unit
        memory, view, out_view = region.memory, region.view, out.view
        at, end = self._in_start, self._in_end
        place, place_max = out.end, out.size
        header_bytes, trailer_bytes = self._header_bytes, self._trailer_bytes
        has_digest = self._has_digest
        answer_bytes = header_bytes
        read_bytes_max, immediate_bytes_max = self._read_bytes_max, self._immediate_bytes_max
        block_size, block_count = unit.block_size, unit.block_count
        can_read, can_write = unit.fast_access(session)
        exp_cmd_sn = session.exp_cmd_sn
        tasks = self.tasks
        # Up to the MaxCmdSN that the initiator was told.
        room = session.max_cmd_sn - exp_cmd_sn + 1 & 0xFFFFFFFF
        slow_left = SLOW_COUNT_MAX
        unpack, unpack_10, unpack_16 = UNPACK_COMMAND, UNPACK_CDB_10, UNPACK_CDB_16
        batch: list[Request] = []
        add = batch.append
        has_more = is_full = False
        while end - at >= header_bytes:
            opcode, flags, _, lengths, lun, tag, expected, cmd_sn, _, command, special = unpack(
                memory, at
            )
            size = header_bytes
            if lengths:
                if lengths <= RECV_SEGMENT_BYTES:
                    # No additional header, and not too long: what `pdu_bytes` would say.
                    size += (lengths + 3 & ~3) + trailer_bytes
                else:
                    size = self.pdu_bytes(lengths)
                if size > end - at:
                    break
            if has_digest:
                self._check_digests(region, at, lengths)
            if (
                opcode == SCSI_COMMAND
                and cmd_sn == exp_cmd_sn
                and not lun
                and room > len(batch)
                and tag not in tasks
            ):
                if command in TEN_BYTES:
                    lba, _, count, control = unpack_10(memory, at + 34)
                elif command in SIXTEEN_BYTES:
                    lba, count, _, control = unpack_16(memory, at + 34)
                else:
                    count = control = 0
                length = count * block_size
                if 0 < length == expected and lba + count <= block_count and not control:
                    if (
                        flags & DIRECTION == FINAL_READ
                        and not lengths
                        and not special & READ_SPECIAL
                        and command in READS
                        and length <= read_bytes_max
                        and can_read
                    ):
                        data = place + header_bytes
                        stop = data + length + trailer_bytes
                        if stop > place_max:
                            is_full = True
                            break
                        add(
                            Request(
                                READ,
                                lba * block_size,
                                length,
                                out_view[data : data + length],
                                False,
                                (tag, place),
                            )
                        )
                        place = stop
                        exp_cmd_sn = exp_cmd_sn + 1 & 0xFFFFFFFF
                        at += size
                        continue
                    if (
                        flags & DIRECTION == FINAL_WRITE
                        and lengths == length
                        and not special & WRITE_SPECIAL
                        and command in WRITES
                        and length <= immediate_bytes_max
                        and can_write
                    ):
                        # Room for its answer, behind those of the reads.
                        place_max -= answer_bytes
                        if place > place_max:
                            is_full = True
                            break
                        data = at + header_bytes
                        add(
                            Request(
                                WRITE,
                                lba * block_size,
                                length,
                                view[data : data + length],
                                special & FUA != 0,
                                (tag, 0),
                            )
                        )
                        exp_cmd_sn = exp_cmd_sn + 1 & 0xFFFFFFFF
                        at += size
                        continue
            if batch:
                # What is not fast may depend on what came before it.
                has_more = True
                break
            at += size
            self._in_start = at
            self.slow.take(region, at - size, size)
            if self.ending:
                return False
            slow_left -= 1
            if not slow_left or self.output.is_full or self.clock_ns() - started_ns > TURN_NS:
                has_more = True
                break
            exp_cmd_sn = session.exp_cmd_sn
            can_read, can_write = unit.fast_access(session)
            room = session.max_cmd_sn - exp_cmd_sn + 1 & 0xFFFFFFFF
        self._in_start = at
        if batch:
            session.exp_cmd_sn = exp_cmd_sn
            self.pdu_count += len(batch)
            begin, out.end = out.end, place
            self._submit(batch, region, out, begin, started_ns)
        elif is_full and not self._next_out(out):
            # There was no room for the first one, and no other region that has it.
            return False
        if has_more or is_full:
            self.is_stalled = self.is_stalled or self.output.is_full
            return not self.is_stalled
        return False

    def _submit(
        self, batch: list[Request], region: Region, out: Region, begin: int, started_ns: int
    ) -> None:
        """Hand a batch to the device, and answer what has a status.

        Args:
            batch: READs whose places follow each other from `begin`, and WRITEs.
            region: Where the writes' data lie.
            out: Where the reads' data go.
            begin: Where the first read's header goes.
            started_ns: When the batch arrived.
        """
        self.unit.device.submit(batch, self._settled)
        tasks = self.tasks
        parked = [request for request in batch if request.status is None]
        for request in parked:
            tag, place = request.tag
            while tag in tasks:
                # One tag for two commands of a batch: both must settle, neither is answered.
                self.end(f"task tag {tag & pdu.SERIAL_MASK:#x} was in use", Cause.PROTOCOL)
                tag += 1 << 32
            held = out if request.op is READ else region
            held.holds += 1
            request.tag = tasks[tag] = FastTask(tag, started_ns, held, place)
        if len(parked) < len(batch):
            answered = [r for r in batch if r.status is not None] if parked else batch
            self._answer(answered, out, begin, started_ns)
        if out.size - out.end < RECEIVE_BYTES_MIN:
            self._next_out(out)

    # -- later -------------------------------------------------------------------------------------

    def settled(self, requests: list[Request]) -> None:
        """Answer requests that were parked; see `tierce.Settled`."""
        writes: list[Request] = []
        for request in requests:
            task: Task = request.tag
            if isinstance(task, SlowTask):
                self.slow.settled(task)
                continue
            assert isinstance(task, FastTask), "every parked request has a task"
            del self.tasks[task.tag]
            drains = task.drains
            if drains:
                self.answer_given_up(task)
            elif request.op is READ:
                self._answer_parked_read(request, task)
            else:
                writes.append(request)
            region = task.region
            region.holds -= 1
            if not region.holds:
                self.free(region)
            if drains:
                for drain in drains:
                    drain.settle(task)
        if writes:
            self._answer_parked_writes(writes)
        # Not only answers: what has settled may have made room to read or to parse on.
        self.wake()

    def resume(self) -> None:
        """Go on after `can_resume`."""
        super().resume()
        if self.giving:
            self.slow.give_more()

    def reject_data(self, header: memoryview) -> None:
        """Say that the data of the PDU with this header came with a wrong digest."""
        self.slow.reject(header, pdu.RejectReason.DATA_DIGEST_ERROR)

    def trim(self) -> None:
        """Give memory back while nothing is under way."""
        if not self.tasks:
            super().trim()

    # -- the end -----------------------------------------------------------------------------------

    def give_up(self, task: Task, drain: Drain) -> None:
        """End a task, at once or when what the device does for it has settled: `drain` waits for
        that, and says who is told of it."""
        if isinstance(task, SlowTask) and not task.left:
            del self.tasks[task.tag]
            self.slow.let_go(task)
            if drain.issuer is self:
                drain.over.append(task.tag)
            elif drain.issuer is not None:
                self.slow.respond_aborted(task.tag)
        else:
            drain.add(task)

    def give_up_all(self, drain: Drain) -> None:
        """End every task."""
        for task in list(self.tasks.values()):
            self.give_up(task, drain)

    def answer_given_up(self, task: Task) -> None:
        """A task that was given up has settled: say TASK ABORTED, unless our own initiator wanted
        that, or is gone (SAM-5 section 5.6, with the TAS bit set)."""
        tag, is_told = task.tag & pdu.SERIAL_MASK, True
        for drain in task.drains:
            if drain.issuer is self:
                drain.over.append(tag)
            is_told = is_told and drain.issuer not in {self, None}
        if is_told:
            self.slow.respond_aborted(tag)

    def close(self) -> None:
        """The socket is closed: nothing is sent any more, nor answered."""
        self.is_closed = True
        self.drop_output()

    def dispose(self) -> None:
        """The connection is closed and nothing of it is under way: let go of everything, so that
        nothing of it waits for a full collection."""
        assert not self.tasks, "disposed of when its tasks have settled"
        super().dispose()
        self._settled = _nobody
        self.wake = _nothing
        del self.slow


def _nobody(_requests: list[Request]) -> None:
    raise AssertionError("nothing of a disposed connection is under way")


def _nothing() -> None:
    """Nobody is to be woken."""
