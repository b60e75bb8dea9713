"""Who is in the set: opening, voting out, catching up, marking dirty and clean.

The steward decides; `WritePath` and `ReadPath` carry the I/O and are told whom to use. See
`replicator.py` for the whole and docs/explanation/replication.md for the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership
from tierce_jiva.handshake import Handshake
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.lateness import find_hung, find_late, find_lost
from tierce_jiva.links import Link, Links, LinkState, describe
from tierce_jiva.marks import Marks
from tierce_jiva.news import News
from tierce_jiva.opening import Waiting, choose
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.read_path import ReadPath
from tierce_jiva.readmission import Readmission
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.write_path import WritePath


class Steward:
    """Keeps the membership.

    Args:
        volume: The volume.
        options: What the operator set.
        host: The surroundings.
        links: The replicas.
        writes: The writes under way.
        reads: The reads under way.
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
        locked: Unsettled,
        *,
        changed: Callable[[], None],
        hang_up: Callable[[Link, str], None],
    ) -> None:
        self.state = State.OPENING
        #: A majority of the replicas is connected and has promised.
        self.has_majority = False
        #: Every required replica is marked.
        self.can_write = False
        self._volume = volume
        self._options = options
        self._host = host
        self._links = links
        self._writes = writes
        self._reads = reads
        self._locked = locked
        self._changed = changed
        self._hang_up = hang_up
        self._majority = len(volume.members) // 2 + 1
        self._majority_at: float | None = None
        #: The highest ballot number that a replica has told of before ours was chosen.
        self._highest = 0
        self._clean_at: float | None = None
        self._news = News(volume, host)
        self._quorum = Quorum(links, self._in_force)
        self._marks = Marks(links, self._refresh)
        self._readmission = Readmission(
            links,
            self._quorum,
            self._marks,
            locked,
            size_bytes=volume.size_bytes,
            window=options.rebuild_window,
            source=self.source,
            refresh=self._refresh,
            changed=changed,
            emit=self._news.emit,
        )
        self._handshake = Handshake(
            links,
            volume.uuid,
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
        self._marks.forget(link.name)
        self._links.lose(link, reason)
        link.fault = ""
        if self.state is State.ELECTING:
            self.state = State.OPENING
            # It may come back without its memory: then it is not the one to serve from.
            self._quorum.withdraw()
        self._refresh()

    def _greeted(self, link: Link, promised: Ballot) -> None:
        links = self._links
        if links.ballot != NO_BALLOT:
            self._handshake.prepare(link)
            return
        link.trouble = "greeted"
        self._highest = max(promised.number, self._highest)
        greeted = [other for other in links if other.state is LinkState.GREETED]
        if len(greeted) >= self._majority:
            number = max(self._highest + 1, self._host.wall_ms())
            links.ballot = Ballot(number, self._volume.target)
            for other in greeted:
                self._handshake.prepare(other)

    def _refused(self, link: Link, why: str, promised: Ballot) -> None:
        if why != "ballot" or promised <= self._links.ballot:
            self._hang_up(link, f"refused: {why}")
        elif self.state in {State.OPENING, State.ELECTING}:
            # An opener that came before us; only a fresh opening with a higher number outbids it.
            self._host.restart(f"{link.name} has promised a higher ballot, {promised.number}")
        else:
            self.state = State.ENDED
            reason = f"{link.name} has promised ballot {promised.number} to another target"
            self._news.emit("jiva.target.fenced", f"fenced: {reason}", severity="error")
            self._host.fenced(reason)

    def _promised(self, link: Link) -> None:
        promise = link.promise
        assert promise is not None
        known = set(promise.accepted.members)
        if known != set(self._volume.members):
            self._hang_up(link, f"it knows the replicas {', '.join(sorted(known))} instead")
            return
        link.trouble = ""
        if promise.marked:
            self._marks.add(link.name)
        if self.state is State.SERVING and link.name in self._quorum.required():
            if promise.counts:
                self._writes.resend(link)
            if not promise.counts or promise.suspect:
                link.fault = "its machine lost power, or its disk failed to flush"
        self._refresh()
        self._quorum.advance()
        self.advance()

    # -- opening -----------------------------------------------------------------------------------

    def advance(self) -> None:
        """Do what can be done now: called on every tick and when a replica has become ready."""
        self._hang_up_on_hung()
        if self.state is State.OPENING:
            self._try_open()
        elif self.state is State.SERVING:
            self._look_for_late()
            self._consider_voting()
            if self._news.watch_vote(self._links.now, self._options.dead_s, self._quorum.is_voting):
                self._show()
            if self.has_majority:
                self._readmission.consider()
            self._consider_cleaning()

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
        here = tuple(link.name for link in ready if link.boot_id == self._volume.boot_id)
        found = choose(self._volume.members, promises, preferred=here)
        if isinstance(found, Waiting):
            self._news.say("jiva.volume.waiting", f"can't open: {found}")
            self._show()
            return
        self._quorum.adopt(found.adopted)
        self.state = State.ELECTING
        if not found.is_clean and len(found.adopted.in_sync) > 1:
            kept = next(iter(found.in_sync))
            self._news.emit(
                "jiva.volume.unclean",
                f"was not closed: serving from {kept}, the others are compared with it",
                severity="warning",
            )
        self._quorum.propose(found.in_sync, found.let_in)

    def _in_force(self, membership: Membership) -> None:
        if self.state is State.ELECTING:
            self.state = State.SERVING
            self._news.forget()
            self._news.emit("jiva.volume.serving", f"serving from {', '.join(membership.in_sync)}")
        self._readmission.in_force(membership.in_sync)
        self._refresh()
        self._changed()

    # -- who must hold what ------------------------------------------------------------------------

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
            self.can_write = self._marks.cover(required)
            readable = self._quorum.readable()
            sources = [link for link in ready if link.name in readable and not link.fault]
            self._reads.use(sources, self._volume.boot_id)
            for link in links:
                if link not in targets:
                    self._writes.drop(link)
            if self.has_majority:
                self._changed()
        self._show()

    def mark(self) -> None:
        """A write has come and not every required replica is marked: see to it."""
        self._marks.set(self._writes.targets)

    @property
    def is_marked(self) -> bool:
        """True if a mark is to be taken away before the volume is clean."""
        return bool(self._marks)

    def restart_catch_up(self, reason: str) -> None:
        """What a replica is being compared with is in doubt: it begins anew later."""
        mirror = self._readmission.mirror
        if mirror is None or mirror.name not in self._quorum.required():
            self._readmission.stop(reason)

    def source(self) -> Link | None:
        """Return a member to copy from, or None if there is none now. One that failed a write
        which may yet succeed elsewhere lacks what it should hold."""
        return next((link for link in self._reads.sources if not link.has_failed), None)

    def others(self, source: Link) -> tuple[Link, ...] | None:
        """Return who else must hold what the source holds, or None if not all are there now."""
        links = [self._links[name] for name in self._quorum.required()]
        if not all(link.is_ready for link in links):
            return None
        return tuple(link for link in links if link is not source)

    # -- voting out --------------------------------------------------------------------------------

    def suspect(self, at_fault: list[Link], reason: str) -> None:
        """These failed what others did."""
        for link in at_fault:
            if link is self._readmission.mirror and link.name not in self._quorum.required():
                self._hang_up(link, reason)
            else:
                link.fault = link.fault or reason
        self._consider_voting()

    def _look_for_late(self) -> None:
        """Lateness counts only beside replicas that have answered: else nobody is at fault."""
        late, required = find_late(self._links, self._options), self._quorum.required()
        waiting = {name for name in required if self._links[name].is_ready}
        for name, reason in late.items():
            link = self._links[name]
            if not link.is_ready:
                continue
            if name not in required:
                self._hang_up(link, reason)
            elif not waiting <= set(late) and not link.fault:
                link.fault = reason

    def _consider_voting(self) -> None:
        latest = self._quorum.latest
        out = find_lost(self._links, latest.in_sync, self._options.reconnect_grace_s)
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

    def wrote(self) -> None:
        """A write was sent: the volume is not on its way to being clean."""
        self._clean_at = None

    def flushed(self, covers: int) -> None:
        """All required replicas have done a flush that began after write number `covers`."""
        if covers == self._writes.last_write and self._marks:
            self._clean_at = self._links.now + self._options.clean_after_s

    @property
    def is_whole(self) -> bool:
        """True if the set is settled, all of it is here, and nobody is catching up."""
        return (
            self.state is State.SERVING
            and not self._quorum.is_voting
            and not self._readmission
            and self.has_majority
            and all(self._links[name].is_ready for name in self._quorum.latest.in_sync)
        )

    def _consider_cleaning(self) -> None:
        if self._clean_at is None or self._links.now < self._clean_at:
            return
        self._clean_at = None
        if self.is_whole and self._writes.is_idle:
            self.clean(lambda: None)

    def clean(self, done: Callable[[], None]) -> None:
        """Take the marks away; everything written is flushed on every member. `done` is called
        when all have answered, or are lost."""
        links = [self._links[name] for name in self._quorum.latest.in_sync]
        self._marks.clear(links, done)
        self._refresh()

    # -- telling -----------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """True while time matters to the steward."""
        return (
            self.state is not State.SERVING
            or self._clean_at is not None
            or bool(self._readmission)
            or self._quorum.is_voting
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
