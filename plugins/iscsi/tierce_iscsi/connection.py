"""A connection in its full feature phase: bytes in, device requests and bytes out.

No socket, no clock and no thread: a shell reads into `stream.receive_window`, says how much came
(`stream.received`), calls `advance` while it returns True, and sends what `stream.output` holds.

**Its parts.** `Stream` has the bytes, `ResponseWriter` makes PDUs of answers, `TaskSet` has the
commands under way; `FastPath` and `SlowPath` do what was received with these three. None of them
knows the connection.

**The fast path.** `advance` turns the READs and WRITEs that lie whole in the buffer, and need
nothing special, into one batch: two `unpack_from` and one `Request` each, nothing else. A READ's
data go right behind the room for its Data-In header in an outgoing region, a WRITE's data stay
where they were received. After `Device.submit`, every request that has a status is answered,
reads first, so that the batch is one run of memory and one send. Everything else in the stream
(`SlowPath`) ends the batch before it, and is dealt with one PDU at a time.

Pending requests keep what they need in a `FastTask` and are answered from `FastPath.completed`, one
push for all that complete together. They hold up nothing.

**Turns.** One call of `advance` does one batch, or `SLOW_COUNT_MAX` PDUs of the slow path; between
calls the shell may let others have their turn. It stops for want of a region to answer into and
while too much waits to be sent (`is_stalled`), at any point of what was received.

**Order.** One connection means that commands arrive in the order of their CmdSN; a CmdSN in the
window but not the next one can only be an initiator's mistake, and ends the connection. One
outside of the window that it was told is ignored.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce import NO_FLAGS, Flag, Op, Request, Stage, Tracer
from tierce_iscsi import pdu
from tierce_iscsi.buffers import Region
from tierce_iscsi.commands import Commands
from tierce_iscsi.fast_path import FastPath
from tierce_iscsi.memory import Account
from tierce_iscsi.responses import ResponseWriter
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.session import Session
from tierce_iscsi.slow_path import Host, SlowPath
from tierce_iscsi.stream import DigestError, Stream
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.tasks import Task
from tierce_iscsi.text import RECV_SEGMENT_BYTES

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
#: What a fast WRITE with that bit carries.
DURABLE = Flag.FUA
#: F, R and W bits of a command.
DIRECTION, FINAL_READ, FINAL_WRITE = 0xE0, 0xC0, 0xA0
#: One connection's turn: what it has sent is begun no longer than this.
TURN_NS = 1_000_000
#: PDUs of the slow path in one call of `advance`: some 0.3 ms, if none takes long.
SLOW_COUNT_MAX = 16


class Connection:
    """See the module.

    Args:
        unit: The logical unit.
        session: The session whose only connection this is.
        account: What the session has borrowed of the target's memory.
        host: The target.
        clock_ns: A monotonic clock, for statistics.
        stage: The front end's counters.
        tracer: Who is followed one by one.
        wake: Called when there is something to send outside of `advance`.

    Attributes:
        session: As above.
        stream: What was received, and what is to be sent.
        tasks: The commands under way.
        clock_ns: As above.
        pdu_count: PDUs that came, so that a look at it tells silence from life.
    """

    __slots__ = (
        *("_fast", "_has_digest", "_responses", "_slow", "_unit", "clock_ns", "pdu_count"),
        *("session", "stream", "tasks"),
    )

    def __init__(
        self,
        unit: LogicalUnit,
        session: Session,
        account: Account,
        host: Host,
        *,
        clock_ns: Callable[[], int],
        stage: Stage,
        tracer: Tracer,
        wake: Callable[[], None],
    ) -> None:
        by_tag: dict[int, Task] = {}
        self.session = session
        self.clock_ns = clock_ns
        self.stream = Stream(session.terms, account, wake)
        self._responses = ResponseWriter(session, self.stream, by_tag)
        self.tasks = TaskSet(session, self.stream, self._responses, by_tag, tracer)
        known = (unit, self.tasks, clock_ns, stage, tracer)
        self._fast = FastPath(*known)
        self._slow = SlowPath(host, self.tasks, Commands(*known))
        self._unit = unit
        self._has_digest = self.stream.has_header_digest or self.stream.has_data_digest
        self.pdu_count = 0

    # -- the fast path -----------------------------------------------------------------------------

    def advance(self) -> bool:  # noqa: C901, PLR0912, PLR0915 - one loop over locals
        """Deal with one batch of what was received; True if there may be more of it.

        One long loop over local names, on purpose: a call costs 0.03 us and the state that it
        would have to share through attributes half as much again, per PDU, of the 1.6 us that the
        whole protocol takes for a read.

        Raises:
            ProtocolError: The connection has to end.
        """
        stream = self.stream
        region = stream.in_region
        if region is None or stream.ending:
            return False
        out = stream.out_region
        if out is None:
            out = stream.take_out()
            if out is None:
                return False
        arrived_ns, slow_ns = stream.arrived_ns, 0
        session = self.session
        unit = self._unit
        memory, view, out_view = region.memory, region.view, out.view
        at, end = stream.in_start, stream.in_end
        place, place_max = out.end, out.size
        header_bytes, trailer_bytes = stream.header_bytes, stream.trailer_bytes
        has_digest = self._has_digest
        answer_bytes = header_bytes
        read_bytes_max, immediate_bytes_max = session.read_bytes_max, session.immediate_bytes_max
        block_size, block_count = unit.block_size, unit.block_count
        can_read, can_write = unit.fast_access(session)
        exp_cmd_sn = session.exp_cmd_sn
        tasks = self.tasks.by_tag
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
                    size = stream.pdu_bytes(lengths)
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
                                NO_FLAGS,
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
                                DURABLE if special & FUA else NO_FLAGS,
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
            stream.in_start = at
            self.pdu_count += 1
            slow_ns = slow_ns or self.clock_ns()
            self._slow.take(region, at - size, size)
            if stream.ending:
                return False
            slow_left -= 1
            if not slow_left or stream.output.is_full or self.clock_ns() - slow_ns > TURN_NS:
                has_more = True
                break
            exp_cmd_sn = session.exp_cmd_sn
            can_read, can_write = unit.fast_access(session)
            room = session.max_cmd_sn - exp_cmd_sn + 1 & 0xFFFFFFFF
        stream.in_start = at
        if batch:
            session.exp_cmd_sn = exp_cmd_sn
            self.pdu_count += len(batch)
            begin, out.end = out.end, place
            self._fast.submit(batch, region, out, begin, arrived_ns)
        elif is_full and not stream.next_out(out):
            # There was no room for the first one, and no other region that has it.
            return False
        if has_more or is_full:
            stream.is_stalled = stream.is_stalled or stream.output.is_full
            return not stream.is_stalled
        return False

    def _check_digests(self, region: Region, at: int, lengths: int) -> None:
        """Check what the peer sent. A bad header ends the connection at once; bad data are
        rejected first (RFC 7143 sections 7.7 and 7.8; error recovery level 0 for both)."""
        if not self.stream.check_digests(region, at, lengths):
            header = region.view[at : at + pdu.BHS_BYTES]
            self._responses.reject(header, pdu.RejectReason.DATA_DIGEST_ERROR)
            raise DigestError("data with a wrong digest")

    # -- later -------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on after `Stream.can_resume`."""
        self.stream.is_stalled = False
        if self.stream.giving:
            self._responses.give_more()

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._slow.ping()

    def trim(self) -> None:
        """Give memory back while nothing is under way."""
        if not self.tasks.by_tag:
            self.stream.trim()

    @property
    def is_answered(self) -> bool:
        """True if nothing more will be said: what is under way is answered and sent, or is not
        waited for."""
        tasks, stream = self.tasks, self.stream
        return (
            (not tasks.by_tag or tasks.is_leaving)
            and not stream.output.length
            and not stream.giving
        )

    def dispose(self) -> None:
        """The connection is closed and nothing of it is under way: let go of everything, so that
        nothing of it waits for a full collection."""
        assert not self.tasks.by_tag, "disposed of when its tasks are complete"
        self.stream.dispose()
        self._fast.dispose()
