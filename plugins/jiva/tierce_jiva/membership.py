"""Who is in the set: opening, voting out, rebuilding.

The controller decides; `WritePath` and `ReadPath` carry the I/O and are told whom to use. See
`replicator.py` for the whole and docs/explanation/replication.md for the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce_jiva import findings
from tierce_jiva.faults import Faults
from tierce_jiva.host import Host, Standing, State, Volume
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.opener import Opener
from tierce_jiva.opening import Opening
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.read_path import ReadPath
from tierce_jiva.rebuilding import Rebuilding
from tierce_jiva.regions import Extents
from tierce_jiva.returning import Returning
from tierce_jiva.status_reporter import StatusReporter, describe
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.upkeep import Upkeep
from tierce_jiva.write_path import WritePath


class MembershipController:
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
        unequal: Extents that may differ between the members.
        agenda: Where it says what is to be done.
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
        locked: InFlight,
        unequal: Extents,
        agenda: Agenda,
    ) -> None:
        self.standing = Standing()
        #: A majority of the replicas is connected and has promised.
        self.has_majority = False
        self._volume = volume
        self._options = options
        self._host = host
        self._links = links
        self._writes = writes
        self._reads = reads
        self._unflushed = unflushed
        self._agenda = agenda
        self._majority = len(volume.members) // 2 + 1
        self._members_before: set[str] = set()
        #: Everyone that had to hold what was acknowledged since then.
        self._required_before: set[str] = set()
        self._reporter = StatusReporter(volume, agenda)
        self._quorum = Quorum(links, agenda)
        self._build_mending(locked, unequal)
        self._build_judging()

    def _build_mending(self, locked: InFlight, unequal: Extents) -> None:
        """What marks, and makes equal and durable what may not be."""
        links, options, unflushed = self._links, self._options, self._unflushed
        self.upkeep = Upkeep(
            options,
            self.standing,
            links,
            self._quorum,
            self._writes,
            unflushed,
            locked,
            unequal,
            self._reporter,
            self._agenda,
        )
        self._returning = Returning(
            links, self._quorum, self.upkeep.doubts, self._writes, self._reporter, self._agenda
        )
        self._rebuilding = Rebuilding(
            links,
            self._quorum,
            self.upkeep.marks,
            unflushed,
            locked,
            unequal,
            self._reads,
            self._reporter,
            self._agenda,
            window=options.rebuild_window,
        )

    def _build_judging(self) -> None:
        """What opens, and votes."""
        volume, options, host, links = self._volume, self._options, self._host, self._links
        self._opener = Opener(
            volume,
            options,
            host,
            self._agenda,
            self.standing,
            links,
            self._quorum,
            self._reporter,
        )
        self.faults = Faults(
            volume,
            options,
            self._agenda,
            links,
            self._quorum,
            self._rebuilding,
            self._reporter,
        )

    @property
    def state(self) -> State:
        """Where the target stands."""
        return self.standing.state

    @state.setter
    def state(self, state: State) -> None:
        self.standing.state = state

    # -- links -------------------------------------------------------------------------------------

    def connected(self, link: Link) -> None:
        """The shell has connected to a replica."""
        self._opener.handshake.greet(link)

    def refusal(self, link: Link, message: Mapping[str, Any]) -> None:
        """A replica has refused something."""
        self._opener.handshake.refusal(link, message)

    def lost(self, link: Link, reason: str) -> None:
        """The connection to a replica was lost."""
        was_ready = link.is_ready
        self._rebuilding.lost(link, reason)
        self._reads.lost(link)
        self._links.lose(link, reason)
        self.upkeep.doubts.lost(link)
        self.upkeep.marks.lost(link)
        link.fault = ""
        if was_ready:
            # On one that had promised nothing nobody has counted, and it may come every moment.
            self._opener.lost()
        self._agenda.must_refresh = True

    def _promised(self, link: Link) -> None:
        promise = link.promise
        assert promise is not None
        self._opener.promised(link)
        known = set(promise.accepted.members)
        if known != set(self._volume.members):
            reason = f"it knows the replicas {', '.join(sorted(known))} instead"
            self._agenda.findings.append(findings.Useless(link, reason))
            return
        link.trouble = ""
        link.heard_at = self._links.now
        if self.state is State.SERVING:
            self._returning.welcome_back(link)
        self.refresh()
        if self.state is State.SERVING:
            self.faults.reconsider()
        if self._quorum.advance():
            self._in_force()
        self._agenda.findings.append(findings.Due())

    # -- what is found -----------------------------------------------------------------------------

    def weigh(self, found: findings.Finding) -> None:
        """See to what a part has found out."""
        match found:
            case findings.Greeted():
                self._opener.greeted(found.link, found.promised)
            case findings.Promised():
                self._promised(found.link)
            case findings.Refused():
                self._opener.refused(found)
            case findings.InForce():
                self._in_force()
            case findings.Due():
                self._advance(found.stage)
            case findings.AtFault():
                self.faults.suspect(found.links, found.reason)
            case findings.Proved():
                self._rebuilding.proved(found.link)
            case findings.NotRebuilt():
                self._rebuilding.lost(found.link, found.reason)
            case _:
                self._weigh_bytes(found)

    def _weigh_bytes(self, found: findings.Finding) -> None:
        """See to what was found out about the replicas' bytes."""
        match found:
            case findings.Unread():
                self.upkeep.read_failed(found.link, found.reason, found.extents)
            case findings.Doubted():
                self._restart_rebuild(found.reason)
            case findings.Sound():
                self.upkeep.released(found.link)
            case findings.FailedAgain():
                self.upkeep.failed_again(found.link)
            case findings.CopyEnded():
                if not self.upkeep.repair.ended(found.copy, found.trouble):
                    self._rebuilding.ended(found.copy, found.trouble)
            case findings.CopyFailed():
                self.faults.blame(found.trouble)
            case findings.Flushed():
                self.upkeep.cleaning.flushed(found.flush.epoch, self._links.now)
            case findings.Unequal():
                self._found_unequal(found)

    def failed(self, found: findings.Failed) -> None:
        """A replica has failed a batch: what follows for it comes before anybody is judged."""
        if found.batch.is_flush:
            self.upkeep.sync_failed(found.link)
        elif found.link.bit & self._writes.required:
            # Before anything that it has read since is known.
            self._restart_rebuild(f"{found.link.name} failed a write")

    def _found_unequal(self, found: findings.Unequal) -> None:
        self._restart_rebuild("a write failed on the members it is compared with")
        for offset, length in found.extents:
            self.upkeep.repair.add(offset, length, found.lacking)
        self._agenda.must_repair = True

    # -- opening -----------------------------------------------------------------------------------

    def _advance(self, stage: int) -> None:
        """Do what can be done now: on every tick, and when a replica has become ready. What is
        found in one stage is seen to before the next one."""
        if stage == 0:
            reason = f"has not answered for {self._options.dead_s:g} s"
            hung = self._opener.find_hung()
            self._agenda.findings += [findings.Useless(link, reason) for link in hung]
        elif stage == 1:
            if self.state in {State.OPENING, State.ELECTING}:
                self._opener.advance()
            elif self.state is State.SERVING:
                self.faults.advance()
        elif self.state is State.SERVING:
            self._go_on()
        if stage < 2:
            self._agenda.findings.append(findings.Due(stage + 1))

    def _go_on(self) -> None:
        if self._reporter.watch_vote(self._links.now, self._options.dead_s, self._quorum.is_voting):
            self._agenda.must_show = True
        if self.has_majority:
            self._rebuilding.consider()
        self.upkeep.advance(is_settled=self.is_settled)
        self._opener.consider_reopening(is_idle=self._writes.is_idle)

    def _in_force(self) -> None:
        membership = self._quorum.membership
        assert membership is not None
        members = set(membership.in_sync)
        if self.state is State.ELECTING:
            self.state = State.SERVING
            opening, began = self._opener.opening, self._opener.began
            assert opening is not None
            assert began is not None, "who votes was asked"
            self._reporter.tell_opening(opening, self._links.now - began)
            self._begin(opening)
        for link in self._links:
            if link.name in members - self._members_before:
                link.has_vote = True
                self.upkeep.marks.let_in(link)
            elif link.name in self._required_before - members:
                link.missed.add_regions(
                    self._links.regions.every() if link.is_older else self.upkeep.marks.common
                )
                link.missed.update(link.doubt)
                # Equal in its cache is not on its disk: a sync of it that fails later takes this.
                link.copied.update(self._unflushed.since(link.flushed_epoch))
                self.upkeep.doubts.forget(link)
            if link.is_ready and link.fault and link.name not in members:
                # It returned while it was still required: it comes anew, as who it is now.
                self._agenda.findings.append(findings.Useless(link, link.fault))
        self._members_before, self._required_before = members, set(members)
        self._rebuilding.in_force(membership.in_sync)
        self._agenda.must_refresh = True
        self._agenda.may_admit = True

    def _begin(self, opening: Opening) -> None:
        """Begin to serve: who holds what, and what must be made equal."""
        self._unflushed.inherit(opening.marks)
        self.upkeep.marks.begin(opening.marks)
        unfit = {self._links[name]: regions for name, regions in opening.unfit.items()}
        self.upkeep.repair.begin(opening.unequal, unfit, self._links.mask(opening.better))
        self._returning.begin(opening)

    # -- who must hold what ------------------------------------------------------------------------

    def refresh(self) -> None:
        """Tell the read and write paths whom to use; drop whom nothing waits for any more."""
        self._agenda.must_refresh = False
        self._agenda.must_show = True
        links = self._links
        ready = links.ready()
        self.has_majority = len(ready) >= self._majority
        if self.state in {State.SERVING, State.CLOSING}:
            required = set(self._quorum.required())
            self._required_before |= required
            self.upkeep.use(has_majority=self.has_majority)
            mirror = self._rebuilding.mirror
            if mirror is not None and self._rebuilding.is_finishing:
                required.add(mirror.name)
            targets = [link for link in links if link.name in required or link is mirror]
            self._writes.use(targets, links.mask(required))
            # An older copy must not be made to look new before it is voted out.
            held = [link for link in targets if not link.is_older]
            self.upkeep.marks.use([link for link in held if link.name in required], held)
            self._reads.use(*self._readable(), self._volume.boot_id)
            for link in links:
                if link not in targets:
                    self._writes.drop(link)
            if self.has_majority:
                self._agenda.may_admit = True

    def _readable(self) -> tuple[list[Link], list[Link]]:
        """Return whom to read: members that are not in doubt, or all where all are (then what is
        in doubt must be made equal before it is read); and who may be read again later."""
        names = self._quorum.readable()
        members = [self._links[name] for name in self._volume.members if name in names]
        sound = [link for link in members if link.is_sound] or members
        sources = [link for link in sound if link.is_ready and not link.fault and not link.is_older]
        return sources, members

    def _restart_rebuild(self, reason: str) -> None:
        """What replicas are being copied from is in doubt: begin anew, later."""
        self.upkeep.repair.abandon()
        mirror = self._rebuilding.mirror
        if mirror is None or mirror.name not in self._quorum.required():
            self._rebuilding.stop(reason)

    @property
    def is_settled(self) -> bool:
        """True if the set is settled, and all of it is here."""
        return (
            self.state is State.SERVING
            and not self._quorum.is_voting
            and self.has_majority
            and all(self._links[name].is_ready for name in self._quorum.latest.in_sync)
        )

    # -- telling -----------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """True while time matters to the controller."""
        return (
            self.state is not State.SERVING
            or bool(self.upkeep or self._rebuilding)
            or self._quorum.is_voting
            or any(link.promised_elsewhere for link in self._links)
            or any(
                link.is_ready and (link.fault or link.name not in self._quorum.latest.in_sync)
                for link in self._links
            )
            or any(not self._links[name].is_ready for name in self._quorum.latest.in_sync)
        )

    def show(self) -> None:
        """Show operators how the replicas are."""
        self._agenda.must_show = False
        replicas = []
        for link in self._links:
            is_in = self._quorum.membership is not None and link.name in self._quorum.latest.in_sync
            replicas.append(describe(link, is_in=is_in, progress=self._rebuilding.progress(link)))
        self._reporter.show(self.state, replicas, has_majority=self.has_majority)
