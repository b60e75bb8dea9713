"""What keeps the members' bytes marked, equal and durable: `Marks`, `Cleaning`, `Repair` and
`Doubts`, and what one of them means to the others."""

from __future__ import annotations

from tierce_jiva.cleaning import Cleaning
from tierce_jiva.doubts import Doubts
from tierce_jiva.findings import AtFault, Doubted
from tierce_jiva.host import Standing, State
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.marks import Marks
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.regions import Extents
from tierce_jiva.repair import Members, Repair
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.write_path import WritePath


class Upkeep:
    """The members' bytes.

    Args:
        options: What the operator set.
        standing: Where the target stands.
        links: The replicas.
        quorum: The votes.
        writes: The writes under way.
        unflushed: The account of what is not flushed.
        locked: Extents that writes must not enter.
        unequal: Extents that may differ between the members.
        reporter: Tells operators.
        agenda: Where it says what is to be done.
    """

    def __init__(
        self,
        options: JivaOptions,
        standing: Standing,
        links: Links,
        quorum: Quorum,
        writes: WritePath,
        unflushed: Unflushed,
        locked: InFlight,
        unequal: Extents,
        reporter: StatusReporter,
        agenda: Agenda,
    ) -> None:
        self._standing = standing
        self._links = links
        self._quorum = quorum
        self._writes = writes
        self._unflushed = unflushed
        self._reporter = reporter
        self._agenda = agenda
        self.marks = Marks(links, agenda)
        self.cleaning = Cleaning(self.marks, unflushed, options.clean_after_s)
        self.doubts = Doubts(links, unflushed, reporter, agenda)
        self.repair = Repair(
            links,
            locked,
            unequal,
            unflushed,
            self.marks,
            self.doubts,
            agenda,
            window=options.rebuild_window,
        )
        #: The members that are all in doubt, and how often something had come to be so, when what
        #: follows from that was seen to.
        self._all_in_doubt: tuple[frozenset[str], int] = (frozenset(), 0)

    def advance(self, *, is_settled: bool) -> None:
        """Do what can be done now: called on every tick while the target serves.

        Args:
            is_settled: The set is settled, and all of it is here.
        """
        self.repair.advance()
        self.doubts.advance(self._required())
        if is_settled and not self.doubts:
            regions = self.cleaning.take(self._links.now, self._busy())
            if regions:
                self.marks.clear(regions)

    def __bool__(self) -> bool:
        """True while time matters to it."""
        return bool(self.cleaning) or not self.is_done

    @property
    def is_done(self) -> bool:
        """True if nothing has to be written again."""
        return not self.repair and not self.doubts

    # -- what happens ------------------------------------------------------------------------------

    def read_failed(self, link: Link, reason: str, unread: list[tuple[int, int]]) -> None:
        """A replica could not be read: what others hold is written to it again, which cures a bad
        sector, or shows that its disk is past it.

        Args:
            link: The replica.
            reason: Why not.
            unread: Offsets and lengths, in bytes.
        """
        self._reporter.say_once(
            "jiva.replica.read-failed", f"{link.name}: {reason}", severity="error"
        )
        members = self._required()
        if link in members and any(other.is_sound and other is not link for other in members):
            extents = Extents(self._links.regions)
            for offset, length in unread:
                extents.add_bytes(offset, length)
            self.doubts.put(link, extents)
        else:
            self._agenda.findings.append(AtFault([link], reason))

    def sync_failed(self, link: Link) -> None:
        """A replica could not flush."""
        if link.name in self._quorum.required():
            self.doubts.sync_failed(link)

    def clean(self, epoch: int) -> None:
        """Take the marks away at the end, but those of what a copy that was under way has written
        since.

        Args:
            epoch: What was written before that flush epoch is flushed on every member.
        """
        needed = self._busy() | self._unflushed.since(epoch).regions()
        self.marks.clear(self.marks.common - needed, is_last=True)

    @property
    def can_be_cleaned(self) -> bool:
        """True if marks are to be taken away before the volume is clean, and can be."""
        return (bool(self.marks.common) or self.marks.is_pending) and not self.doubts

    # -- inside ------------------------------------------------------------------------------------

    def _required(self) -> list[Link]:
        names = self._quorum.required()
        return [link for link in self._links if link.name in names]

    def use(self, *, has_majority: bool) -> None:
        """Look who is to hold what all hold, and whether they are in doubt."""
        if self._standing.state is not State.SERVING or not has_majority:
            self.repair.members = None
        else:
            required, names = self._required(), self._quorum.readable()
            sources = [link for link in required if link.name in names]
            self.repair.members = Members(tuple(required), tuple(sources))
        self._check_doubts()

    def _check_doubts(self) -> None:
        """Look whether all members that may be read are in doubt: then they may differ, and so may
        one that is rebuilt from what they were made equal to before."""
        readable, required = self._quorum.readable(), self._quorum.required()
        members = [link for link in self._links if link.name in readable and not link.is_older]
        if any(link.is_sound for link in members):
            members = []
        names = frozenset(link.name for link in members)
        all_in_doubt = (names, self.doubts.count)
        if all_in_doubt == self._all_in_doubt:
            return
        self._all_in_doubt = all_in_doubt
        if not names:
            return
        in_doubt = Extents(self._links.regions)
        for link in members:
            in_doubt.update(link.doubt)
        if len(members) > 1:
            self.repair.add_all(in_doubt)
        for link in self._links:
            if link.name not in required:
                link.missed.update(in_doubt)
        self._agenda.findings.append(Doubted("its members came to be in doubt"))

    def failed_again(self, link: Link) -> None:
        """It could not flush what was written to it again: go on with those that are sound."""
        if any(other.is_sound and other.is_ready for other in self._required()):
            self._agenda.findings.append(AtFault([link], "its disk fails every flush"))

    def released(self, link: Link) -> None:
        """It is not in doubt any more."""
        self._writes.send_flushes(link)
        self._agenda.must_refresh = True
        self._tidy()

    def mended(self) -> None:
        """An extent is as it should be again."""
        self._agenda.has_mended = False
        if not self.repair.unequal:
            self._tidy()
        self.doubts.advance(self._required())

    def _tidy(self) -> None:
        """Everything is as it should be again: flush, so that the marks may go."""
        if self.is_done and self.marks.common:
            self._writes.flush([], None)

    def _busy(self) -> frozenset[int]:
        """Return the regions that are not as they should be on every member."""
        in_doubt = [link.doubt.regions() for link in self._required()]
        return self.repair.unequal.regions().union(*in_doubt)
