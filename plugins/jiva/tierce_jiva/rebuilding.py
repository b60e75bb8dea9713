"""Letting replicas back in, one at a time: whose turn it is, and what became of it."""

from __future__ import annotations

import attrs

from tierce_jiva.findings import Copy, Trouble
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.marks import Marks
from tierce_jiva.quorum import Quorum
from tierce_jiva.read_path import ReadPath
from tierce_jiva.rebuild import Rebuild
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed

#: A replica that could not be rebuilt waits this long, doubling, before it tries again.
RETRY_S_MIN = 1.0
RETRY_S_MAX = 30.0
#: One that is voted out for a fault this soon after it was let in waits longer each time.
STEADY_S = 120.0
LATE_S_MIN = 30.0
LATE_S_MAX = 900.0


class Rebuilding:
    """At most one replica is rebuilt at a time.

    Args:
        links: The replicas.
        quorum: The votes.
        marks: The marks.
        unflushed: The account of what is not flushed.
        locked: Extents that writes must not enter.
        unequal: Extents that may differ between the members.
        reads: Who may be read is who may be copied from.
        reporter: Tells operators.
        agenda: Where it says what is to be done.
        window: Extents compared at once.
    """

    def __init__(
        self,
        links: Links,
        quorum: Quorum,
        marks: Marks,
        unflushed: Unflushed,
        locked: InFlight,
        unequal: Extents,
        reads: ReadPath,
        reporter: StatusReporter,
        agenda: Agenda,
        *,
        window: int,
    ) -> None:
        self._links = links
        self._quorum = quorum
        self._marks = marks
        self._unflushed = unflushed
        self._locked = locked
        self._unequal = unequal
        self._reads = reads
        self._reporter = reporter
        self._agenda = agenda
        self._window = window
        self._rebuild: Rebuild | None = None

    def __bool__(self) -> bool:
        return self._rebuild is not None

    @property
    def mirror(self) -> Link | None:
        """The replica that is rebuilt, once every write goes to it."""
        rebuild = self._rebuild
        return rebuild.link if rebuild is not None and rebuild.has_joined else None

    @property
    def is_finishing(self) -> bool:
        """True if every flush goes to it too."""
        return self._rebuild is not None and self._rebuild.is_finishing

    def progress(self, link: Link) -> float | None:
        """Return the share of what there is to compare that is done, 0 to 1, if this one is
        rebuilt."""
        if self._rebuild is None or self._rebuild.link is not link:
            return None
        return round(self._rebuild.progress, 3)

    def consider(self) -> None:
        """Begin with the next one, if there is one and nothing stands against it; go on with what
        is under way."""
        if self._rebuild is not None:
            self._rebuild.advance()
        elif not self._quorum.is_voting:
            members = self._quorum.latest.in_sync
            for link in self._links.ready():
                if link.name not in members and self._links.now >= link.not_before:
                    self._begin(link)
                    return

    def _begin(self, link: Link) -> None:
        # What it was voted out for is over.
        link.fault = ""
        count = len(link.missed)
        self._reporter.emit(
            "jiva.replica.rebuilding",
            f"{link.name} is compared with a member in {count} MiB",
            "info",
        )
        self._rebuild = Rebuild(
            self._links,
            link,
            self._marks,
            self._unflushed,
            self._reads,
            self._unequal,
            self._locked,
            self._agenda,
            window=self._window,
        )
        self._rebuild.start()
        self._agenda.must_refresh = True

    def ended(self, copy: Copy, trouble: Trouble | None) -> None:
        """A copy of an extent has ended."""
        if self._rebuild is not None:
            self._rebuild.ended(copy, trouble)

    def proved(self, link: Link) -> None:
        """It holds what a member holds, from now on: let it in."""
        if self._rebuild is None or self._rebuild.link is not link:
            return
        for extents in (link.missed, link.copied, link.doubt):
            extents.clear()
        self._count(link, counts=True)
        members = frozenset(self._quorum.latest.in_sync)
        self._quorum.propose(members | {link.name}, frozenset([link.name]))
        self._agenda.must_refresh = True

    def lost(self, link: Link, reason: str) -> None:
        """A link was lost, or is of no use any more."""
        if self._rebuild is not None and self._rebuild.link is link:
            self.stop(reason)

    def stop(self, reason: str) -> None:
        """It is not let in now; nothing waits for it any more."""
        rebuild, self._rebuild = self._rebuild, None
        if rebuild is None:
            return
        rebuild.stop()
        link = rebuild.link
        self._count(link, counts=False)
        if rebuild.has_joined:
            # What is under way, and what comes from now on, it may miss.
            link.missed.add_regions(self._marks.common)
            link.copied.update(self._unflushed.since(link.flushed_epoch))
        self._take_back(link)
        link.patience_s = min(max(RETRY_S_MIN, link.patience_s * 2), RETRY_S_MAX)
        link.not_before = self._links.now + link.patience_s
        self._reporter.emit(
            "jiva.replica.not-let-in",
            f"{link.name} is not let in: {reason}; next try in {link.patience_s:g} s",
            "warning",
        )
        self._agenda.may_admit = True
        self._agenda.must_refresh = True

    @staticmethod
    def _count(link: Link, *, counts: bool) -> None:
        """Say whether it holds what a member holds."""
        promise = link.promise
        if promise is not None:
            is_suspect = promise.suspect and not counts
            link.promise = attrs.evolve(promise, counts=counts, suspect=is_suspect)

    def _take_back(self, link: Link) -> None:
        """It was proposed and is not what it was then: vote for the set without it."""
        membership, latest = self._quorum.membership, self._quorum.latest
        if (
            self._quorum.is_voting
            and membership is not None
            and link.name in latest.in_sync
            and link.name not in membership.in_sync
        ):
            others = frozenset(latest.in_sync) - {link.name}
            self._quorum.propose(others or frozenset(membership.in_sync))

    def in_force(self, members: tuple[str, ...]) -> None:
        """A membership has come into force: it may be what the rebuild was for."""
        rebuild = self._rebuild
        if rebuild is None or rebuild.link.name not in members:
            return
        link = rebuild.link
        self._rebuild = None
        link.patience_s = 0.0
        link.in_since = self._links.now
        self._reporter.emit(
            "jiva.replica.in-sync",
            f"{link.name} is in sync again; {rebuild.copied_bytes} bytes were copied",
            took_s=self._links.now - rebuild.began,
        )

    def was_at_fault(self, link: Link) -> None:
        """It is voted out for being late, or for what it failed: if that was soon after it was let
        in, it waits longer before it may try again, so that one that hangs or fails now and then
        does not stall writes each time."""
        is_steady = self._links.now - link.in_since > STEADY_S
        link.late_s = 0.0 if is_steady else min(max(LATE_S_MIN, link.late_s * 2), LATE_S_MAX)
        link.not_before = self._links.now + link.late_s
