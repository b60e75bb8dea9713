"""Extents that are not as they should be on the members: unequal between them, or in doubt on one.

*Unequal*: a write that was applied here and not there has ended without being acknowledged, or the
last target may have left one so. Nobody reads or writes such an extent until it is equal; who
wants to hurries it.

*In doubt* (`Link.doubt`): a replica's process has restarted, or a sync of its failed, and what its
cache holds may not be what its disk will. The newest content is written to it again, from a member
that is not in doubt, while there is one. It is read from others meanwhile. Where all are in doubt
they may differ too, and the extents count as unequal.

One extent is dealt with once for all of that. A copy is a write: its region stays marked until a
flush that begins after it.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from tierce_jiva.ballot import FIRST_START
from tierce_jiva.doubts import Doubts
from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.findings import Copy, CopyFailed, Trouble
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.marks import Marks
from tierce_jiva.regions import EXTENT_SHIFT, Extents
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed

_RETRY_S = 1.0
#: So often the one that is not in doubt, or the only one, is tried to be read, before it is given
#: up.
_READ_COUNT_MAX = 10


@attrs.frozen
class Members:
    """Who is to hold what all hold now.

    Attributes:
        all: Every replica that must.
        sources: Those that may be copied from where nothing else speaks against it.
    """

    all: tuple[Link, ...]
    sources: tuple[Link, ...]


@attrs.define
class _Failure:
    """What became of an extent that could not be copied.

    Attributes:
        not_before: When it may be tried again, in seconds.
        unread: Bits of the links that could not be read.
        tried: Bits of those and of the links that could be read, and not copied from.
        unread_count: How often it could not be read.
    """

    not_before: float = 0.0
    unread: int = 0
    tried: int = 0
    unread_count: int = 0


class Repair:
    """Makes extents what they should be.

    Args:
        links: The replicas.
        locked: Extents that writes must not enter, shared with who admits them.
        unequal: Extents that nobody may read or write, shared with who admits reads and writes.
        unflushed: Where copies are noted as writes.
        marks: The marks: nothing is written where they are not.
        doubts: Which members are in doubt: one that could not be copied from for long is.
        agenda: Where it says what has come of it.
        window: How many extents are under way at once.
    """

    def __init__(
        self,
        links: Links,
        locked: InFlight,
        unequal: Extents,
        unflushed: Unflushed,
        marks: Marks,
        doubts: Doubts,
        agenda: Agenda,
        *,
        window: int,
    ) -> None:
        self._links = links
        self._locked = locked
        self._unflushed = unflushed
        self._window = window
        self._marks = marks
        self._doubts = doubts
        self._agenda = agenda
        #: Who is to be equal, or None where that is being decided.
        self.members: Members | None = None
        self.unequal = unequal
        #: Those that somebody waits for.
        self._hurried: dict[int, None] = {}
        #: Extent -> bits of links to copy it from, if that is possible.
        self._preferred: dict[int, int] = {}
        #: Links not to be copied from in these regions, as the opening found.
        self._unfit: dict[Link, frozenset[int]] = {}
        self._better = 0
        self._copies: dict[int, ExtentCopy] = {}
        self._failures: dict[int, _Failure] = {}

    def __bool__(self) -> bool:
        """True if anything is unequal, or under way."""
        return bool(self.unequal or self._copies)

    def begin(self, regions: Iterable[int], unfit: dict[Link, frozenset[int]], better: int) -> None:
        """Begin with what an opening has found.

        Args:
            regions: They may differ between the members.
            unfit: Regions in which a member must not be copied from.
            better: Bits of the members to copy from first.
        """
        self.unequal.add_regions(regions)
        self._unfit, self._better = unfit, better

    def add(self, offset: int, length: int, preferred: int = 0) -> None:
        """These bytes may differ between the members.

        Args:
            offset: First byte.
            length: Bytes.
            preferred: Bits of the links to copy from, if that is possible.
        """
        fresh = Extents(self._links.regions)
        fresh.add_bytes(offset, length)
        self._put(fresh)
        if preferred:
            self._preferred.update(dict.fromkeys(fresh, preferred))

    def add_all(self, extents: Extents) -> None:
        """These extents may differ between the members."""
        fresh = Extents(self._links.regions)
        for extent in extents:
            if extent not in self.unequal:
                fresh.add(extent)
        self._put(fresh)

    def _put(self, extents: Extents) -> None:
        if extents:
            self._links.unrest.note(extents)
        for extent in extents:
            self._restart(extent)
            self.unequal.add(extent)

    def hurry(self, offset: int, length: int) -> bool:
        """Somebody waits for these bytes. Return True if nobody did until now."""
        known = len(self._hurried)
        for extent in range(offset >> EXTENT_SHIFT, (offset + length - 1 >> EXTENT_SHIFT) + 1):
            if extent in self.unequal:
                self._hurried[extent] = None
        return len(self._hurried) > known

    def abandon(self) -> None:
        """Who may be copied from is in doubt: begin anew what is under way."""
        for extent in list(self._copies):
            self._restart(extent)

    def advance(self) -> None:
        """Begin what can be begun: called on every tick, and when something has changed."""
        members = self.members
        if members is None:
            return
        for extent in self._next(members):
            if len(self._copies) >= self._window:
                return
            self._try(extent, members)

    def _next(self, members: Members) -> list[int]:
        """Return extents to be dealt with, those that somebody waits for first; a few more than
        there is room for, since some can't be dealt with now."""
        count = len(self._copies) + 4 * self._window
        found = dict.fromkeys(list(self._hurried)[:count])
        for extents in (self.unequal, *(link.doubt for link in members.all)):
            found.update(dict.fromkeys(extents.first(count)))
        return [extent for extent in found if extent not in self._copies]

    def _try(self, extent: int, members: Members) -> None:
        failure = self._failures.get(extent) or _Failure()
        if self._links.now < failure.not_before:
            return
        offset, length = self._links.regions.bounds(extent)
        is_unequal = extent in self.unequal
        if is_unequal and not all(link.is_ready and not link.is_older for link in members.all):
            return
        source = self._source(extent, members, failure)
        if source is None:
            return
        targets = {
            link: extent in link.doubt
            for link in members.all
            if link.is_ready
            and not link.is_older
            and (extent in link.doubt or (is_unequal and link is not source))
        }
        if not targets:
            self._finish(extent, ())
            return
        if not self._marks.may_write(offset, length):
            return
        copy = ExtentCopy(
            self._links,
            source,
            targets,
            offset,
            length,
            unflushed=self._unflushed,
            agenda=self._agenda,
        )
        self._copies[extent] = copy
        self._locked.add(offset, length)
        copy.start()

    def _source(self, extent: int, members: Members, failure: _Failure) -> Link | None:
        """Return whom to copy from: not in doubt there, and in none at all if there is one."""
        region = self._links.regions.region_of(extent)
        fit = [link for link in members.sources if region not in self._unfit.get(link, ())]
        if not any(region not in self._unfit.get(link, ()) for link in members.all):
            fit = list(members.sources)  # Those that would have been better are out.
        preferred = self._preferred.get(extent, 0)
        able = [link for link in fit if link.is_ready and not link.has_failed and not link.fault]
        best = min(
            able,
            key=lambda link: (
                bool(link.bit & failure.unread),
                extent in link.doubt,
                bool(link.bit & failure.tried),
                # Who has lost power has lost more than who failed a sync: of that one the cache
                # may have dropped what its disk never had.
                not link.bit & self._better,
                extent in link.doubt and link.has_failed_sync,
                # Who has been intact for longer has kept more of what was acknowledged: one that
                # was started again may have forgotten a failed sync.
                link.intact_since if extent in link.doubt else FIRST_START,
                not link.bit & preferred,
                link.is_in_doubt,
            ),
            default=None,
        )
        if best is not None and extent in best.doubt:
            # Who is being voted out, and is known to hold everything, may stay in yet.
            leaving = (link for link in members.all if link not in members.sources)
            if any(extent not in link.doubt and link.is_sound for link in leaving):
                return None
            # Somebody who is not here now may have what this one is not known to have.
            others = (link for link in fit if link not in able)
            return None if any(extent not in link.doubt for link in others) else best
        return best

    def ended(self, copy: Copy, trouble: Trouble | None) -> bool:
        """A copy has ended; False if it is none of these."""
        found = self._copies.get(copy.extent)
        if found is None or found is not copy:
            return False
        self._unlock(copy.extent)
        if trouble is None:
            self._finish(copy.extent, found.targets)
        elif not trouble.is_lost:
            self._weigh(copy.extent, found, trouble)
        # Else it goes on when the link is there again, or is voted out.
        if trouble is None or not trouble.is_lost:
            self._agenda.must_repair = True
        return True

    def _weigh(self, extent: int, copy: ExtentCopy, trouble: Trouble) -> None:
        """Try from another source, or later. One that is not in doubt is so only after many reads
        have failed: then what others hold is the best that there is. What a lone replica can't
        read is left then: its reads are errors, and nothing else must wait for it."""
        members = self.members
        failure = self._failures.setdefault(extent, _Failure())
        failure.tried |= copy.source.bit
        if trouble.is_unread and trouble.link is copy.source:
            failure.unread_count += 1
            if failure.unread_count >= _READ_COUNT_MAX and extent not in copy.source.doubt:
                unreadable = Extents(self._links.regions)
                unreadable.add(extent)
                self._doubts.put(copy.source, unreadable)
            if extent in copy.source.doubt:
                failure.unread |= copy.source.bit
        is_alone = members is not None and len(members.all) == 1
        if is_alone and failure.unread_count >= _READ_COUNT_MAX:
            self._finish(extent, copy.targets)
        elif members is None or not self._has_another(extent, members, failure):
            self._failures[extent] = _Failure(
                self._links.now + _RETRY_S, unread_count=failure.unread_count
            )
        if not trouble.is_full:
            # Those whose disks are full are not to blame.
            self._agenda.findings.append(CopyFailed(trouble))

    def _has_another(self, extent: int, members: Members, failure: _Failure) -> bool:
        """True if it may be copied from one that was not tried. Another may lack what there is no
        room for, and so that is undone. But of those in doubt none may be what a sound one is
        overwritten from."""
        has_sound = any(extent not in link.doubt for link in members.all)
        return any(
            not link.bit & failure.tried and not (has_sound and extent in link.doubt)
            for link in members.sources
        )

    def _finish(self, extent: int, targets: Iterable[Link]) -> None:
        for link in targets:
            link.doubt.discard(extent)
        self.unequal.discard(extent)
        self._hurried.pop(extent, None)
        self._preferred.pop(extent, None)
        self._failures.pop(extent, None)
        if not self.unequal:
            self._unfit, self._better = {}, 0
        self._agenda.may_admit = True
        self._agenda.has_mended = True

    def _restart(self, extent: int) -> None:
        copy = self._copies.get(extent)
        if copy is not None:
            copy.abandon()
            self._unlock(extent)

    def _unlock(self, extent: int) -> None:
        del self._copies[extent]
        self._locked.remove(*self._links.regions.bounds(extent))
