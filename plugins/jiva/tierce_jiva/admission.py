"""Which requests can go on now, and which must wait: behind a change that they overlap, for a mark,
or until an extent is equal."""

from __future__ import annotations

from tierce import Completed, Op, Request
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Links
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.status_path import StatusPath
from tierce_jiva.target_actions import Agenda
from tierce_jiva.upkeep import Upkeep
from tierce_jiva.write_path import WritePath


class Admission:
    """The way in, while the target serves and has a majority.

    Args:
        links: The replicas.
        in_flight: Extents with writes under way.
        locked: Extents that writes must not enter.
        unequal: Extents that may differ between the members.
        pending: What waits.
        writes: The writes under way.
        reads: The reads under way.
        statuses: The BLOCK_STATUS under way.
        upkeep: What marks, and makes equal.
        agenda: Where it says what is to be done.
    """

    def __init__(
        self,
        links: Links,
        in_flight: InFlight,
        locked: InFlight,
        unequal: Extents,
        pending: Pending,
        writes: WritePath,
        reads: ReadPath,
        statuses: StatusPath,
        upkeep: Upkeep,
        agenda: Agenda,
    ) -> None:
        self._links = links
        self._in_flight = in_flight
        self._locked = locked
        self._unequal = unequal
        self._pending = pending
        self._writes = writes
        self._reads = reads
        self._statuses = statuses
        self._upkeep = upkeep
        self._agenda = agenda

    def admit(self, batch: list[Request], completed: Completed, since: float) -> None:
        """Begin what can go on now, and keep the rest; what is answered at once has its status.

        Args:
            batch: The requests.
            completed: Who is told of the others.
            since: When they first came, in seconds.
        """
        reads: list[Request] = []
        writes: list[Request] = []
        flushes: list[Request] = []
        later: list[Request] = []
        marks, read, flush, status = self._upkeep.marks, Op.READ, Op.FLUSH, Op.BLOCK_STATUS
        writable, shift = marks.writable, self._links.regions.shift
        # Where nothing is under way, nothing is asked about extents.
        stands = bool(
            self._in_flight.granules
            or self._locked.granules
            or self._pending.waiting.granules
            or self._unequal.parts
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
                self._statuses.ask(request, completed, since)
            else:
                offset, length = request.offset, request.length
                region = offset >> shift
                if (region in writable and offset + length - 1 >> shift == region) or (
                    marks.may_write(offset, length)
                ):
                    writes.append(request)
                else:
                    later.append(request)
                    # What overlaps it and comes after it waits behind it.
                    self._pending.hold(request)
                    stands = True
        if reads:
            self._reads.read(reads, completed, since)
        if writes:
            self._writes.write(writes, completed)
        if flushes:
            self._writes.flush(flushes, completed)
        if later:
            self._pending.add(later, completed, since)
        if since < self._links.now:
            self._stamp([*reads, *writes, *flushes], since)

    def _stamp(self, admitted: list[Request], since: float) -> None:
        """These have waited, and go on."""
        tracer, began_ns = self._links.timing.tracer, int(since * 1e9)
        elapsed_ns = int(self._links.now * 1e9) - began_ns
        if elapsed_ns > tracer.note_ns:
            tracer.note(admitted, "jiva.admit", began_ns, elapsed_ns)

    def _must_wait_for(self, request: Request) -> bool:
        """True if what is under way stands against the request; then it is to wait."""
        offset, length, is_read = request.offset, request.length, request.op is Op.READ
        if self._pending.waiting.overlaps(offset, length):
            must_wait = True
        elif self._unequal.overlaps(offset, length):
            must_wait = True
            if self._upkeep.repair.hurry(offset, length):
                self._agenda.must_repair = True
        else:
            extents = self._in_flight if is_read else self._locked
            must_wait = extents.overlaps(offset, length)
        if must_wait and not is_read:
            self._pending.hold(request)
        return must_wait

    def retry(self) -> None:
        """Something has changed: begin what can go on by now."""
        agenda = self._agenda
        for group in self._pending.take_all():
            self.admit(group.requests, group.completed, group.since)
            done = [request for request in group.requests if request.status is not None]
            if done:
                # Nothing more can be admitted for that.
                may_admit = agenda.may_admit
                agenda.complete(done, group.completed)
                agenda.may_admit = may_admit
