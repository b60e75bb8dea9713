"""How a target comes to serve: a ballot that a majority promises, and the set to begin from.

::

    greeted by a majority -> bid -> promised by a majority, or all -> propose -> in force
            ^                  |
            '-- a higher one --'

A higher ballot that one replica has promised is outbid while opening. While serving it fences
nobody: that replica has failed, and only losing a majority that way ends the target.
"""

from __future__ import annotations

from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership
from tierce_jiva.failure_detection import find_hung
from tierce_jiva.findings import Refused, Useless
from tierce_jiva.handshake import Handshake
from tierce_jiva.host import Host, Standing, State, Volume
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.opening import Opening, Waiting, choose
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda, Fence, Restart
from tierce_jiva.waiting_store import OPENING

#: Between two bids of one opener for a higher ballot.
REBID_S = 0.5
#: A replica that has promised a higher ballot to another target is let in by opening anew: after
#: so long while nothing is being written, and after so long whatever is.
REOPEN_S = 10.0
REOPEN_S_MAX = 60.0
#: A replica that is opening its store is asked again after so long.
OPENING_RETRY_S = 0.5


class Opener:
    """Bids, and opens.

    Args:
        volume: The volume.
        options: What the operator set.
        host: The surroundings.
        agenda: Where it says what is to be done.
        standing: Where the target stands.
        links: The replicas.
        quorum: The votes.
        reporter: Tells operators.
    """

    def __init__(
        self,
        volume: Volume,
        options: JivaOptions,
        host: Host,
        agenda: Agenda,
        standing: Standing,
        links: Links,
        quorum: Quorum,
        reporter: StatusReporter,
    ) -> None:
        self._volume = volume
        self._options = options
        self._host = host
        self._agenda = agenda
        self._standing = standing
        self._links = links
        self._quorum = quorum
        self._reporter = reporter
        self._majority = len(volume.members) // 2 + 1
        self._majority_at: float | None = None
        #: The highest ballot number that a replica has told of.
        self._highest = 0
        self._rebid_at: float | None = None
        self._outbid_since: float | None = None
        #: The highest membership of another target that was told of.
        self._before = Membership(NO_BALLOT, 0, volume.members, volume.members)
        #: What each has promised to this target, and who has said less since: an older copy of its
        #: folder was put back.
        self._vows: dict[str, Ballot] = {}
        self._forgetful: set[str] = set()
        #: How the volume is being opened, and since when: since a majority was asked first.
        self.opening: Opening | None = None
        self.began: float | None = None
        self.handshake = Handshake(links, volume.uuid, agenda)

    def lost(self) -> None:
        """A connection was lost on which a replica had promised."""
        if self._standing.state is State.ELECTING:
            self._standing.state = State.OPENING
            # It may come back without its memory: then it is not the one to serve from.
            self._quorum.withdraw()

    def advance(self) -> None:
        """Do what can be done now, while the target opens."""
        if self._rebid_at is None:
            if self._standing.state is State.OPENING:
                self._try_open()
        elif self._links.now >= self._rebid_at:
            self._quorum.withdraw()
            self._standing.state = State.OPENING
            self._bid()

    def find_hung(self) -> list[Link]:
        """Return who does not finish its handshake, or leaves the opening's vote unanswered: it
        must not keep the others waiting. Of those that serve, `Faults` judges."""
        is_opening = self._standing.state in {State.OPENING, State.ELECTING}
        hung = find_hung(self._links, self._options.dead_s)
        return [link for link in hung if is_opening or not link.is_ready]

    def promised(self, link: Link) -> None:
        """It has promised our ballot."""
        self._vows[link.name] = self._links.ballot

    def greeted(self, link: Link, promised: Ballot) -> None:
        """It has said which ballot it has promised so far."""
        links = self._links
        if promised < self._vows.get(link.name, NO_BALLOT):
            self._forgetful.add(link.name)
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
            self.handshake.prepare(link)

    def _bid(self) -> None:
        """Take a ballot above all that were told of, and ask for it."""
        number = max(self._highest + 1, self._host.wall_ms())
        self._links.ballot = Ballot(number, self._volume.target)
        self._rebid_at = None
        self.began = self._links.now if self.began is None else self.began
        for link in self._links:
            if link.state not in {LinkState.DOWN, LinkState.GREETING}:
                link.promised_elsewhere = False
                self.handshake.prepare(link)

    def refused(self, found: Refused) -> None:
        """It has refused something, and said which ballot it has promised."""
        link, why, promised = found.link, found.why, found.promised
        if why == OPENING:
            # It has nothing yet to be asked for, and may not for an hour.
            reason = found.text or "its store is being opened"
            self._agenda.findings.append(Useless(link, reason, retry_s=OPENING_RETRY_S))
        elif why != "ballot" or promised <= self._links.ballot:
            self._agenda.findings.append(Useless(link, f"refused: {why}"))
        else:
            self._highest = max(promised.number, self._highest)
            self._outbid(link, promised)

    def _outbid(self, link: Link, promised: Ballot) -> None:
        """It has promised a higher ballot. While opening, bid again; while serving, it has failed,
        and only losing a majority that way ends this target."""
        if self._standing.state in {State.OPENING, State.ELECTING}:
            link.trouble = f"has promised a higher ballot, {promised.number}"
            if self._rebid_at is None:
                # Two openers must not outbid each other in step.
                self._rebid_at = self._links.now + REBID_S * (1 + self._volume.target % 256 / 256)
            return
        reason = f"has promised ballot {promised.number} to another target"
        link.promised_elsewhere = True
        link.trouble = f"{reason}; it is let in when the volume is opened anew"
        if link.is_ready:
            self._agenda.findings.append(Useless(link, reason, link.trouble))
        gone = [other for other in self._links if other.promised_elsewhere]
        if len(self._volume.members) - len(gone) >= self._majority:
            self._reporter.emit("jiva.replica.outbid", f"{link.name} {reason}", "warning")
            return
        self._standing.state = State.ENDED
        names = ", ".join(other.name for other in gone)
        reason = f"{names} have promised higher ballots to another target"
        self._reporter.emit("jiva.target.fenced", f"fenced: {reason}", severity="error")
        self._agenda.actions.append(Fence(reason))

    def consider_reopening(self, *, is_idle: bool) -> None:
        """Only an opening outbids a promise to another target: open anew for those that gave one,
        when that disturbs nobody, or at last anyway."""
        now, gone = self._links.now, [link for link in self._links if link.promised_elsewhere]
        if not gone:
            self._outbid_since = None
        elif self._outbid_since is None:
            self._outbid_since = now
        elif now - self._outbid_since > (REOPEN_S if is_idle else REOPEN_S_MAX):
            names = ", ".join(link.name for link in gone)
            reason = f"to let in {names}, promised to a target that is gone"
            self._agenda.actions.append(Restart(reason))

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
        volume = self._volume
        accepted = [promise.accepted for promise in promises.values()]
        others = [one for one in (*accepted, self._before) if one.ballot.target != volume.target]
        self._before = max(others, key=lambda membership: membership.rank)
        found = choose(
            volume.members,
            promises,
            own=volume.target,
            before=self._before,
            forgetful=self._forgetful,
        )
        if isinstance(found, Waiting):
            self._reporter.say("jiva.volume.waiting", f"can't open: {found}")
            self._agenda.must_show = True
            return
        self.opening = found
        self._quorum.adopt(found.adopted)
        self._standing.state = State.ELECTING
        self._quorum.propose(found.in_sync, found.let_in)
