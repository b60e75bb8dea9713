"""Who is at fault, and is voted out: one that failed what others did, is late beside others, has
lost its memory, or stays away."""

from __future__ import annotations

from collections.abc import Iterable

from tierce_jiva.ballot import Membership
from tierce_jiva.failure_detection import choose_late, find_late, find_lost, has_shown_no_life
from tierce_jiva.findings import Trouble, Useless
from tierce_jiva.host import Volume
from tierce_jiva.links import Link, Links
from tierce_jiva.options import JivaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.rebuilding import Rebuilding
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda, Restart


class Faults:
    """Finds faults, and votes.

    Args:
        volume: The volume.
        options: What the operator set.
        agenda: Where it says what is to be done.
        links: The replicas.
        quorum: The votes.
        rebuilding: Who is rebuilt.
        reporter: Tells operators.
    """

    def __init__(
        self,
        volume: Volume,
        options: JivaOptions,
        agenda: Agenda,
        links: Links,
        quorum: Quorum,
        rebuilding: Rebuilding,
        reporter: StatusReporter,
    ) -> None:
        self._options = options
        self._agenda = agenda
        self._links = links
        self._quorum = quorum
        self._rebuilding = rebuilding
        self._reporter = reporter
        self._member_count = len(volume.members)
        self._majority = self._member_count // 2 + 1

    def advance(self) -> None:
        """Look who is late or lost, while the target serves."""
        self._look_for_late()
        self.consider_voting()

    def suspect(self, at_fault: list[Link], reason: str) -> None:
        """These failed what others did."""
        for link in at_fault:
            if link is self._rebuilding.mirror and link.name not in self._quorum.required():
                self._agenda.findings.append(Useless(link, reason))
            else:
                link.fault = link.fault or reason
        self.consider_voting()

    def blame(self, trouble: Trouble) -> None:
        """A copy of an extent failed at a replica."""
        self._reporter.say_once("jiva.replica.failed", trouble.reason, severity="error")
        self.suspect([trouble.link], trouble.reason)

    def _look_for_late(self) -> None:
        """Lateness counts only beside replicas that have answered: else nobody is at fault. One
        that is alone is connected anew: what is lost may be the connection."""
        required = self._quorum.required()
        for name, reason in find_late(self._links, self._options).items():
            link = self._links[name]
            is_alone = required == {name}
            is_dead = is_alone and has_shown_no_life(link, self._links.now, self._options)
            if link.is_ready and (name not in required or is_dead):
                self._agenda.findings.append(Useless(link, reason))
        members = self._quorum.latest.in_sync
        for name, reason in choose_late(self._links, self._options, members, required).items():
            self._links[name].fault = reason

    @property
    def _has_majority(self) -> bool:
        return len(self._links.ready()) >= self._majority

    def consider_voting(self) -> None:
        """Vote out who is at fault or lost, if enough are there for that."""
        was_waiting, self._reporter.is_waiting = self._reporter.is_waiting, False
        self._vote()
        if was_waiting != self._reporter.is_waiting:
            self._agenda.must_show = True

    def reconsider(self) -> None:
        """Those that were to stay by a vote under way may have come to be in doubt, or have lost
        what they held: the others are needed again then, before anybody else is asked."""
        if self._has_lost_the_best():
            self._quorum.propose(self._quorum.candidates())
            self._agenda.must_refresh = True

    def _vote(self) -> None:
        self.reconsider()
        latest = self._quorum.latest
        out = sorted(find_lost(self._links, latest.in_sync, self._options.reconnect_grace_s))
        stay = frozenset(latest.in_sync) - frozenset(out)
        if not out:
            return
        if not stay:
            self._nobody_stays(latest)
            return
        if self._worth(stay) < self._worth(latest.in_sync):
            self._nobody_sound_stays(out)
            return
        if not self._has_majority or not any(self._links[name].is_ready for name in stay):
            self._reporter.say(
                "jiva.volume.no-majority",
                f"stopped: {len(self._links.ready())} of {self._member_count} replicas "
                f"answer, {self._majority} must",
            )
            self._agenda.must_show = True
            return
        for name in out:
            reason = self._links[name].fault or self._links[name].trouble
            if self._links[name].fault and self._links[name].has_kept:
                self._rebuilding.was_at_fault(self._links[name])
            self._reporter.emit(
                "jiva.replica.voted-out", f"{name} is voted out: {reason}", "warning"
            )
            self._rebuilding.lost(self._links[name], "voted out")
        self._quorum.propose(stay)
        self._agenda.must_refresh = True
        for name in out:
            if self._links[name].is_ready:
                self._agenda.findings.append(Useless(self._links[name], self._links[name].fault))

    def _worth(self, names: Iterable[str]) -> int:
        """Return how far the best of these can be trusted."""
        return max(self._links[name].trust for name in names)

    def _has_lost_the_best(self) -> bool:
        """True if a vote is under way that leaves only those that can be trusted less."""
        candidates, latest = self._quorum.candidates(), self._quorum.latest
        return self._quorum.is_voting and self._worth(latest.in_sync) < self._worth(candidates)

    def _nobody_sound_stays(self, out: list[str]) -> None:
        """Those that would stay are in doubt, and need what these have: wait for them."""
        names = ", ".join(out)
        self._reporter.say(
            "jiva.volume.waiting",
            f"stopped: waiting for {names}: the other replicas have restarted, or a sync of theirs "
            "has failed, and what they may lack is only there",
        )
        self._reporter.is_waiting = True
        for name in out:
            self._forgive(self._links[name])

    def _nobody_stays(self, latest: Membership) -> None:
        """The last copies are at fault. If they are all here and have lost their memory, only a
        fresh opening can weigh what is left; else wait for the one that has not."""
        links = [self._links[name] for name in latest.in_sync]
        if all(link.is_ready and not link.has_kept for link in links):
            self._agenda.actions.append(Restart("every in-sync replica has lost its memory"))
        for link in links:
            if link.is_ready:
                self._forgive(link)

    def _forgive(self, link: Link) -> None:
        """It can't be done without. If it was not sent what it owes, or its connection may be what
        is lost, it comes anew for that."""
        if not link.has_kept:
            return
        fault, link.fault = link.fault, ""
        is_dead = has_shown_no_life(link, self._links.now, self._options)
        if link.is_ready and (is_dead or not link.is_current):
            self._agenda.findings.append(Useless(link, fault))
