"""The target's side of replication as a state machine: events in, frames and answers out.

No socket, no clock: time comes with `tick`; what is to be sent lies in `Link.outgoing`;
connections to be closed lie in `hangups`. The shell (`device.py`) moves both.

::

    OPENING --a majority promised--> ELECTING --accepted by a majority--> SERVING --close--> ENDED
       ^                                |                                   |
       +------- a connection lost ------+              fenced by a higher ballot --> ENDED

This room admits requests, parks what can't go on now, and answers. `Steward` decides who is in
the set, `WritePath`, `ReadPath` and `StatusPath` carry the I/O, `Repair` mends what failed
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce import Code, Completed, Op, ProtocolError, Request, Status
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.lateness import forgive
from tierce_jiva.links import Batch, Link, Links, LinkState
from tierce_jiva.options import JivaOptions
from tierce_jiva.parking import Parking
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Regions
from tierce_jiva.status_path import StatusPath
from tierce_jiva.steward import Steward
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.wire import Frame, Kind
from tierce_jiva.write_path import WritePath

#: How long an orderly close may take to flush and to mark the replicas clean.
CLOSE_S_MAX = 5.0
#: No tick for so long, though one was due: this process stood still.
STALL_S = 1.0


@attrs.define(eq=False)
class _Closing:
    flush: Batch
    closed: Callable[[], None]
    until: float


class Replicator:
    """One volume's replicas, shown as one device.

    Args:
        volume: The volume.
        options: What the operator set.
        host: The surroundings.
    """

    def __init__(self, volume: Volume, options: JivaOptions, host: Host) -> None:
        self.links = Links(volume.members, Regions(volume.size_bytes))
        #: Links that the shell must close and connect anew, with the reason.
        self.hangups: list[tuple[str, str]] = []
        self._volume = volume
        self._options = options
        self._unsettled = Unsettled()
        self._locked = Unsettled()
        self._parking = Parking()
        unflushed = Unflushed(self.links.regions)
        #: When time last passed, in seconds.
        self._ticked_at: float | None = None
        #: Asked for when nothing that was given up can be seen any more.
        self._quiet: list[Callable[[], None]] = []
        self._has_given_up = False
        self._patience_s = options.not_ready_after_s
        self._answers: dict[Completed, list[Request]] = {}
        self._must_retry = False
        self._must_repair = False
        self._closing: _Closing | None = None
        self._writes = WritePath(
            self.links,
            self._unsettled,
            unflushed,
            answer=self._answer,
            suspect=self._suspect,
            sync_failed=self._sync_failed,
            doubted=self._doubted,
            unequal=self._unequal,
            given_up=self._given_up,
            flushed=self._flushed,
        )
        self._reads = ReadPath(
            self.links,
            self._must_wait,
            host.local,
            answer=self._answer,
            again=self._parking.park,
            changed=self._changed,
            failed=self._read_failed,
            finished=self._finish,
        )
        self._steward = Steward(
            volume,
            options,
            host,
            self.links,
            self._writes,
            self._reads,
            unflushed,
            self._locked,
            changed=self._changed,
            hang_up=self._hang_up,
        )
        #: Empty where all is equal.
        unequal = self._steward.upkeep.repair.unequal
        self._unequal_parts = unequal.parts
        changing = (self._unsettled, self._parking.waiting)
        self._statuses = StatusPath(self.links, self._reads, changing, unequal, self._answer)

    # -- events ------------------------------------------------------------------------------------

    def connected(self, name: str) -> None:
        """The shell has connected to a replica."""
        self._steward.connected(self.links[name])
        self._finish()

    def disconnected(self, name: str, reason: str) -> None:
        """The connection was lost, or could not be made."""
        link = self.links[name]
        if link.state is LinkState.DOWN:
            link.trouble = reason
            return
        self._steward.lost(link, reason)
        self._finish()

    def received(self, name: str, frames: list[Frame]) -> None:
        """Frames have arrived from a replica."""
        link = self.links[name]
        link.heard_at = self.links.now
        acknowledged = self._writes.acknowledged
        try:
            for frame in frames:
                if frame.kind is Kind.ACK and acknowledged(link, frame):
                    continue
                self._reply(link, frame)
        except ProtocolError as error:
            self._hang_up(link, f"broke the protocol: {error}")
        self._finish()

    def submit(self, batch: list[Request], settled: Completed) -> None:
        """Take a batch; what can be answered at once has its status on return."""
        steward = self._steward
        if steward.has_majority and steward.state is State.SERVING:
            self._admit(batch, settled, self.links.now)
            if self._must_repair:
                self._must_repair = False
                steward.upkeep.repair.advance()
        elif steward.state is State.ENDED:
            for request in batch:
                request.status = Status(Code.FENCED, "this target no longer serves the volume")
        else:
            self._parking.park(batch, settled, self.links.now)

    def tick(self, now: float) -> None:
        """Time has passed: now in seconds. Called a few times a second while `is_busy`, and once
        before what happens after a sleep."""
        stall_s = 0.0 if self._ticked_at is None else now - self._ticked_at
        self.links.now = now
        if stall_s > STALL_S:
            # What has come meanwhile is taken first; nobody is judged before.
            forgive(self.links, stall_s)
        else:
            self._steward.advance()
            self._give_up_late()
        self._ticked_at = now if self.is_busy else None
        if self._closing is not None and now > self._closing.until:
            self._end()
        self._finish()

    def close(self, closed: Callable[[], None]) -> None:
        """Flush, mark the replicas clean, end. Nothing is under way."""
        steward = self._steward
        if steward.is_settled and steward.upkeep.can_be_cleaned and self._writes.is_idle:
            steward.state = State.CLOSING
            flush = self._writes.flush([], None)
            self._closing = _Closing(flush, closed, self.links.now + CLOSE_S_MAX)
        else:
            steward.state = State.ENDED
            closed()

    @property
    def state(self) -> State:
        """Where the target stands."""
        return self._steward.state

    @property
    def is_busy(self) -> bool:
        """True while `tick` has something to look after. An idle volume sleeps."""
        return self._steward.state is not State.ENDED and (
            bool(self._parking or self._unsettled)
            or self._steward.is_busy
            or any(link.flushes or link.questions for link in self.links)
        )

    # -- admission ---------------------------------------------------------------------------------

    def _admit(self, batch: list[Request], settled: Completed, since: float) -> None:
        reads: list[Request] = []
        writes: list[Request] = []
        flushes: list[Request] = []
        later: list[Request] = []
        steward, read, flush, status = self._steward, Op.READ, Op.FLUSH, Op.BLOCK_STATUS
        writable, shift = steward.upkeep.marks.writable, self.links.regions.shift
        # Where nothing is under way, nothing is asked about extents.
        stands = bool(
            self._unsettled.granules
            or self._locked.granules
            or self._parking.waiting.granules
            or self._unequal_parts
        )
        for request in batch:
            op = request.op
            if op is flush:
                flushes.append(request)
            elif stands and op is not status and self._must_wait_for(request):
                later.append(request)
            elif op is read:
                reads.append(request)
            elif op is status:
                self._statuses.ask(request, settled, since)
            else:
                offset, length = request.offset, request.length
                region = offset >> shift
                if (region in writable and offset + length - 1 >> shift == region) or (
                    steward.upkeep.may_write(offset, length)
                ):
                    writes.append(request)
                else:
                    later.append(request)
                    # What overlaps it and comes after it waits behind it.
                    self._parking.hold(request)
                    stands = True
        if reads:
            self._reads.read(reads, settled, since)
        if writes:
            self._writes.write(writes, settled)
        if flushes:
            self._writes.flush(flushes, settled)
        if later:
            self._parking.park(later, settled, since)

    def _must_wait_for(self, request: Request) -> bool:
        """True if what is under way stands against the request; then it is to be parked."""
        offset, length, is_read = request.offset, request.length, request.op is Op.READ
        if self._parking.waiting.overlaps(offset, length):
            must_wait = True
        elif self._steward.upkeep.repair.unequal.overlaps(offset, length):
            must_wait = True
            if self._steward.upkeep.repair.hurry(offset, length):
                self._must_repair = True
        else:
            extents = self._unsettled if is_read else self._locked
            must_wait = extents.overlaps(offset, length)
        if must_wait and not is_read:
            self._parking.hold(request)
        return must_wait

    def _changed(self) -> None:
        self._must_retry = True

    def _retry(self) -> None:
        """Something has changed: what was parked may be admitted now."""
        self._must_retry = False
        if not self._parking or not self._steward.has_majority:
            return
        if self._steward.state is not State.SERVING:
            return
        for group in self._parking.take_all():
            self._admit(group.requests, group.settled, group.since)
            for request in group.requests:
                if request.status is not None:
                    self._answers.setdefault(group.settled, []).append(request)

    def _answer(self, request: Request, settled: Completed) -> None:
        self._must_retry = True
        answers = self._answers.get(settled)
        if answers is None:
            self._answers[settled] = [request]
        else:
            answers.append(request)

    def _finish(self) -> None:
        """The end of every event but `submit`: admit what waited, then tell."""
        while self._must_retry or self._must_repair:
            if self._must_retry:
                self._retry()
            if self._must_repair:
                self._must_repair = False
                self._steward.upkeep.repair.advance()
        if self._has_given_up and not self._steward.upkeep.repair.unequal:
            self._has_given_up = False
        if self._answers:
            answers, self._answers = self._answers, {}
            for settled, requests in answers.items():
                settled(requests)
        if self._quiet and not self._has_given_up:
            quiet, self._quiet = self._quiet, []
            for call in quiet:
                call()

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """Call `quiet` once nothing that was answered NOT READY can be seen any more, which may be
        now: the extents of a write that was given up are equal again."""
        if self._has_given_up:
            self._quiet.append(quiet)
        else:
            quiet()

    def _give_up_late(self) -> None:
        before = self.links.now - self._options.not_ready_after_s
        status = Status(
            Code.NOT_READY,
            f"volume {self._volume.name} has waited {self._options.not_ready_after_s:g} s for a "
            "majority of its replicas: see `tierce volume show`",
        )
        self._writes.give_up(before, status)
        self._reads.give_up(before, status)
        self._statuses.give_up(before)
        for group in self._parking.take_late(before):
            for request in group.requests:
                request.status = status
                self._answer(request, group.settled)

    # -- what comes back ---------------------------------------------------------------------------

    def _reply(self, link: Link, frame: Frame) -> None:
        """An answer to a question; one that nobody waits for any more is dropped."""
        if frame.kind is Kind.CONTROL:
            message = frame.control()
            if message.get("kind") == "refused":
                self._steward.refusal(link, message)
                return
        question = link.questions.pop(frame.sequence, None)
        if question is None:
            return
        try:
            question.answer(frame)
        except ProtocolError as error:
            self._hang_up(link, f"broke the protocol: {error}")
            question.answer(None)

    def _hang_up(self, link: Link, reason: str) -> None:
        self.hangups.append((link.name, reason))
        if link.state is not LinkState.DOWN:
            self._steward.lost(link, reason)

    def _suspect(self, at_fault: list[Link], reason: str) -> None:
        self._steward.faults.suspect(at_fault, reason)

    def _sync_failed(self, link: Link) -> None:
        self._steward.upkeep.sync_failed(link)

    def _read_failed(self, link: Link, reason: str, requests: list[Request]) -> None:
        self._steward.upkeep.read_failed(link, reason, requests)

    def _must_wait(self, offset: int, length: int) -> bool:
        repair = self._steward.upkeep.repair
        return self._unsettled.overlaps(offset, length) or repair.unequal.overlaps(offset, length)

    def _doubted(self, reason: str) -> None:
        self._steward.restart_catch_up(reason)

    def _unequal(self, extents: list[tuple[int, int]], lacking: int) -> None:
        self._steward.restart_catch_up("a write failed on the members it is compared with")
        for offset, length in extents:
            self._steward.upkeep.repair.add(offset, length, lacking)
        self._must_repair = True

    def _given_up(self, silent: list[Link]) -> None:
        """What was given up must not be applied by those that have not answered: what a new
        connection does not bring any more is dropped with the old one."""
        self._has_given_up = True
        for link in silent:
            self._hang_up(link, f"left what it was sent unanswered for {self._patience_s:g} s")

    def _flushed(self, flush: Batch) -> None:
        if self._closing is not None and flush is self._closing.flush:
            self._steward.upkeep.clean(self._end)
        else:
            self._steward.flushed(flush)

    def _end(self) -> None:
        closing, self._closing = self._closing, None
        if closing is not None:
            self._steward.state = State.ENDED
            closing.closed()
