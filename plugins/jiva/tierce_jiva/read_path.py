"""Reads: from a local replica's file where there is one in the set, else from a replica.

A read that overlaps an unsettled write waits until that settles; one that was under way when
such a write began is repeated after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from tierce import GOOD, Code, Completed, ProtocolError, Request, Status
from tierce_jiva.links import Head, Link, Links
from tierce_jiva.regions import EXTENT_SHIFT
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame, Kind, check_data


class LocalReader(Protocol):
    """Reads a replica's file on this machine. A shell's affair."""

    def read(
        self, head: Head, requests: list[Request], done: Callable[[list[Request]], None]
    ) -> list[Request] | None:
        """Fill what is in the page cache at once; return the requests that are not.

        Those are filled on a worker thread and then passed to `done`: a request that failed
        has a status, the others none. None if that file can't be found here.
        """
        ...

    def forget(self, head: Head) -> None:
        """Let the file go: the connection that told of it is no more."""
        ...


@attrs.define(eq=False)
class _Reading:
    """Reads asked of one replica.

    Attributes:
        requests: They.
        settled: Whom to tell.
        since: When they first came, in seconds.
        unrest: The number of `Links.unrest` when they were asked.
    """

    requests: list[Request]
    settled: Completed
    since: float
    unrest: int


class ReadPath:
    """Reads under way.

    Args:
        links: The replicas.
        must_wait: Returns True if an extent may not be read now: a write to it is under way, or it
            may differ between the replicas.
        local: Reads files of this machine; None where there are none.
        answer: Called with (request, settled) for each request that was parked and has its
            status.
        again: Called with requests that must be submitted anew, and when they first came.
        changed: Called when requests that must be submitted anew can be admitted now.
        failed: Called with a link whose replica could not be read, why, and what of it.
        finished: Called when a worker thread's reads have come back and were dealt with: an event
            of its own, with nobody else to tell the answers.
    """

    def __init__(
        self,
        links: Links,
        must_wait: Callable[[int, int], bool],
        local: LocalReader | None,
        *,
        answer: Callable[[Request, Completed], None],
        again: Callable[[list[Request], Completed, float], None],
        changed: Callable[[], None],
        failed: Callable[[Link, str, list[Request]], None],
        finished: Callable[[], None],
    ) -> None:
        self._links = links
        self._must_wait = must_wait
        self._local = local
        self._answer = answer
        self._again = again
        self._changed = changed
        self._failed = failed
        self._finished = finished
        self._turn = 0
        #: What replicas have not answered, in the order of asking.
        self._readings: dict[_Reading, None] = {}
        #: Whom to read.
        self.sources: tuple[Link, ...] = ()
        #: Who may be read, now or again later.
        self.readable: tuple[Link, ...] = ()
        #: The sources whose files are read in this process.
        self._local_links: tuple[Link, ...] = ()

    def use(self, sources: list[Link], readable: list[Link], boot_id: str) -> None:
        """Read these from now on.

        Args:
            sources: Whom to read.
            readable: Who may be read again later, though not now.
            boot_id: Those whose machine has this boot id may be read here.
        """
        self.sources, self.readable = tuple(sources), tuple(readable)
        if self._local is not None:
            local = [link for link in sources if link.head and link.boot_id == boot_id]
            self._local_links = tuple(local)

    def lost(self, link: Link) -> None:
        """A connection is about to be lost: what it told of files is worth nothing any more."""
        if self._local is not None and link.head is not None:
            self._local.forget(link.head)

    def read(self, requests: list[Request], settled: Completed, since: float) -> None:
        """Read; what can be had at once has its status on return and is not answered.

        Args:
            requests: The reads.
            settled: Whom to tell of the others.
            since: When they first came, in seconds.
        """
        links = self._local_links
        if not links:
            self._remote(requests, settled, since, tried=0)
        elif len(links) == 1:
            self._read_local(links[0], requests, settled, since)
        else:
            # By extent: each is cached once, not once on every replica, and all disks are read.
            parts: dict[int, list[Request]] = {}
            for request in requests:
                parts.setdefault((request.offset >> EXTENT_SHIFT) % len(links), []).append(request)
            for index, part in parts.items():
                self._read_local(links[index], part, settled, since)

    def _read_local(
        self, link: Link, requests: list[Request], settled: Completed, since: float
    ) -> None:
        head, unrest = link.head, self._links.unrest.number
        assert self._local is not None
        assert head is not None
        missed = self._local.read(
            head, requests, lambda done: self._local_done(link, head, done, settled, since, unrest)
        )
        if missed is None:
            # That file can't be found here.
            self._local_links = tuple(other for other in self._local_links if other is not link)
            self._remote(requests, settled, since, tried=0)
        elif missed:
            waiting = set(map(id, missed))
            for request in requests:
                if id(request) not in waiting:
                    request.status = GOOD
        else:
            for request in requests:
                request.status = GOOD

    def give_up(self, before: float, status: Status) -> None:
        """Answer what came before that time and no replica has sent; bytes that come later are
        dropped. Reads of this machine's own files are not given up: a thread fills their
        buffers."""
        for reading in [reading for reading in self._readings if reading.since < before]:
            del self._readings[reading]
            for request in reading.requests:
                request.status = status
                self._answer(request, reading.settled)

    def _local_done(
        self,
        link: Link,
        head: Head,
        requests: list[Request],
        settled: Completed,
        since: float,
        unrest: int,
    ) -> None:
        failed = [request for request in requests if request.status is not None]
        if failed and link.head is head:
            status = failed[0].status
            assert status is not None
            self._failed(link, status.reason, failed)
        for request in failed:
            request.status = None
        good = [request for request in requests if request not in failed]
        if link.head is head:
            self._arrived(link, good, settled, since, unrest)
        else:
            # What another connection has told of belongs to another incarnation.
            self._ask_again(good, settled, since)
        if failed:
            self._remote(failed, settled, since, tried=link.bit)
        self._finished()

    def _arrived(
        self, link: Link, requests: list[Request], settled: Completed, since: float, unrest: int
    ) -> None:
        """The bytes are there: they stand unless a write to them has begun meanwhile, or what the
        replica holds has come to be in question since they were asked for."""
        if link not in self.sources:
            self._ask_again(requests, settled, since)
            return
        overtaken, moved = [], []
        for request in requests:
            offset, length = request.offset, request.length
            if self._must_wait(offset, length):
                overtaken.append(request)
            elif self._links.unrest.has_touched(unrest, offset, length):
                moved.append(request)
            else:
                request.status = GOOD
                self._answer(request, settled)
        if overtaken:
            self._again(overtaken, settled, since)
        if moved:
            self._ask_again(moved, settled, since)

    def _ask_again(self, requests: list[Request], settled: Completed, since: float) -> None:
        """Nothing stands against reading them anew at once."""
        self._again(requests, settled, since)
        self._changed()

    def _remote(
        self, requests: list[Request], settled: Completed, since: float, tried: int
    ) -> None:
        candidates = [link for link in self.sources if link.is_ready and not link.bit & tried]
        if not candidates:
            self._nobody(requests, settled, since, tried)
            return
        self._turn += 1
        link = candidates[self._turn % len(candidates)]
        part: list[Request] = []
        length = 0
        for request in requests:
            if part and length + request.length > BATCH_BYTES_MAX:
                self._ask(link, _Reading(part, settled, since, self._links.unrest.number), tried)
                part, length = [], 0
            part.append(request)
            length += request.length
        self._ask(link, _Reading(part, settled, since, self._links.unrest.number), tried)

    def _ask(self, link: Link, reading: _Reading, tried: int) -> None:
        requests, settled, since = reading.requests, reading.settled, reading.since

        def answered(frame: Frame | None) -> None:
            if reading not in self._readings:
                return  # Given up: its buffers are their owner's again.
            if frame is not None and frame.kind is Kind.DATA:
                _scatter(frame, requests)
            elif frame is not None and frame.kind is not Kind.ACK:
                raise ProtocolError(f"a READ was answered with {frame.kind.name}")
            del self._readings[reading]
            if frame is None:
                self._remote(requests, settled, since, tried)
            elif frame.kind is not Kind.DATA:
                self._failed(link, "it can't read", requests)
                self._remote(requests, settled, since, tried | link.bit)
            else:
                self._arrived(link, requests, settled, since, reading.unrest)

        self._readings[reading] = None
        self._links.ask_extents(
            link, Kind.READ, [(request.offset, request.length) for request in requests], answered
        )

    def _nobody(
        self, requests: list[Request], settled: Completed, since: float, tried: int
    ) -> None:
        if not tried or self._links.mask({link.name for link in self.readable}) & ~tried:
            # One that was not asked is away for a moment, or in doubt: it may have the bytes.
            self._again(requests, settled, since)
            return
        for request in requests:
            request.status = Status(
                Code.READ_ERROR,
                f"no replica could read {request.length} bytes at {request.offset}",
                request.offset,
            )
            self._answer(request, settled)


def _scatter(frame: Frame, requests: list[Request]) -> None:
    extents = [(request.offset, request.length) for request in requests]
    for request, data in zip(requests, check_data(frame, extents), strict=True):
        assert request.buffer is not None
        request.buffer[:] = data
