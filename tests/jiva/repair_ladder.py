"""Repair alone: its members are links, its answers the test's."""

from __future__ import annotations

from jiva.ladder import answer_frame, digests, hearing, ready_links, taken, volume_of
from tierce_jiva.doubts import Doubts
from tierce_jiva.findings import CopyEnded, CopyFailed, Finding, Trouble
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Links
from tierce_jiva.marks import Marks
from tierce_jiva.regions import Extents
from tierce_jiva.repair import Members, Repair
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import ENTRY, Kind

A, B, C = ("replica-1", "replica-2", "replica-3")


MIB = 1 << 20


OLD, NEW = b"o" * 16, b"n" * 16


class Ladder:
    """Three members, two extents at once."""

    def __init__(self, window: int = 2) -> None:
        self.links: Links = ready_links()
        self.locked = InFlight()
        self.unflushed = Unflushed(self.links.regions)
        self.agenda = hearing(self._hear)
        self.troubles: list[Trouble] = []
        self.marks = Marks(self.links, self.agenda)
        self.marks.writable = self.links.regions.every()
        reporter = StatusReporter(volume_of(self.links), self.agenda)
        self.doubts = Doubts(self.links, self.unflushed, reporter, self.agenda)
        self.repair = Repair(
            self.links,
            self.locked,
            Extents(self.links.regions),
            self.unflushed,
            self.marks,
            self.doubts,
            self.agenda,
            window=window,
        )
        self.repair.members = Members(tuple(self.links), tuple(self.links))

    def _hear(self, found: Finding) -> None:
        match found:
            case CopyEnded():
                assert self.repair.ended(found.copy, found.trouble)
                if self.agenda.must_repair:
                    self.agenda.must_repair = False
                    self.repair.advance()
            case CopyFailed():
                self.troubles.append(found.trouble)

    def asked(self) -> dict[str, list[int]]:
        """Return the extents that each was asked to digest."""
        found: dict[str, list[int]] = {}
        for link in self.links:
            for frame in taken(link):
                if frame.kind is Kind.DIGEST:
                    offset = next(ENTRY.iter_unpack(frame.table))[2]
                    found.setdefault(link.name, []).append(offset // MIB)
        return found

    def source(self) -> str:
        """Return who is copied from, where all others are written without comparing: who alone is
        asked for a digest."""
        self.repair.advance()
        (name,) = self.asked()
        return name

    def doubt(self, name: str, *extents: int, failed_sync: bool = False) -> None:
        link = self.links[name]
        link.is_unproved, link.has_failed_sync = True, failed_sync
        for extent in extents:
            link.doubt.add(extent)

    def all_answer(self, data: bytes = OLD) -> None:
        """Everybody answers the oldest question with a digest."""
        for link in self.links:
            if link.calls:
                answer_frame(link, digests(data))
