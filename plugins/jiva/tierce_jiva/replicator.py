"""The target's side of replication as a state machine: events in, frames and answers out.

No socket, no clock: each event says when it is. What is to be sent lies in `Link.outgoing`, all
else that is to be done in the `Agenda`; the shell (`device.py`) carries it out.

::

    OPENING --a majority promised--> ELECTING --accepted by a majority--> SERVING --close--> ENDED
       ^                                |                                   |
       +------- a connection lost ------+              fenced by a higher ballot --> ENDED

`Admission` lets requests in, or lets them wait. `MembershipController` decides who is in the set,
`WritePath`, `ReadPath` and `StatusPath` carry the I/O, `Repair` mends what failed everywhere.
"""

from __future__ import annotations

import math

from tierce import Code, Completed, ProtocolError, Request, Status
from tierce_jiva.admission import Admission
from tierce_jiva.batch import Batch
from tierce_jiva.failure_detection import forgive
from tierce_jiva.findings import Cleared, Due, Failed, Flushed, LeftUnanswered, Unjudged, Useless
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.membership import MembershipController
from tierce_jiva.options import JivaOptions
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents, Regions
from tierce_jiva.status_path import StatusPath
from tierce_jiva.target_actions import Agenda, End, Hangup, ReadFile
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Frame, Kind
from tierce_jiva.write_path import WritePath

#: How long an orderly close may take to flush and to mark the replicas clean. It begins when the
#: front ends have closed, and ends before the process is killed (`limits.stop_timeout_s`).
CLOSE_S_MAX = 5.0
#: No tick for so long, though one was due: this process stood still.
STALL_S = 1.0


class Replicator:
    """One volume's replicas, shown as one device. Each event says when it is, in seconds, and
    leaves what is to be done in `agenda` and in each `Link.outgoing`.

    Args:
        volume: The volume.
        options: What the operator set.
        host: The surroundings.
    """

    def __init__(self, volume: Volume, options: JivaOptions, host: Host) -> None:
        self.links = Links(volume.members, Regions(volume.size_bytes), host.timing)
        self.agenda = agenda = Agenda()
        self._volume = volume
        self._options = options
        self._in_flight = InFlight()
        locked = InFlight()
        self._pending = Pending()
        unequal = Extents(self.links.regions)
        unflushed = Unflushed(self.links.regions)
        #: What comes after this time comes late: this process has stood still.
        self._stalls_at = math.inf
        self._has_stalled = False
        self._has_given_up = False
        #: The last flush, and when it is not waited for any more.
        self._closing: Batch | None = None
        self._close_until = math.inf
        self._has_ended = False
        self._writes = WritePath(self.links, self._in_flight, unflushed, agenda)
        self._reads = ReadPath(
            self.links, self._in_flight, unequal, self._pending, host.local, agenda
        )
        changing = (self._in_flight, self._pending.waiting)
        self._statuses = StatusPath(self.links, self._reads, changing, unequal, agenda)
        self._controller = controller = MembershipController(
            volume,
            options,
            host,
            self.links,
            self._writes,
            self._reads,
            unflushed,
            locked,
            unequal,
            agenda,
        )
        self._admission = Admission(
            self.links,
            self._in_flight,
            locked,
            unequal,
            self._pending,
            self._writes,
            self._reads,
            self._statuses,
            controller.upkeep,
            agenda,
        )

    # -- events ------------------------------------------------------------------------------------

    def connected(self, now: float, name: str) -> None:
        """The shell has connected to a replica."""
        self._at(now)
        self._controller.connected(self.links[name])
        self._finish()

    def disconnected(self, now: float, name: str, reason: str) -> None:
        """The connection was lost, or could not be made."""
        self._at(now)
        link = self.links[name]
        if link.state is LinkState.DOWN:
            link.trouble = reason
            return
        self._controller.lost(link, reason)
        self._finish()

    def received(self, now: float, name: str, frames: list[Frame]) -> None:
        """Frames have arrived from a replica."""
        if now > self._stalls_at:
            self._forgive(now)
        agenda, link = self.agenda, self.links.by_name[name]
        self.links.now = link.heard_at = now
        acknowledged, ack = self._writes.acknowledged, Kind.ACK
        is_stirred = self._has_given_up
        try:
            for frame in frames:
                if frame.kind is not ack or not acknowledged(link, frame):
                    self._reply(link, frame)
                if agenda.findings or agenda.must_refresh or agenda.has_mended:
                    self._weigh()
                    is_stirred = True
        except ProtocolError as error:
            self._hang_up(link, f"broke the protocol: {error}")
            is_stirred = True
        if is_stirred or self._pending.groups:
            self._finish()
        else:
            agenda.may_admit = False

    def submit(self, now: float, batch: list[Request], completed: Completed) -> None:
        """Take a batch; what can be answered at once has its status on return."""
        if now > self._stalls_at:
            self._forgive(now)
        self.links.now = now
        controller = self._controller
        if controller.has_majority and controller.standing.state is State.SERVING:
            self._admission.admit(batch, completed, now)
            if self.agenda.must_repair or self.agenda.findings:
                self._mend()
        elif controller.state is State.ENDED:
            for request in batch:
                request.status = Status(Code.FENCED, "this target no longer serves the volume")
        else:
            # The list is the caller's, and what is pending may be told of in one with more.
            self._pending.add(list(batch), completed, now)

    def file_read(self, now: float, read: ReadFile) -> None:
        """A worker thread has read a file."""
        self._at(now)
        unread = self._reads.find_unread(read)
        if unread is not None:
            # Who can't read it is no source for the rest of it either.
            self.agenda.findings.append(unread)
            self._weigh()
        self._reads.file_read(read)
        self._finish()

    def tick(self, now: float) -> None:
        """Time has passed. Called a few times a second while `is_busy`, and once before what
        happens after a sleep."""
        self._at(now)
        if self._has_stalled:
            # What has come meanwhile is taken first; nobody is judged before.
            self._has_stalled = False
        else:
            self.agenda.findings.append(Due())
            self._weigh()
            self._give_up_late()
        self._stalls_at = now + STALL_S if self.is_busy else math.inf
        if now > self._close_until:
            self._end()
        self._finish()

    def close(self, now: float) -> None:
        """Flush, mark the replicas clean, end. Nothing is under way."""
        self._at(now)
        controller = self._controller
        if controller.is_settled and controller.upkeep.can_be_cleaned and self._writes.is_idle:
            controller.state = State.CLOSING
            controller.refresh()
            self._closing = self._writes.flush([], None)
            self._close_until = now + CLOSE_S_MAX
        else:
            self._end()

    def _at(self, now: float) -> None:
        """Something happens; as `received` and `submit` do it without a call."""
        if now > self._stalls_at:
            self._forgive(now)
        self.links.now = now

    def _forgive(self, now: float) -> None:
        """Time in which this process stood still counts for nobody."""
        forgive(self.links, now + STALL_S - self._stalls_at, now)
        self._stalls_at = now + STALL_S
        self._has_stalled = True

    @property
    def state(self) -> State:
        """Where the target stands."""
        return self._controller.state

    @property
    def is_busy(self) -> bool:
        """True while `tick` has something to look after. An idle volume sleeps."""
        return self._controller.state is not State.ENDED and (
            bool(self._pending or self._in_flight)
            or self._controller.is_busy
            or any(link.flushes or link.calls for link in self.links)
        )

    @property
    def is_quiet(self) -> bool:
        """True if nothing that was answered NOT READY can change what a read finds any more: the
        extents of a write that was given up are equal again."""
        return not self._has_given_up

    # -- the end of an event -----------------------------------------------------------------------

    def _retry(self) -> None:
        """Something has changed: what is pending may be admitted now."""
        self.agenda.may_admit = False
        if self._controller.has_majority and self._controller.state is State.SERVING:
            self._admission.retry()

    def _weigh(self) -> None:
        """Hand what was found out to whom it concerns, until nothing is left of it. What follows
        from one finding comes before the next."""
        agenda, controller = self.agenda, self._controller
        while agenda.must_weigh:
            if agenda.must_refresh:
                controller.refresh()
                continue
            if agenda.has_mended:
                controller.upkeep.mended()
                continue
            found, *rest = agenda.findings
            agenda.findings = []
            match found:
                case Failed():
                    controller.failed(found)
                    agenda.findings.append(Unjudged(found.batch))
                case Unjudged():
                    self._writes.judge(found.batch)
                case LeftUnanswered():
                    self._given_up(found.links)
                case Useless():
                    self._hang_up(found.link, found.reason, found.retry_s)
                    found.link.trouble = found.trouble or found.link.trouble
                case Flushed() if found.flush is self._closing:
                    controller.upkeep.clean(found.flush.epoch)
                case Cleared():
                    self._end()
                case _:
                    controller.weigh(found)
            agenda.findings += rest

    def _mend(self) -> None:
        """Weigh what was found, and begin to make equal what can be."""
        agenda = self.agenda
        while agenda.is_stirred:
            self._weigh()
            if agenda.must_repair:
                agenda.must_repair = False
                self._controller.upkeep.repair.advance()

    def _finish(self) -> None:
        """The end of every event but `submit`: see to what was found, and admit what has waited."""
        agenda = self.agenda
        while agenda.is_stirred or agenda.may_admit:
            self._mend()
            if agenda.may_admit:
                self._retry()
        if agenda.must_show:
            self._controller.show()
        if self._has_given_up and not self._controller.upkeep.repair.unequal:
            self._has_given_up = False

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
        for group in self._pending.take_late(before):
            for request in group.requests:
                request.status = status
            self.agenda.complete(group.requests, group.completed)

    # -- what comes back ---------------------------------------------------------------------------

    def _reply(self, link: Link, frame: Frame) -> None:
        """An answer to a call; one that nobody waits for any more is dropped."""
        if frame.kind is Kind.CONTROL:
            message = frame.control()
            if message.get("kind") == "refused":
                self._controller.refusal(link, message)
                return
        call = link.calls.pop(frame.sequence, None)
        if call is None:
            return
        try:
            call.answer(frame)
        except ProtocolError as error:
            self._hang_up(link, f"broke the protocol: {error}")
            call.answer(None)

    def _hang_up(self, link: Link, reason: str, retry_s: float = 0.0) -> None:
        self.agenda.actions.append(Hangup(link.name, reason, retry_s))
        if link.state is not LinkState.DOWN:
            self._controller.lost(link, reason)

    def _given_up(self, silent: list[Link]) -> None:
        """What was given up must not be applied by those that have not answered: what a new
        connection does not bring any more is dropped with the old one."""
        self._has_given_up = True
        patience_s = self._options.not_ready_after_s
        for link in silent:
            self._hang_up(link, f"left what it was sent unanswered for {patience_s:g} s")

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._close_until = math.inf
            self._controller.state = State.ENDED
            self.agenda.actions.append(End())
