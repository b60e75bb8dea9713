"""What a replica may have forgotten, or missed, when it is connected again."""

from __future__ import annotations

import attrs

from tierce_jiva.ballot import NO_BALLOT, NO_ORDER
from tierce_jiva.doubts import Doubts
from tierce_jiva.findings import Useless
from tierce_jiva.links import Link, Links
from tierce_jiva.opening import OLDER, Opening
from tierce_jiva.quorum import Quorum
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.write_path import WritePath


class Returning:
    """Looks at what replicas say when they promise.

    Args:
        links: The replicas.
        quorum: The votes.
        doubts: Which members are in doubt.
        writes: The writes under way.
        reporter: Tells operators.
        agenda: Where it says what is to be done.
    """

    def __init__(
        self,
        links: Links,
        quorum: Quorum,
        doubts: Doubts,
        writes: WritePath,
        reporter: StatusReporter,
        agenda: Agenda,
    ) -> None:
        self._links = links
        self._quorum = quorum
        self._doubts = doubts
        self._writes = writes
        self._reporter = reporter
        self._agenda = agenda

    def begin(self, opening: Opening) -> None:
        """The volume is open: note what each that is here may lack."""
        for link in self._links.ready():
            promise = link.promise
            assert promise is not None
            link.is_restarted = False
            link.has_promised = self._links.ballot
            if link.name in opening.in_sync:
                link.missed.clear()
                link.is_current = True
                link.promise = attrs.evolve(promise, counts=True)
                in_doubt = promise.marks if promise.suspect else promise.doubt
                extents = Extents(self._links.regions, in_doubt)
                self._doubts.put(link, extents, must_reopen=promise.suspect)
                continue
            if link.name in opening.near:
                link.missed.clear()
                link.missed.add_regions(opening.marks)
            link.is_older = link.name in opening.strange
            link.has_vote = not link.is_older
            self._newcomer(link)

    def welcome_back(self, link: Link) -> None:
        """It is connected again while this target serves: what may it have forgotten?"""
        promise = link.promise
        assert promise is not None
        is_restarted, link.is_restarted = link.is_restarted, False
        link.is_older = promise.copied or self._is_older(link)
        link.has_vote = link.has_vote and not link.is_older
        link.has_promised = self._links.ballot
        if is_restarted or promise.suspect:
            # What it took while it was rebuilt it may have lost.
            link.doubt.update(link.copied)
            link.missed.update(link.copied)
            link.copied.clear()
        if link.name not in self._quorum.required():
            self._newcomer(link)
        elif link.is_older:
            self._refuse_older(link)
        elif not promise.counts:
            link.fault = "its machine has lost power"
        else:
            if promise.suspect and not link.must_reopen:
                self._doubts.sync_failed(link)
            if is_restarted:
                self._doubts.restarted(link)
            self._send_again(link)

    def _refuse_older(self, link: Link) -> None:
        """It is no member any more, as soon as it can be voted out; until then it takes no part."""
        link.fault = OLDER
        if len(self._quorum.latest.in_sync) == 1:
            self._reporter.say("jiva.volume.waiting", f"stopped: {link.name}: {OLDER}")
            self._agenda.findings.append(Useless(link, OLDER))

    def _send_again(self, link: Link) -> None:
        """Send what it owes; what it failed puts it at fault, or has failed everywhere."""
        if not link.has_failed:
            self._writes.resend(link)
            return
        others = [self._links[name] for name in self._quorum.readable() if name != link.name]
        if any(other.is_ready and other.is_sound for other in others):
            link.fault = "it failed an operation that it was sent"
        else:
            self._writes.end_failed(link)
            self._writes.resend(link)

    def _is_older(self, link: Link) -> bool:
        """True if it says less than it has answered to this target. One that was found to be older
        is asked for nothing, so that it stays what it is: only where nothing but its promise told
        it does that have to be kept in mind."""
        promise = link.promise
        assert promise is not None
        is_less = (
            link.welcomed < link.has_promised
            or promise.order < link.answered
            or promise.accepted.rank < link.accepted
        )
        has_answered = link.answered > NO_ORDER or link.accepted > (NO_BALLOT, 0)
        return is_less or (link.is_older and not has_answered)

    def _newcomer(self, link: Link) -> None:
        """It is not a member: remember what it may lack."""
        promise = link.promise
        assert promise is not None
        link.kept = promise.marks | promise.doubt
        # Whatever it has not flushed is marked on it.
        link.copied.add_regions(promise.marks)
        if link.is_older:
            link.missed.add_regions(self._links.regions.every())
            link.is_older = False
        link.must_reopen = link.must_reopen or promise.suspect
        link.doubt.add_regions(promise.marks if promise.suspect else promise.doubt)
        link.missed.update(link.doubt)
        link.missed.add_regions(promise.marks)
