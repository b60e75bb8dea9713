"""Members whose bytes are in doubt: their processes have restarted, or a sync of theirs failed.

Until the newest content of what is in doubt was written again, flushed, and that was agreed, such
a member completes no flush, serves no read, and is no source while another can be.

::

    sound --put--> in doubt --all written again--> flush --done--> `redone` --agreed--> sound
                      ^                              |                |
                      '--------- it failed, or the link was lost -----'
"""

from __future__ import annotations

from collections.abc import Iterable

from tierce_jiva.ballot import Start
from tierce_jiva.findings import FailedAgain, Sound
from tierce_jiva.links import Link, Links
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Frame

_RETRY_S = 1.0


class Doubts:
    """Which members are in doubt, and how far they have come.

    Args:
        links: The replicas.
        unflushed: The account of what is not flushed.
        reporter: Tells operators.
        agenda: Where it says what has come of it.
    """

    def __init__(
        self, links: Links, unflushed: Unflushed, reporter: StatusReporter, agenda: Agenda
    ) -> None:
        self._links = links
        self._unflushed = unflushed
        self._reporter = reporter
        self._agenda = agenda
        #: How often something came to be in doubt.
        self.count = 0
        #: Links of which something was asked for that has not been answered.
        self._asking: set[Link] = set()
        self._not_before: dict[Link, float] = {}

    def put(self, link: Link, extents: Extents, *, must_reopen: bool = False) -> None:
        """These may not be on its disk.

        Args:
            link: A member.
            extents: What is in doubt; with nothing in it, the link stays as it is.
            must_reopen: A sync failed.
        """
        if not extents and not must_reopen:
            return
        self._links.unrest.note(extents)
        link.doubt.update(extents)
        link.must_reopen = link.must_reopen or must_reopen
        link.has_failed_sync = link.has_failed_sync or must_reopen
        link.is_unproved = True
        self.count += 1
        self._agenda.must_refresh = True

    def restarted(self, link: Link) -> None:
        """Its process has restarted, and kept its memory: a sync may have failed unrecorded."""
        found = self._unflushed.since(link.flushed_epoch)
        if found:
            self._reporter.emit(
                "jiva.replica.in-doubt",
                f"{link.name} has restarted: {len(found)} MiB that it had not flushed are written "
                "to it again",
                "info",
            )
        self.put(link, found)

    def sync_failed(self, link: Link) -> None:
        """It could not flush."""
        self._not_before[link] = self._links.now + _RETRY_S
        # It answers in order: a write that it answers after this it has carried out after that.
        owed = (number for number, batch in link.writes.items() if not batch.failed & link.bit)
        answered = next(owed, self._links.sequence + 1) - 1
        link.sync_failed = Start(self._links.ballot, answered)
        self.put(link, self._unflushed.since(link.flushed_epoch), must_reopen=True)

    def forget(self, link: Link) -> None:
        """It is no member any more: it has to be rebuilt."""
        link.is_unproved = link.must_reopen = link.has_failed_sync = False

    def lost(self, link: Link) -> None:
        """Its connection was lost."""
        self._asking.discard(link)

    def advance(self, members: Iterable[Link]) -> None:
        """Ask of each what can be asked of it now."""
        for link in members:
            if not link.is_unproved or not link.is_ready or link in self._asking:
                continue
            if self._links.now < self._not_before.get(link, 0.0):
                continue
            if link.must_reopen:
                self._reopen(link)
            elif not link.doubt:
                self._prove(link)

    def __bool__(self) -> bool:
        return any(link.is_unproved for link in self._links)

    def _reopen(self, link: Link) -> None:
        def reopened(is_done: bool) -> None:
            self._asking.discard(link)
            if is_done:
                link.must_reopen = False

        self._asking.add(link)
        self._links.ask_control(link, {"kind": "renew"}, "renewed", reopened)

    def _prove(self, link: Link) -> None:
        epoch = self._unflushed.begin_flush()

        def flushed(frame: Frame | None) -> None:
            self._asking.discard(link)
            if frame is None:
                return
            if frame.count:
                self.sync_failed(link)
                self._agenda.findings.append(FailedAgain(link))
                return
            link.flushed_epoch = max(link.flushed_epoch, epoch)
            self._asking.add(link)
            self._links.ask_redone(link, redone)

        def redone(is_agreed: bool) -> None:
            self._asking.discard(link)
            if is_agreed and not link.doubt and not link.must_reopen and link.is_unproved:
                link.is_unproved = link.has_failed_sync = False
                self._agenda.findings.append(Sound(link))

        self._asking.add(link)
        self._links.ask_flush(link, flushed)
