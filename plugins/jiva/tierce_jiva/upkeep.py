"""What keeps the members' bytes marked, equal and durable: `Marks`, `Cleaning`, `Repair` and
`Doubts`, and what one of them means to the others."""

from __future__ import annotations

from collections.abc import Callable

from tierce import Request
from tierce_jiva.cleaning import Cleaning
from tierce_jiva.doubts import Doubts
from tierce_jiva.extent_copy import Trouble
from tierce_jiva.host import Standing, State
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.marks import Marks
from tierce_jiva.news import News
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.regions import Extents
from tierce_jiva.repair import Members, Repair
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
        news: Tells operators.
        agenda: Where it says what is to be done.
        refresh: Called when it has changed whom to read.
        doubted: Called with the reason when what replicas are copied from is in doubt.
        suspect: Called with links that are at fault, and why.
        blame: Called with what kept a copy from being made.
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
        news: News,
        agenda: Agenda,
        *,
        refresh: Callable[[], None],
        doubted: Callable[[str], None],
        suspect: Callable[[list[Link], str], None],
        blame: Callable[[Trouble], None],
    ) -> None:
        self._standing = standing
        self._links = links
        self._quorum = quorum
        self._writes = writes
        self._news = news
        self._agenda = agenda
        self._refresh = refresh
        self._doubted = doubted
        self._suspect = suspect
        self._majority = len(options.replicas) // 2 + 1
        self.marks = Marks(links, agenda)
        self.cleaning = Cleaning(self.marks, unflushed, options.clean_after_s)
        self.repair = Repair(
            links,
            locked,
            unequal,
            unflushed,
            window=options.rebuild_window,
            members=self._members,
            may_write=self.may_write,
            changed=self._repaired,
            failed=blame,
            unreadable=self._unreadable,
        )
        self.doubts = Doubts(
            links,
            unflushed,
            emit=news.emit,
            released=self._released,
            failed_again=self._failed_again,
            changed=self._came_to_doubt,
        )
        #: The members that are all in doubt, and what follows from that was seen to.
        self._all_in_doubt: frozenset[str] = frozenset()

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

    def may_write(self, offset: int, length: int) -> bool:
        """True if these bytes are marked everywhere; if not, that is seen to."""
        regions = self._links.regions.covering(offset, length)
        if self.marks.writable.issuperset(regions):
            return True
        self.marks.want(regions)
        return False

    def read_failed(self, link: Link, reason: str, requests: list[Request]) -> None:
        """A replica could not be read: what others hold is written to it again, which cures a bad
        sector, or shows that its disk is past it."""
        self._news.say_once("jiva.replica.read-failed", f"{link.name}: {reason}", severity="error")
        members = self._required()
        if link in members and any(other.is_sound and other is not link for other in members):
            extents = Extents(self._links.regions)
            for request in requests:
                extents.add_bytes(request.offset, request.length)
            self.doubts.put(link, extents)
        else:
            self._suspect([link], reason)

    def sync_failed(self, link: Link) -> None:
        """A replica could not flush."""
        if link.name in self._quorum.required():
            self.doubts.sync_failed(link)

    def clean(self, done: Callable[[], None]) -> None:
        """Take the marks away; everything written is flushed on every member. `done` is called
        when all have answered, or are lost."""
        self.marks.clear(self.marks.common - self._busy(), done)

    @property
    def can_be_cleaned(self) -> bool:
        """True if marks are to be taken away before the volume is clean, and can be."""
        return (bool(self.marks.common) or self.marks.is_pending) and not self.doubts

    # -- inside ------------------------------------------------------------------------------------

    def _required(self) -> list[Link]:
        names = self._quorum.required()
        return [link for link in self._links if link.name in names]

    def _members(self) -> Members | None:
        if self._standing.state is not State.SERVING:
            return None
        if len(self._links.ready()) < self._majority:
            return None
        required, names = self._required(), self._quorum.readable()
        return Members(tuple(required), tuple(link for link in required if link.name in names))

    def _came_to_doubt(self) -> None:
        """A member is in doubt, in more than it was."""
        self._all_in_doubt = frozenset()
        self._refresh()

    def check_doubts(self) -> None:
        """Look whether all members that may be read are in doubt: then they may differ, and so may
        one that catches up from what they were made equal to before."""
        readable, required = self._quorum.readable(), self._quorum.required()
        members = [link for link in self._links if link.name in readable and not link.is_older]
        if any(link.is_sound for link in members):
            members = []
        names = frozenset(link.name for link in members)
        if names == self._all_in_doubt:
            return
        self._all_in_doubt = names
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
        self._doubted("its members came to be in doubt")

    def _unreadable(self, link: Link, extent: int) -> None:
        extents = Extents(self._links.regions)
        extents.add(extent)
        self.doubts.put(link, extents)

    def _failed_again(self, link: Link) -> None:
        """It could not flush what was written to it again: go on with those that are sound."""
        if any(other.is_sound and other.is_ready for other in self._required()):
            self._suspect([link], "its disk fails every flush")

    def _released(self, link: Link) -> None:
        self._writes.send_flushes(link)
        self._refresh()
        self._tidy()

    def _repaired(self) -> None:
        self._agenda.may_admit = True
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
