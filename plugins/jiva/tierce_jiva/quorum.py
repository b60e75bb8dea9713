"""Votes on the membership: one proposal at a time in force, none served before its majority.

A vote that leaves a replica out goes first to one that stays, and to the others only after that
one has accepted: else the one left out could be the only one that a successor finds. Until a
proposal is in force, what is acknowledged must be on every replica of the old set and of every
set proposed since, because a successor may adopt any of them.
"""

from __future__ import annotations

from functools import partial

from tierce_jiva.ballot import Membership
from tierce_jiva.findings import InForce
from tierce_jiva.links import Link, Links
from tierce_jiva.target_actions import Agenda


class Quorum:
    """The membership in force and the vote under way.

    Args:
        links: The replicas.
        agenda: Where it says that a proposal has come into force.
    """

    def __init__(self, links: Links, agenda: Agenda) -> None:
        self._links = links
        self._agenda = agenda
        self.membership: Membership | None = None
        self._proposals: list[Membership] = []
        #: Who is let in, each with the incarnation that was found fit for it.
        self._let_in: dict[str, int] = {}
        self._accepted: set[str] = set()
        self._asked: set[str] = set()
        self._sequence = 0

    @property
    def is_voting(self) -> bool:
        """True while a proposal is not in force."""
        return bool(self._proposals)

    @property
    def latest(self) -> Membership:
        """The last membership proposed."""
        assert self.membership is not None
        return self._proposals[-1] if self._proposals else self.membership

    def required(self) -> frozenset[str]:
        """Return who must hold what is acknowledged now."""
        assert self.membership is not None
        names = set(self.membership.in_sync)
        for proposal in self._proposals:
            names.update(proposal.in_sync)
        return frozenset(names)

    def candidates(self) -> frozenset[str]:
        """Return who can be agreed upon without being rebuilt: the set in force, and who is to be
        let in still."""
        assert self.membership is not None
        return frozenset({*self.membership.in_sync, *self.latest.in_sync})

    def readable(self) -> frozenset[str]:
        """Return who may be read: in force, and not being voted out."""
        assert self.membership is not None
        names = set(self.membership.in_sync)
        for proposal in self._proposals:
            names.intersection_update(proposal.in_sync)
        return frozenset(names)

    def adopt(self, membership: Membership) -> None:
        """Begin from what the replicas report, which is not in force in this ballot."""
        self.membership = membership
        self._proposals.clear()

    def withdraw(self) -> None:
        """Ask nobody else for the votes under way: what they were based on has changed. Nothing
        depends on them, and what is proposed next outranks them."""
        self._proposals.clear()

    def propose(self, in_sync: frozenset[str], let_in: frozenset[str] = frozenset()) -> None:
        """Begin a vote; one under way is superseded.

        Args:
            in_sync: The new set, not empty.
            let_in: Whose memory counts from now on.
        """
        assert self.membership is not None
        assert in_sync
        self._sequence += 1
        # Who was to be let in by a proposal that this one supersedes has proved itself already.
        pending = self._let_in if self.is_voting else {}
        fresh = {name: self._links[name].incarnation for name in let_in}
        self._let_in = {n: start for n, start in (pending | fresh).items() if n in in_sync}
        self._proposals.append(
            Membership(
                self._links.ballot, self._sequence, self.membership.members, tuple(sorted(in_sync))
            )
        )
        self._accepted.clear()
        self._asked.clear()
        self.advance()

    def advance(self) -> bool:
        """End the vote under way, or ask whom it can ask now: called when a link has become ready,
        and when one has accepted. Return True if the proposal is in force now."""
        if not self._proposals:
            return False
        proposal = self._proposals[-1]
        if self._counted() >= proposal.majority and self._let_in.keys() <= self._accepted:
            self.membership = proposal
            self._proposals.clear()
            return True
        stays = self._may_go_first(proposal)
        leaves_out = not self.required() <= set(proposal.in_sync)
        if leaves_out and not self._accepted & set(proposal.in_sync):
            # One of those that stay, and only one, until it has accepted.
            if stays and not self._asked.intersection(link.name for link in stays):
                self._ask(stays[0], proposal)
            return False
        for link in self._links.ready():
            if link.name not in self._asked and (link.has_vote or self._may_ask(link)):
                self._ask(link, proposal)
        return False

    def _may_go_first(self, proposal: Membership) -> list[Link]:
        """Return who may be what others are left out for, in the start that is known: nobody that
        has lost what it held and is not let in, or is an older copy; nobody that can be trusted
        less than another that stays: that one may be so too by now, and says it when it is
        asked; and nobody that can be trusted less than one that is left out: those that stay may
        have been as good when the vote began. An opening has weighed them all itself."""
        assert self.membership is not None
        is_opening = self.membership.ballot != self._links.ballot
        links = [self._links[name] for name in proposal.in_sync]
        weighed = proposal.in_sync if is_opening else self.candidates()
        best = max(self._links[name].trust for name in weighed)
        return [
            link
            for link in links
            if link.trust == best
            and link.is_ready
            and not link.fault
            and (link.has_kept or self._let_in.get(link.name) == link.incarnation)
        ]

    def _may_ask(self, link: Link) -> bool:
        """One that may have forgotten votes is asked if it is to be let in, or nobody is missing:
        then nothing that it may have forgotten is unknown."""
        return not link.is_older and (link.name in self._let_in or self._is_complete)

    @property
    def _is_complete(self) -> bool:
        return all(link.is_ready for link in self._links)

    def _counted(self) -> int:
        if self._is_complete:
            return len(self._accepted)
        return sum(self._links[name].has_vote for name in self._accepted)

    def _ask(self, link: Link, proposal: Membership) -> None:
        self._asked.add(link.name)
        message = {
            "kind": "accept",
            "membership": proposal.to_json(),
            # In the start in which it was found to hold everything.
            "let_in": {name: self._let_in[name] for name in sorted(self._let_in)},
            # It must not be what others are voted out for if its sync has failed since.
            "suspect": link.has_failed_sync or (link.promise is not None and link.promise.suspect),
        }
        answered = partial(self._answered, link.name, proposal)
        self._links.ask_control(link, message, "accepted", answered)

    def _answered(self, name: str, proposal: Membership, is_accepted: bool) -> None:
        if not self._proposals or proposal is not self._proposals[-1]:
            return
        if is_accepted:
            self._accepted.add(name)
            self._links[name].accepted = proposal.rank
        else:
            self._asked.discard(name)
        if self.advance():
            self._agenda.findings.append(InForce())
