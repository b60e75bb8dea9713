"""The read path alone: its replicas are links, its files the test's."""

from __future__ import annotations

from jiva.ladder import BALLOT, answer_frame, frames_of, ready_links, said, taken
from tierce import Code, Op, Request, Status
from tierce_jiva.findings import Unread
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Head, Link, Links
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.replica_actions import Fetch
from tierce_jiva.replica_data import encode_data
from tierce_jiva.target_actions import Agenda, ReadFile
from tierce_jiva.wire import ENTRY, Frame, Kind, encode_unread

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")


class File:
    """Files of this machine, and what of them is cached."""

    def __init__(self) -> None:
        self.cached: set[int] = set()
        self.is_missing = False
        self.asked: list[tuple[Head, list[int]]] = []

    def read_cached(self, head: Head, requests: list[Request]) -> list[Request] | None:
        if self.is_missing:
            return None
        self.asked.append((head, [request.offset for request in requests]))
        return [request for request in requests if request.offset not in self.cached]


class Ladder:
    """All three may be read."""

    def __init__(self, *, local: File | None = None) -> None:
        self.links: Links = ready_links()
        self.agenda = Agenda()
        self.in_flight = InFlight()
        self.unequal = Extents(self.links.regions)
        self.waiting = Pending()
        self.reads = ReadPath(
            self.links, self.in_flight, self.unequal, self.waiting, local, self.agenda
        )
        self.use(*NAMES)

    @property
    def answered(self) -> list[Request]:
        return [request for requests in self.agenda.completed.values() for request in requests]

    @property
    def pending(self) -> list[tuple[list[Request], float]]:
        return [(group.requests, group.since) for group in self.waiting.groups]

    @property
    def failures(self) -> list[tuple[str, str, list[int]]]:
        return [
            (found.link.name, found.reason, [offset for offset, _ in found.extents])
            for found in said(self.agenda, Unread)
        ]

    def come_back(self, *failed: int) -> None:
        """The oldest that a thread was asked for is read; at these offsets it could not be."""
        (read, *_) = said(self.agenda, ReadFile)
        self.agenda.actions.remove(read)
        for request in read.requests:
            if request.offset in failed:
                request.status = Status(Code.READ_ERROR, "bad sector")
            else:
                assert request.buffer is not None
                request.buffer[:] = b"f" * request.length
        unread = self.reads.find_unread(read)
        if unread is not None:
            self.agenda.findings.append(unread)
        self.reads.file_read(read)

    def use(self, *names: str, readable: tuple[str, ...] = ()) -> None:
        sources = [self.links[name] for name in names]
        later = [self.links[name] for name in readable or names]
        self.reads.use(sources, later, "here")

    def read(self, *offsets: int, length: int = 512, since: float = 3.0) -> list[Request]:
        requests = [
            Request(Op.READ, offset, length, memoryview(bytearray(length))) for offset in offsets
        ]
        self.reads.read(requests, lambda _settled: None, since)
        return requests

    def asked(self) -> dict[str, list[int]]:
        """Return the offsets that each replica is asked for now."""
        found: dict[str, list[int]] = {}
        for link in self.links:
            for frame in taken(link):
                assert frame.kind is Kind.READ
                offsets = [offset for _, _, offset, _ in ENTRY.iter_unpack(frame.table)]
                found.setdefault(link.name, []).extend(offsets)
        return found

    def disturb(self, extent: int) -> None:
        found = Extents(self.links.regions)
        found.add(extent)
        self.links.unrest.note(found)

    def one_asked(self) -> Link:
        (name,) = self.asked()
        return self.links[name]

    def come(self, link: Link, *extents: tuple[int, bytes]) -> None:
        """A replica answers with bytes."""
        answer_frame(link, data(*extents))


def data(*extents: tuple[int, bytes]) -> Frame:
    fetch = Fetch(
        1,
        1,
        tuple((offset, len(found)) for offset, found in extents),
        bytearray(b"".join(found for _, found in extents)),
    )
    return frames_of(encode_data(fetch, BALLOT))[0]


def unread(sequence: int, *parts: tuple[int, int]) -> Frame:
    return frames_of(encode_unread(sequence, BALLOT, parts))[0]
