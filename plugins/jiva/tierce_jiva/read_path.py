"""Reads: from a local replica's file where there is one in the set, else from a replica.

A read that overlaps a write under way waits until that settles; one that was under way when
such a write began is repeated after it.
"""

from __future__ import annotations

from functools import partial

import attrs

from tierce import GOOD, Code, Completed, Op, ProtocolError, Request, Status
from tierce_jiva.findings import Unread
from tierce_jiva.frame_head import Extension
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.pending import Pending
from tierce_jiva.regions import EXTENT_SHIFT, Extents
from tierce_jiva.replica_data import name_extents
from tierce_jiva.target_actions import Agenda, ForgetFile, LocalReader, ReadFile
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame, Kind, check_data, check_unread, is_within


@attrs.define(eq=False)
class _Reading:
    """Reads asked of one replica.

    Attributes:
        link: The replica.
        requests: They.
        extents: Their offsets and lengths.
        completed: Who is told.
        since: When they first came, in seconds.
        unrest: The number of `Links.unrest` when they were asked.
        order: The number of the last frame then.
        asked_at: When they were asked, in seconds.
        tried: Bits of the links that could not read them.
    """

    link: Link
    requests: list[Request]
    extents: list[tuple[int, int]]
    completed: Completed
    since: float
    unrest: int
    order: int
    asked_at: float
    tried: int


class ReadPath:
    """Reads under way.

    Args:
        links: The replicas.
        in_flight: Extents with writes under way.
        unequal: Extents that may differ between the replicas.
        pending: Where what must be read later waits.
        local: Reads files of this machine; None where there are none.
        agenda: Where it says what has come of it.
    """

    def __init__(
        self,
        links: Links,
        in_flight: InFlight,
        unequal: Extents,
        pending: Pending,
        local: LocalReader | None,
        agenda: Agenda,
    ) -> None:
        self._links = links
        self._in_flight = in_flight
        self._unequal = unequal
        self._pending = pending
        self._local = local
        self._agenda = agenda
        self._turn = 0
        #: What replicas have not answered, in the order of asking.
        self._readings: dict[_Reading, None] = {}
        #: Who is read.
        self.sources: tuple[Link, ...] = ()
        #: Who may be read, now or again later.
        self.readable: tuple[Link, ...] = ()
        #: The sources whose files are read in this process.
        self._local_links: tuple[Link, ...] = ()

    def use(self, sources: list[Link], readable: list[Link], boot_id: str) -> None:
        """Read these from now on.

        Args:
            sources: Who is read.
            readable: Who may be read again later, though not now.
            boot_id: Those whose machine has this boot id may be read here.
        """
        self.sources, self.readable = tuple(sources), tuple(readable)
        if self._local is not None:
            local = [link for link in sources if link.head and link.boot_id == boot_id]
            self._local_links = tuple(local)

    def source(self) -> Link | None:
        """Return a member to copy from, or None if there is none now. One that failed a write
        which may yet succeed elsewhere lacks what it should hold."""
        return next((link for link in self.sources if not link.has_failed), None)

    def lost(self, link: Link) -> None:
        """A connection is about to be lost: what it told of files is worth nothing any more."""
        if self._local is not None and link.head is not None:
            self._agenda.actions.append(ForgetFile(link.head))

    def read(self, requests: list[Request], completed: Completed, since: float) -> None:
        """Read; what can be had at once has its status on return and is not answered.

        Args:
            requests: The reads.
            completed: Who is told of the others.
            since: When they first came, in seconds.
        """
        links = self._local_links
        if not links:
            self._remote(requests, completed, since, tried=0)
        elif len(links) == 1:
            self._read_local(links[0], requests, completed, since)
        else:
            # By extent: each is cached once, not once on every replica, and all disks are read.
            parts: dict[int, list[Request]] = {}
            for request in requests:
                parts.setdefault((request.offset >> EXTENT_SHIFT) % len(links), []).append(request)
            for index, part in parts.items():
                self._read_local(links[index], part, completed, since)

    def _read_local(
        self, link: Link, requests: list[Request], completed: Completed, since: float
    ) -> None:
        head = link.head
        assert self._local is not None
        assert head is not None
        missed = self._local.read_cached(head, requests)
        if missed is None:
            # That file can't be found here.
            self._local_links = tuple(other for other in self._local_links if other is not link)
            self._remote(requests, completed, since, tried=0)
            return
        if missed:
            unrest = self._links.unrest.number
            order = self._links.sequence
            self._in_flight.watcher_count += 1
            read = ReadFile(link, head, missed, completed, since, unrest, order)
            self._agenda.actions.append(read)
            waiting = set(map(id, missed))
            requests = [request for request in requests if id(request) not in waiting]
        for request in requests:
            request.status = GOOD

    def give_up(self, before: float, status: Status) -> None:
        """Answer what came before that time and no replica has sent; bytes that come later are
        dropped. Reads of this machine's own files are not given up: a thread fills their
        buffers."""
        for reading in [reading for reading in self._readings if reading.since < before]:
            del self._readings[reading]
            self._stamp_silent(reading)
            self._in_flight.unwatch()
            for request in reading.requests:
                request.status = status
            self._agenda.complete(reading.requests, reading.completed)

    @staticmethod
    def find_unread(read: ReadFile) -> Unread | None:
        """Return what a worker thread could not read, if the file still is the replica's."""
        failed = [request for request in read.requests if request.status is not None]
        if not failed or read.link.head is not read.head:
            return None
        assert failed[0].status is not None
        extents = [(request.offset, request.length) for request in failed]
        return Unread(read.link, failed[0].status.reason, extents)

    def file_read(self, read: ReadFile) -> None:
        """A worker thread has read a file; what it could not read has been seen to."""
        link, completed, since = read.link, read.completed, read.since
        good = [request for request in read.requests if request.status is None]
        failed = [request for request in read.requests if request.status is not None]
        for request in failed:
            request.status = None
        if good and link.head is read.head:
            self._arrived(link, good, completed, since, read.unrest, read.order)
        elif good:
            # What another connection has told of belongs to another incarnation.
            self._ask_again(good, completed, since)
        self._in_flight.unwatch()
        if failed:
            self._remote(failed, completed, since, tried=link.bit)

    def _arrived(
        self,
        link: Link,
        requests: list[Request],
        completed: Completed,
        since: float,
        unrest: int,
        order: int,
    ) -> None:
        """The bytes are there: they stand unless a write to them has begun meanwhile, or what the
        replica holds has come to be in question since they were asked for."""
        if link not in self.sources:
            self._ask_again(requests, completed, since)
            return
        # Where nothing is under way or in question, nothing is asked about extents.
        links = self._links
        if self._must_wait or links.unrest.number != unrest or links.sequence != order:
            requests = self._sort_out(requests, completed, since, unrest, order)
        if requests:
            for request in requests:
                request.status = GOOD
            self._agenda.complete(requests, completed)

    @property
    def _must_wait(self) -> bool:
        """True if there are extents that may not be read now."""
        return bool(self._in_flight.granules or self._unequal.parts)

    def _sort_out(
        self,
        requests: list[Request],
        completed: Completed,
        since: float,
        unrest: int,
        order: int,
    ) -> list[Request]:
        """Return those whose bytes stand; see to it that the others are read again."""
        standing, overtaken, moved = list[Request](), list[Request](), list[Request]()
        for request in requests:
            offset, length = request.offset, request.length
            if self._in_flight.overlaps(offset, length) or self._unequal.overlaps(offset, length):
                overtaken.append(request)
            elif self._links.unrest.has_touched(
                unrest, offset, length
            ) or self._in_flight.has_begun(order, offset, length):
                # A write that has come and gone meanwhile may have been read in part.
                moved.append(request)
            else:
                standing.append(request)
        if overtaken:
            self._pending.add(overtaken, completed, since)
        if moved:
            self._ask_again(moved, completed, since)
        return standing

    def _ask_again(self, requests: list[Request], completed: Completed, since: float) -> None:
        """Nothing stands against reading them anew at once."""
        self._pending.add(requests, completed, since)
        self._agenda.may_admit = True

    def _remote(
        self, requests: list[Request], completed: Completed, since: float, tried: int
    ) -> None:
        ready = LinkState.READY
        candidates = [link for link in self.sources if link.state is ready and not link.bit & tried]
        if not candidates:
            self._nobody(requests, completed, since, tried)
            return
        self._turn += 1
        link = candidates[self._turn % len(candidates)]
        part: list[Request] = []
        length = 0
        for request in requests:
            if part and length + request.length > BATCH_BYTES_MAX:
                self._ask(link, part, completed, since, tried)
                part, length = [], 0
            part.append(request)
            length += request.length
        self._ask(link, part, completed, since, tried)

    def _ask(
        self, link: Link, requests: list[Request], completed: Completed, since: float, tried: int
    ) -> None:
        extents = [(request.offset, request.length) for request in requests]
        links = self._links
        # The frame that asks has the next number itself.
        unrest, order = links.unrest.number, links.sequence + 1
        reading = _Reading(
            link, requests, extents, completed, since, unrest, order, links.now, tried
        )
        self._readings[reading] = None
        self._in_flight.watcher_count += 1
        answer, timing, told = partial(self._answered, reading), links.timing, None
        if timing.tracer.live or links.now < timing.until:
            is_timed = links.now < timing.until
            told = timing.extension(requests, link.name, order, is_timed=is_timed)
        links.ask_extents(link, Kind.READ, extents, answer, told)

    def _answered(self, reading: _Reading, frame: Frame | None) -> None:
        if reading not in self._readings:
            return  # Given up: its buffers are their owner's again.
        link, requests, tried = reading.link, reading.requests, reading.tried
        if frame is not None and frame.kind is Kind.DATA:
            for request, data in zip(requests, check_data(frame, reading.extents), strict=True):
                assert request.buffer is not None
                request.buffer[:] = data
        elif frame is not None and frame.kind is not Kind.ACK:
            raise ProtocolError(f"a READ was answered with {frame.kind.name}")
        del self._readings[reading]
        if frame is not None:
            elapsed_ns, answers = (self._links.now - reading.asked_at) * 1e9, link.answers
            answers.add(Op.READ, len(requests), 0, elapsed_ns)
            if frame.kind is not Kind.DATA:
                answers.fail(Op.READ, len(requests))
            if elapsed_ns > self._links.timing.tracer.note_ns:
                self._stamp(reading, frame.extension)
        if frame is None:
            self._stamp_silent(reading)
            self._remote(requests, reading.completed, reading.since, tried)
        elif frame.kind is not Kind.DATA:
            self._unread(reading, check_unread(frame, reading.extents))
        else:
            self._arrived(
                link, requests, reading.completed, reading.since, reading.unrest, reading.order
            )
        in_flight = self._in_flight
        # As `InFlight.unwatch`, where it has anything to do.
        in_flight.watcher_count -= 1
        if in_flight.begun and not in_flight.watcher_count:
            in_flight.begun.clear()

    def _stamp_silent(self, reading: _Reading) -> None:
        """It was not answered: who was asked is what it has waited for."""
        if (self._links.now - reading.asked_at) * 1e9 > self._links.timing.tracer.note_ns:
            self._stamp(reading, None)

    def _stamp(self, reading: _Reading, told: Extension | None) -> None:
        now, timing, name = self._links.now, self._links.timing, reading.link.name
        elapsed_ns = int((now - reading.asked_at) * 1e9)
        timing.stamp(reading.requests, name, now, elapsed_ns, reading.order, told)

    def _unread(self, reading: _Reading, parts: list[tuple[int, int]]) -> None:
        """A replica can't read: what it names, or all of it, is asked of another one, and the rest
        once more of whoever's turn it is."""
        link, failed, rest = reading.link, reading.requests, list[Request]()
        if parts:
            whose = {
                extent for extent in reading.extents for part in parts if is_within(part, extent)
            }
            rest = [one for one in failed if (one.offset, one.length) not in whose]
            failed = [one for one in failed if (one.offset, one.length) in whose]
        reason = f"it can't read {name_extents(parts)}" if parts else "it can't read"
        self._agenda.findings.append(Unread(link, reason, parts or reading.extents))
        self._remote(failed, reading.completed, reading.since, reading.tried | link.bit)
        if rest:
            self._remote(rest, reading.completed, reading.since, reading.tried)

    def _nobody(
        self, requests: list[Request], completed: Completed, since: float, tried: int
    ) -> None:
        if not tried or self._links.mask({link.name for link in self.readable}) & ~tried:
            # One that was not asked is away for a moment, or in doubt: it may have the bytes.
            self._pending.add(requests, completed, since)
            return
        for request in requests:
            request.status = Status(
                Code.READ_ERROR,
                f"no replica could read {request.length} bytes at {request.offset}",
                request.offset,
            )
        self._agenda.complete(requests, completed)
