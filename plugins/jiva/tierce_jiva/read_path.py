"""Reads: from a local replica's file where there is one in the set, else from a replica.

A read that overlaps an unsettled write waits until that settles; one that was under way when
such a write began is repeated after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from crc32c import crc32c

from tierce import GOOD, Code, ProtocolError, Request, Settled, Status
from tierce_jiva.links import Link, Links
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.wire import BATCH_BYTES_MAX, ENTRY, Frame, Kind


class LocalReader(Protocol):
    """Reads a replica's file on this machine. A shell's affair."""

    def read(
        self, head: str, requests: list[Request], done: Callable[[list[Request]], None]
    ) -> list[Request] | None:
        """Fill what is in the page cache at once; return the requests that are not.

        Those are filled on a worker thread and then passed to `done`: a request that failed
        has a status, the others none. None if the file can't be read here.
        """
        ...


@attrs.define(eq=False)
class _Reading:
    """Reads asked of one replica; `since` is when they first came, in seconds."""

    requests: list[Request]
    settled: Settled
    since: float


class ReadPath:
    """Reads under way.

    Args:
        links: The replicas.
        unsettled: Extents with writes under way.
        local: Reads files of this machine; None where there are none.
        answer: Called with (request, settled) for each request that was parked and has its
            status.
        again: Called with requests that must be submitted anew, and when they first came.
        finished: Called when a worker thread's reads have come back and were dealt with: an event
            of its own, with nobody else to tell the answers.
    """

    def __init__(
        self,
        links: Links,
        unsettled: Unsettled,
        local: LocalReader | None,
        *,
        answer: Callable[[Request, Settled], None],
        again: Callable[[list[Request], Settled, float], None],
        finished: Callable[[], None],
    ) -> None:
        self._links = links
        self._unsettled = unsettled
        self._local = local
        self._answer = answer
        self._again = again
        self._finished = finished
        self._turn = 0
        #: What replicas have not answered, in the order of asking.
        self._readings: dict[_Reading, None] = {}
        #: Whom to read.
        self.sources: tuple[Link, ...] = ()
        #: Head file of a source on this machine, empty if there is none.
        self._local_head = ""

    def use(self, sources: list[Link], boot_id: str) -> None:
        """Read these from now on; those whose machine has this boot id may be read here."""
        self.sources = tuple(sources)
        local = (link.head for link in sources if self._local and link.boot_id == boot_id)
        self._local_head = next(local, "")

    def read(self, requests: list[Request], settled: Settled, since: float) -> None:
        """Read; what can be had at once has its status on return and is not answered.

        Args:
            requests: The reads.
            settled: Whom to tell of the others.
            since: When they first came, in seconds.
        """
        if self._local_head:
            assert self._local is not None
            missed = self._local.read(
                self._local_head, requests, lambda done: self._local_done(done, settled, since)
            )
            if missed is not None:
                if missed:
                    waiting = set(map(id, missed))
                    for request in requests:
                        if id(request) not in waiting:
                            request.status = GOOD
                else:
                    for request in requests:
                        request.status = GOOD
                return
            self._local_head = ""
        self._remote(requests, settled, since, tried=0)

    def give_up(self, before: float, status: Status) -> None:
        """Answer what came before that time and no replica has sent; bytes that come later are
        dropped. Reads of this machine's own files are not given up: a thread fills their
        buffers."""
        for reading in [reading for reading in self._readings if reading.since < before]:
            del self._readings[reading]
            for request in reading.requests:
                request.status = status
                self._answer(request, reading.settled)

    def _local_done(self, requests: list[Request], settled: Settled, since: float) -> None:
        failed = [request for request in requests if request.status is not None]
        for request in failed:
            request.status = None
        self._arrived([r for r in requests if r not in failed], settled, since)
        if failed:
            # The local file can't be read there; another replica may hold the bytes.
            local = self._links.mask(
                {link.name for link in self.sources if link.head == self._local_head}
            )
            self._remote(failed, settled, since, tried=local)
        self._finished()

    def _arrived(self, requests: list[Request], settled: Settled, since: float) -> None:
        """The bytes are there: they stand unless a write to them has begun meanwhile."""
        overtaken = []
        for request in requests:
            if self._unsettled.overlaps(request.offset, request.length):
                overtaken.append(request)
            else:
                request.status = GOOD
                self._answer(request, settled)
        if overtaken:
            self._again(overtaken, settled, since)

    def _remote(self, requests: list[Request], settled: Settled, since: float, tried: int) -> None:
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
                self._ask(link, _Reading(part, settled, since), tried)
                part, length = [], 0
            part.append(request)
            length += request.length
        self._ask(link, _Reading(part, settled, since), tried)

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
            elif frame.kind is Kind.DATA:
                self._arrived(requests, settled, since)
            else:
                self._remote(requests, settled, since, tried | link.bit)

        self._readings[reading] = None
        self._links.ask_extents(
            link, Kind.READ, [(request.offset, request.length) for request in requests], answered
        )

    def _nobody(self, requests: list[Request], settled: Settled, since: float, tried: int) -> None:
        if not tried:
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
    position = 0
    if frame.count != len(requests):
        raise ProtocolError(f"{frame.count} extents arrived, {len(requests)} were asked for")
    for request, (_, length, offset, check) in zip(
        requests, ENTRY.iter_unpack(frame.table), strict=True
    ):
        data = frame.payload[position : position + length]
        if (offset, length, len(data)) != (request.offset, request.length, request.length):
            raise ProtocolError(f"extent {offset}+{length} arrived, another was asked for")
        if crc32c(data) != check:
            raise ProtocolError(f"the bytes at offset {offset} arrived damaged")
        assert request.buffer is not None
        request.buffer[:] = data
        position += length
