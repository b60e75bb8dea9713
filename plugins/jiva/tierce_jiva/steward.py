"""Who is in the set: opening, voting out, catching up.

The steward decides; `WritePath` and `ReadPath` carry the I/O and are told whom to use. See
`replicator.py` for the whole and docs/explanation/replication.md for the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership
from tierce_jiva.cleaning import Cleaning
from tierce_jiva.doubts import Doubts
from tierce_jiva.extent_copy import Trouble
from tierce_jiva.handshake import Handshake
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.lateness import choose_late, find_hung, find_late, find_lost
from tierce_jiva.links import Batch, Link, Links, LinkState, describe
from tierce_jiva.marks import Marks
from tierce_jiva.news import News
from tierce_jiva.opening import OLDER, Opening, Waiting, choose
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.read_path import ReadPath
from tierce_jiva.readmission import Readmission
from tierce_jiva.regions import Extents
from tierce_jiva.repair import Members, Repair
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.write_path import WritePath

#: Between two bids of one opener for a higher ballot.
REBID_S = 0.5
#: A replica that has promised a higher ballot to another target is let in by opening anew: after
#: so long while nothing is being written, and after so long whatever is.
REOPEN_S = 10.0
REOPEN_S_MAX = 60.0


class Steward:
    """Keeps the membership.

    Args:
        volume: The volume.
        options: What the operator set.
        host: The surroundings.
        links: The replicas.
        writes: The writes under way.
        reads: The reads under way.
        unflushed: The account of what is not flushed.
        locked: Extents that writes must not enter.
        changed: Called when what was parked may be admitted now.
        hang_up: Closes a link; it is connected anew.
    """

    def __init__(
        self,
        volume: Volume,
        options: JivaOptions,
        host: Host,
        links: Links,
        writes: WritePath,
        reads: ReadPath,
        unflushed: Unflushed,
        locked: Unsettled,
        *,
        changed: Callable[[], None],
        hang_up: Callable[[Link, str], None],
    ) -> None:
        self.state = State.OPENING
        #: A majority of the replicas is connected and has promised.
        self.has_majority = False
        self._volume = volume
        self._options = options
        self._host = host
        self._links = links
        self._writes = writes
        self._reads = reads
        self._unflushed = unflushed
        self._changed = changed
        self._hang_up = hang_up
        self._majority = len(volume.members) // 2 + 1
        self._majority_at: float | None = None
        #: The highest ballot number that a replica has told of.
        self._highest = 0
        self._rebid_at: float | None = None
        self._outbid_since: float | None = None
        self._opening: Opening | None = None
        self._members_before: set[str] = set()
        self._news = News(volume, host)
        self._quorum = Quorum(links, self._in_force)
        self.marks = Marks(links, changed)
        self.cleaning = Cleaning(self.marks, unflushed, options.clean_after_s)
        self.repair = Repair(
            links,
            locked,
            unflushed,
            window=options.rebuild_window,
            members=self._members,
            may_write=self.may_write,
            changed=self._repaired,
            failed=self.blame,
        )
        self._doubts = Doubts(
            links,
            unflushed,
            emit=self._news.emit,
            released=self._released,
            changed=self._refresh,
        )
        self._readmission = Readmission(
            links,
            self._quorum,
            self.marks,
            unflushed,
            locked,
            self.repair.unequal,
            window=options.rebuild_window,
            source=self._source,
            suspect=self.blame,
            refresh=self._refresh,
            changed=changed,
            emit=self._news.emit,
        )
        self._handshake = Handshake(
            links,
            volume.uuid,
            volume.target,
            greeted=self._greeted,
            promised=self._promised,
            refused=self._refused,
        )

    # -- links -------------------------------------------------------------------------------------

    def connected(self, link: Link) -> None:
        """The shell has connected to a replica."""
        self._handshake.greet(link)

    def refusal(self, link: Link, message: Mapping[str, Any]) -> None:
        """A replica has refused something."""
        self._handshake.refusal(link, message)

    def lost(self, link: Link, reason: str) -> None:
        """The connection to a replica was lost."""
        self._readmission.lost(link, reason)
        self._reads.lost(link)
        self._links.lose(link, reason)
        self._doubts.lost(link)
        self.marks.lost(link)
        link.fault = ""
        if self.state is State.ELECTING:
            self.state = State.OPENING
            # It may come back without its memory: then it is not the one to serve from.
            self._quorum.withdraw()
        self._refresh()

    def _greeted(self, link: Link, promised: Ballot) -> None:
        links = self._links
        self._highest = max(promised.number, self._highest)
        if links.ballot == NO_BALLOT:
            link.trouble = "greeted"
            greeted = [other for other in links if other.state is LinkState.GREETED]
            if len(greeted) >= self._majority:
                self._bid()
        elif promised > links.ballot:
            self._outbid(link, promised)
        else:
            link.promised_elsewhere = False
            self._handshake.prepare(link)

    def _bid(self) -> None:
        """Take a ballot above all that were told of, and ask for it."""
        number = max(self._highest + 1, self._host.wall_ms())
        self._links.ballot = Ballot(number, self._volume.target)
        self._rebid_at = None
        for link in self._links:
            if link.state not in {LinkState.DOWN, LinkState.GREETING}:
                link.promised_elsewhere = False
                self._handshake.prepare(link)

    def _refused(self, link: Link, why: str, promised: Ballot) -> None:
        if why != "ballot" or promised <= self._links.ballot:
            self._hang_up(link, f"refused: {why}")
            return
        self._highest = max(promised.number, self._highest)
        self._outbid(link, promised)

    def _outbid(self, link: Link, promised: Ballot) -> None:
        """It has promised a higher ballot. While opening, bid again; while serving, it has failed,
        and only losing a majority that way ends this target."""
        if self.state in {State.OPENING, State.ELECTING}:
            link.trouble = f"has promised a higher ballot, {promised.number}"
            if self._rebid_at is None:
                # Two openers must not outbid each other in step.
                self._rebid_at = self._links.now + REBID_S * (1 + self._volume.target % 256 / 256)
            return
        reason = f"has promised ballot {promised.number} to another target"
        link.promised_elsewhere = True
        if link.is_ready:
            self._hang_up(link, reason)
        link.trouble = f"{reason}; it is let in when the volume is opened anew"
        gone = [other for other in self._links if other.promised_elsewhere]
        if len(self._volume.members) - len(gone) >= self._majority:
            self._news.emit("jiva.replica.outbid", f"{link.name} {reason}", "warning")
            return
        self.state = State.ENDED
        names = ", ".join(other.name for other in gone)
        reason = f"{names} have promised higher ballots to another target"
        self._news.emit("jiva.target.fenced", f"fenced: {reason}", severity="error")
        self._host.fenced(reason)

    def _consider_reopening(self) -> None:
        """Only an opening outbids a promise to another target: open anew for those that gave one,
        when that disturbs nobody, or at last anyway."""
        now, gone = self._links.now, [link for link in self._links if link.promised_elsewhere]
        if not gone:
            self._outbid_since = None
        elif self._outbid_since is None:
            self._outbid_since = now
        elif now - self._outbid_since > (REOPEN_S if self._writes.is_idle else REOPEN_S_MAX):
            names = ", ".join(link.name for link in gone)
            self._host.restart(f"to let in {names}, promised to a target that is gone")

    def _promised(self, link: Link) -> None:
        promise = link.promise
        assert promise is not None
        known = set(promise.accepted.members)
        if known != set(self._volume.members):
            self._hang_up(link, f"it knows the replicas {', '.join(sorted(known))} instead")
            return
        link.trouble = ""
        link.heard_at = self._links.now
        if self.state is State.SERVING:
            self._welcome_back(link)
        self._refresh()
        self._quorum.advance()
        self.advance()

    def _welcome_back(self, link: Link) -> None:
        """It is connected again while this target serves: what may it have forgotten?"""
        promise = link.promise
        assert promise is not None
        is_restarted, link.is_restarted = link.is_restarted, False
        is_older = promise.copied or self._is_older(link)
        if link.name not in self._quorum.required():
            self._newcomer(link, is_older=is_older)
        elif is_older:
            link.fault = OLDER
            if len(self._quorum.latest.in_sync) == 1:
                # There is nobody to go on without it: it takes no part until it is what it was.
                self._news.say("jiva.volume.waiting", f"stopped: {link.name}: {OLDER}")
                self._hang_up(link, OLDER)
                return
        elif not promise.counts:
            link.fault = "its machine has lost power"
        elif link.has_failed:
            link.fault = "it failed an operation that it was sent"
        else:
            if promise.suspect and not link.must_renew:
                self._doubts.sync_failed(link)
            if is_restarted:
                self._doubts.restarted(link)
            self._writes.resend(link)
        link.has_promised = self._links.ballot

    def _is_older(self, link: Link) -> bool:
        """True if it says less than it has answered to this target."""
        assert link.promise is not None
        return link.welcomed < link.has_promised or link.promise.order < link.answered

    def _newcomer(self, link: Link, *, is_older: bool) -> None:
        """It is not a member: remember what it may lack."""
        promise = link.promise
        assert promise is not None
        link.kept = promise.marks | promise.doubt
        if is_older:
            link.missed.add_regions(self._links.regions.every())
        link.must_renew = promise.suspect
        link.doubt.add_regions(promise.marks if promise.suspect else promise.doubt)
        link.doubt.update(link.copied)
        link.missed.update(link.doubt)
        link.missed.add_regions(promise.marks)

    # -- opening -----------------------------------------------------------------------------------

    def advance(self) -> None:
        """Do what can be done now: called on every tick and when a replica has become ready."""
        self._hang_up_on_hung()
        if self.state in {State.OPENING, State.ELECTING} and self._rebid_at is not None:
            if self._links.now >= self._rebid_at:
                self._quorum.withdraw()
                self.state = State.OPENING
                self._bid()
        elif self.state is State.OPENING:
            self._try_open()
        elif self.state is State.SERVING:
            self._look_for_late()
            self._consider_voting()
            if self._news.watch_vote(self._links.now, self._options.dead_s, self._quorum.is_voting):
                self._show()
            if self.has_majority:
                self._readmission.consider()
            self.repair.advance()
            self._doubts.advance(self._required())
            self._consider_cleaning()
            self._consider_reopening()

    def _hang_up_on_hung(self) -> None:
        """One that does not finish its handshake, or leaves the opening's vote unanswered, must
        not keep the others waiting. Of those that serve, `_look_for_late` judges."""
        is_opening = self.state in {State.OPENING, State.ELECTING}
        for link in find_hung(self._links, self._options.dead_s):
            if is_opening or not link.is_ready:
                self._hang_up(link, f"has not answered for {self._options.dead_s:g} s")

    def _try_open(self) -> None:
        ready = self._links.ready()
        now = self._links.now
        if len(ready) < self._majority:
            self._majority_at = None
        elif self._majority_at is None:
            self._majority_at = now
        patience_s = self._options.opening_patience_s
        is_patient = self._majority_at is not None and now >= self._majority_at + patience_s
        if len(ready) < len(self._volume.members) and not is_patient:
            return
        promises = {link.name: link.promise for link in ready if link.promise is not None}
        before = {link.name: link.promised_before for link in ready}
        volume = self._volume
        found = choose(volume.members, promises, before, own=volume.target, forced=volume.forced)
        if isinstance(found, Waiting):
            self._news.say("jiva.volume.waiting", f"can't open: {found}")
            self._show()
            return
        self._opening = found
        self._quorum.adopt(found.adopted)
        self.state = State.ELECTING
        self._quorum.propose(found.in_sync, found.let_in)

    def _in_force(self, membership: Membership) -> None:
        members = set(membership.in_sync)
        if self.state is State.ELECTING:
            self.state = State.SERVING
            assert self._opening is not None
            self._news.tell_opening(self._opening)
            self._begin(self._opening)
        for link in self._links:
            if link.name in members - self._members_before:
                link.fault = ""
            elif link.name in self._members_before - members:
                link.missed.clear()
                link.missed.add_regions(self.marks.common)
                link.missed.update(link.doubt)
                self._doubts.forget(link)
        self._members_before = members
        self._readmission.in_force(membership.in_sync)
        self._refresh()
        self._changed()

    def _begin(self, opening: Opening) -> None:
        """Begin to serve: who holds what, and what must be made equal."""
        self._unflushed.inherit(opening.marks)
        self.marks.begin(opening.marks)
        unfit = {self._links[name]: regions for name, regions in opening.unfit.items()}
        self.repair.begin(opening.unequal, unfit, self._links.mask(opening.better))
        for link in self._links.ready():
            promise = link.promise
            assert promise is not None
            link.is_restarted = False
            link.has_promised = self._links.ballot
            if link.name in opening.in_sync:
                link.missed.clear()
                in_doubt = promise.marks if promise.suspect else promise.doubt
                extents = Extents(self._links.regions, in_doubt)
                self._doubts.put(link, extents, must_renew=promise.suspect)
                continue
            if link.name in opening.near:
                link.missed.clear()
                link.missed.add_regions(opening.marks)
            self._newcomer(link, is_older=link.name in opening.strange)

    # -- who must hold what ------------------------------------------------------------------------

    def _required(self) -> list[Link]:
        names = self._quorum.required()
        return [link for link in self._links if link.name in names]

    def _refresh(self) -> None:
        """Tell the read and write paths whom to use; drop whom nothing waits for any more."""
        links = self._links
        ready = links.ready()
        self.has_majority = len(ready) >= self._majority
        if self.state in {State.SERVING, State.CLOSING}:
            required = set(self._quorum.required())
            mirror = self._readmission.mirror
            if mirror is not None and self._readmission.is_finishing:
                required.add(mirror.name)
            targets = [link for link in links if link.name in required or link is mirror]
            self._writes.targets = tuple(targets)
            self._writes.required = links.mask(required)
            self.marks.use([link for link in targets if link.name in required], targets)
            self._reads.use(self._readable(), self._volume.boot_id)
            for link in links:
                if link not in targets:
                    self._writes.drop(link)
            if self.has_majority:
                self._changed()
        self._show()

    def _readable(self) -> list[Link]:
        """Return whom to read: members that are not in doubt, or all where all are; then what is
        in doubt must be made equal before it is read."""
        names = self._quorum.readable()
        members = [self._links[name] for name in self._volume.members if name in names]
        if all(link.is_in_doubt for link in members):
            if len(members) > 1:
                for link in members:
                    self.repair.add_all(link.doubt)
            sound = members
        else:
            sound = [link for link in members if not link.is_in_doubt]
        return [link for link in sound if link.is_ready and not link.fault]

    def _members(self) -> Members | None:
        if self.state is not State.SERVING or not self.has_majority:
            return None
        required = self._required()
        names = self._quorum.readable()
        return Members(tuple(required), tuple(link for link in required if link.name in names))

    def _source(self) -> Link | None:
        """Return a member to copy from, or None if there is none now. One that failed a write
        which may yet succeed elsewhere lacks what it should hold."""
        return next((link for link in self._reads.sources if not link.has_failed), None)

    def may_write(self, offset: int, length: int) -> bool:
        """True if these bytes are marked everywhere; if not, that is seen to."""
        regions = self._links.regions.covering(offset, length)
        if self.marks.writable.issuperset(regions):
            return True
        self.marks.want(regions)
        return False

    def restart_catch_up(self, reason: str) -> None:
        """What replicas are being copied from is in doubt: begin anew, later."""
        self.repair.abandon()
        mirror = self._readmission.mirror
        if mirror is None or mirror.name not in self._quorum.required():
            self._readmission.stop(reason)

    def sync_failed(self, link: Link) -> None:
        """It could not flush."""
        self._news.emit("jiva.replica.sync-failed", f"{link.name} could not flush", "error")
        if link.name in self._quorum.required():
            self._doubts.sync_failed(link)

    def _released(self, link: Link) -> None:
        self._writes.send_flushes(link)
        self._refresh()
        self._tidy()

    def _repaired(self) -> None:
        self._changed()
        if not self.repair.unequal:
            self._tidy()
        self._doubts.advance(self._required())

    def _tidy(self) -> None:
        """Everything is as it should be again: flush, so that the marks may go."""
        if not self.repair and not self._doubts and self.marks.common:
            self._writes.flush([], None)

    # -- voting out --------------------------------------------------------------------------------

    def suspect(self, at_fault: list[Link], reason: str) -> None:
        """These failed what others did."""
        for link in at_fault:
            if link is self._readmission.mirror and link.name not in self._quorum.required():
                self._hang_up(link, reason)
            else:
                link.fault = link.fault or reason
        self._consider_voting()

    def blame(self, trouble: Trouble) -> None:
        """A copy of an extent failed at a replica."""
        self._news.say_once("jiva.replica.failed", trouble.reason, severity="error")
        self.suspect([trouble.link], trouble.reason)

    def read_failed(self, link: Link, reason: str) -> None:
        """A replica could not be read; another one may be."""
        self._news.say_once("jiva.replica.read-failed", f"{link.name}: {reason}", severity="error")
        self.suspect([link], reason)

    def _look_for_late(self) -> None:
        """Lateness counts only beside replicas that have answered: else nobody is at fault."""
        required = self._quorum.required()
        for name, reason in find_late(self._links, self._options).items():
            if name not in required and self._links[name].is_ready:
                self._hang_up(self._links[name], reason)
        members = self._quorum.latest.in_sync
        for name, reason in choose_late(self._links, self._options, members, required).items():
            self._links[name].fault = reason
            self._readmission.was_late(self._links[name])

    def _consider_voting(self) -> None:
        latest = self._quorum.latest
        out = sorted(find_lost(self._links, latest.in_sync, self._options.reconnect_grace_s))
        stay = frozenset(latest.in_sync) - frozenset(out)
        if not out:
            return
        if not stay:
            self._nobody_stays(latest)
            return
        if not self.has_majority or not any(self._links[name].is_ready for name in stay):
            self._news.say(
                "jiva.volume.no-majority",
                f"stopped: {len(self._links.ready())} of {len(self._volume.members)} replicas "
                f"answer, {self._majority} must",
            )
            self._show()
            return
        for name in out:
            reason = self._links[name].fault or self._links[name].trouble
            self._news.emit("jiva.replica.voted-out", f"{name} is voted out: {reason}", "warning")
            self._readmission.lost(self._links[name], "voted out")
        self._quorum.propose(stay)
        self._refresh()
        for name in out:
            if self._links[name].is_ready:
                self._hang_up(self._links[name], self._links[name].fault)

    def _nobody_stays(self, latest: Membership) -> None:
        """The last copies are at fault. If they are all here and have lost their memory, only a
        fresh opening can weigh what is left; else wait for the one that has not."""
        links = [self._links[name] for name in latest.in_sync]
        forgot = [link for link in links if link.promise is not None and not link.promise.counts]
        if all(link.is_ready for link in links) and len(forgot) == len(links):
            self._host.restart("every in-sync replica has lost its memory")
        for link in links:
            if link.is_ready and link.promise is not None and link.promise.counts:
                link.fault = ""

    # -- clean and dirty ---------------------------------------------------------------------------

    def flushed(self, flush: Batch) -> None:
        """All required replicas have done a flush."""
        self.cleaning.flushed(flush.epoch, self._links.now)

    @property
    def is_settled(self) -> bool:
        """True if the set is settled, and all of it is here."""
        return (
            self.state is State.SERVING
            and not self._quorum.is_voting
            and self.has_majority
            and all(self._links[name].is_ready for name in self._quorum.latest.in_sync)
        )

    @property
    def is_whole(self) -> bool:
        """True if besides nobody is catching up, and nothing has to be written again."""
        return self.is_settled and not self._readmission and not self.repair and not self._doubts

    @property
    def can_be_cleaned(self) -> bool:
        """True if marks are to be taken away before the volume is clean, and can be."""
        is_marked = bool(self.marks.common) or self.marks.is_pending
        return self.is_settled and is_marked and not self._doubts

    def clean(self, done: Callable[[], None]) -> None:
        """Take the marks away; everything written is flushed on every member. `done` is called
        when all have answered, or are lost."""
        self.marks.clear(self.marks.common - self._busy(), done)

    def _busy(self) -> frozenset[int]:
        """Return the regions that are not as they should be on every member."""
        in_doubt = [link.doubt.regions() for link in self._required()]
        return self.repair.unequal.regions().union(*in_doubt)

    def _consider_cleaning(self) -> None:
        regions = self.cleaning.take(self._links.now, self._busy())
        if regions and self.is_settled and not self._doubts:
            self.marks.clear(regions)

    # -- telling -----------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """True while time matters to the steward."""
        return (
            self.state is not State.SERVING
            or bool(self.cleaning or self._readmission or self.repair or self._doubts)
            or self._quorum.is_voting
            or any(link.promised_elsewhere for link in self._links)
            or any(
                link.is_ready and (link.fault or link.name not in self._quorum.latest.in_sync)
                for link in self._links
            )
            or any(not self._links[name].is_ready for name in self._quorum.latest.in_sync)
        )

    def _show(self) -> None:
        replicas = []
        for link in self._links:
            is_in = self._quorum.membership is not None and link.name in self._quorum.latest.in_sync
            replicas.append(describe(link, is_in=is_in, progress=self._readmission.progress(link)))
        self._news.show(self.state, replicas, has_majority=self.has_majority)
