"""The target's side of replication as a state machine: events in, frames and answers out.

No socket, no clock: time comes with `tick`; what is to be sent lies in `Link.outgoing`;
connections to be closed lie in `hangups`. The shell (`device.py`) moves both.

::

    OPENING --a majority promised--> ELECTING --accepted by a majority--> SERVING --close--> ENDED
       ^                                |                                   |
       +------- a connection lost ------+              fenced by a higher ballot --> ENDED

This room admits requests, parks what can't go on now, and answers. `Steward` decides who is in
the set, `WritePath` and `ReadPath` carry the I/O, `Repair` mends what failed everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce import Code, Op, ProtocolError, Request, Settled, Status
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.links import Batch, Link, Links, LinkState
from tierce_jiva.options import JivaOptions
from tierce_jiva.read_path import ReadPath
from tierce_jiva.repair import Repair
from tierce_jiva.steward import Steward
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.wire import Frame, Kind
from tierce_jiva.write_path import WritePath

#: How long an orderly close may take to flush and to mark the replicas clean.
CLOSE_S_MAX = 5.0


@attrs.define(eq=False)
class _Parked:
    requests: list[Request]
    settled: Settled
    since: float


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
        self.links = Links(volume.members)
        #: Links that the shell must close and connect anew, with the reason.
        self.hangups: list[tuple[str, str]] = []
        self._volume = volume
        self._options = options
        self._unsettled = Unsettled()
        self._locked = Unsettled()
        self._parked: list[_Parked] = []
        self._answers: dict[Settled, list[Request]] = {}
        self._must_retry = False
        self._closing: _Closing | None = None
        self._writes = WritePath(
            self.links,
            self._unsettled,
            answer=self._answer,
            suspect=self._suspect,
            doubted=self._doubted,
            unequal=self._unequal,
            flushed=self._flushed,
        )
        self._reads = ReadPath(
            self.links,
            self._unsettled,
            host.local,
            answer=self._answer,
            again=self._park,
            finished=self._finish,
        )
        self._steward = Steward(
            volume,
            options,
            host,
            self.links,
            self._writes,
            self._reads,
            self._locked,
            changed=self._changed,
            hang_up=self._hang_up,
        )
        self._repair = Repair(
            self.links,
            self._locked,
            source=self._steward.source,
            others=self._steward.others,
            equal=self._equal,
        )

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
        acknowledged = self._writes.acknowledged
        try:
            for frame in frames:
                if frame.kind is Kind.ACK and acknowledged(link, frame):
                    continue
                self._reply(link, frame)
        except ProtocolError as error:
            self._hang_up(link, f"broke the protocol: {error}")
        self._finish()

    def submit(self, batch: list[Request], settled: Settled) -> None:
        """Take a batch; what can be answered at once has its status on return."""
        steward = self._steward
        if steward.has_majority and steward.state is State.SERVING:
            self._admit(batch, settled, self.links.now)
        elif steward.state is State.ENDED:
            for request in batch:
                request.status = Status(Code.FENCED, "this target no longer serves the volume")
        else:
            self._park(batch, settled, self.links.now)

    def tick(self, now: float) -> None:
        """Time has passed: now in seconds. Called a few times a second while `is_busy`, and once
        before what happens after a sleep."""
        self.links.now = now
        self._steward.advance()
        self._repair.retry(now)
        self._give_up_late()
        if self._closing is not None and now > self._closing.until:
            self._end()
        self._finish()

    def close(self, closed: Callable[[], None]) -> None:
        """Flush, mark the replicas clean, end. Nothing is under way."""
        steward = self._steward
        if steward.is_whole and steward.is_marked and self._writes.is_idle:
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
            bool(self._parked or self._unsettled)
            or self._steward.is_busy
            or any(link.flushes or link.questions for link in self.links)
        )

    # -- admission ---------------------------------------------------------------------------------

    def _admit(self, batch: list[Request], settled: Settled, since: float) -> None:
        reads: list[Request] = []
        writes: list[Request] = []
        flushes: list[Request] = []
        later: list[Request] = []
        unsettled, locked = self._unsettled, self._locked
        read, flush = Op.READ, Op.FLUSH
        for request in batch:
            op = request.op
            if op is read:
                if unsettled and unsettled.overlaps(request.offset, request.length):
                    later.append(request)
                else:
                    reads.append(request)
            elif op is flush:
                flushes.append(request)
            elif locked and locked.overlaps(request.offset, request.length):
                later.append(request)
            else:
                writes.append(request)
        if reads:
            self._reads.read(reads, settled, since)
        if writes:
            if not self._steward.can_write:
                self._steward.mark()
                later += writes
            else:
                self._steward.wrote()
                self._writes.write(writes, settled)
        if flushes:
            self._writes.flush(flushes, settled)
        if later:
            self._parked.append(_Parked(later, settled, since))

    def _park(self, requests: list[Request], settled: Settled, since: float) -> None:
        self._parked.append(_Parked(requests, settled, since))

    def _changed(self) -> None:
        self._must_retry = True

    def _retry(self) -> None:
        """Something has changed: what was parked may be admitted now."""
        self._must_retry = False
        if not self._parked or not self._steward.has_majority:
            return
        if self._steward.state is not State.SERVING:
            return
        parked, self._parked = self._parked, []
        for group in parked:
            self._admit(group.requests, group.settled, group.since)
            for request in group.requests:
                if request.status is not None:
                    self._answers.setdefault(group.settled, []).append(request)

    def _answer(self, request: Request, settled: Settled) -> None:
        self._must_retry = True
        answers = self._answers.get(settled)
        if answers is None:
            self._answers[settled] = [request]
        else:
            answers.append(request)

    def _finish(self) -> None:
        """The end of every event but `submit`: admit what waited, then tell."""
        while self._must_retry:
            self._retry()
        if self._answers:
            answers, self._answers = self._answers, {}
            for settled, requests in answers.items():
                settled(requests)

    def _give_up_late(self) -> None:
        before = self.links.now - self._options.not_ready_after_s
        status = Status(
            Code.NOT_READY,
            f"volume {self._volume.name} has waited {self._options.not_ready_after_s:g} s for a "
            "majority of its replicas: see `tierce volume show`",
        )
        self._writes.give_up(before, status)
        self._reads.give_up(before, status)
        for group in [group for group in self._parked if group.since < before]:
            self._parked.remove(group)
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
        self._steward.suspect(at_fault, reason)

    def _doubted(self, reason: str) -> None:
        self._steward.restart_catch_up(reason)

    def _unequal(self, extents: list[tuple[int, int]]) -> None:
        self._steward.restart_catch_up("a write failed on the members it is compared with")
        for offset, length in extents:
            self._repair.add(offset, length)

    def _equal(self, offset: int, length: int) -> None:
        self._unsettled.remove(offset, length)
        self._must_retry = True

    def _flushed(self, flush: Batch) -> None:
        if self._closing is not None and flush is self._closing.flush:
            self._steward.clean(self._end)
        else:
            self._steward.flushed(flush.covers)

    def _end(self) -> None:
        closing, self._closing = self._closing, None
        if closing is not None:
            self._steward.state = State.ENDED
            closing.closed()
