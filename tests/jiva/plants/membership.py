"""Promises and votes, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import plants_of, wrap
from tierce_jiva.ballot import Membership
from tierce_jiva.faults import Faults
from tierce_jiva.host import State
from tierce_jiva.links import Link
from tierce_jiva.quorum import Quorum
from tierce_jiva.replica import Replica
from tierce_jiva.steward import Steward
from tierce_jiva.wire import Frame, Kind, encode_ack


def answer_before_saving(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let one of a replica's methods answer before what it says is durable."""

    def early(genuine: Any, self: Replica, *args: Any, **kw: Any) -> None:
        keeper, then = self._keeper, self._keeper.then

        def answer_first(answer: Any) -> None:
            answer()
            then(lambda: None)

        patch.setattr(keeper, "then", answer_first)
        genuine(self, *args, **kw)
        patch.setattr(keeper, "then", then)

    wrap(patch, Replica, name, early)


def report_promises_before_they_are_durable(patch: pytest.MonkeyPatch) -> None:
    """A promise is reported while the disk still works."""
    answer_before_saving(patch, "_prepare")


def report_votes_before_they_are_durable(patch: pytest.MonkeyPatch) -> None:
    """A vote is reported while the disk still works."""
    answer_before_saving(patch, "_accept")


def vote_without_a_majority(patch: pytest.MonkeyPatch) -> None:
    """One acceptance is enough."""
    patch.setattr(Membership, "majority", property(lambda _self: 1))


def take_frames_of_a_lower_ballot(patch: pytest.MonkeyPatch) -> None:
    """The connection of a target that was outbid goes on."""
    old_writers: dict[Replica, set[int | None]] = {}

    def prepare(genuine: Any, self: Replica, *args: Any, **kw: Any) -> None:
        writer, self._writer = self._writer, None
        old_writers.setdefault(self, set()).add(writer)
        genuine(self, *args, **kw)

    def received(genuine: Any, self: Replica, connection: int, frames: list[Frame]) -> Any:
        if connection in old_writers.get(self, ()) and connection in self._connections:
            for frame in frames:
                if frame.kind is Kind.BATCH:
                    failures = self._bytes.apply(frame)
                    ack = encode_ack(frame.sequence, self.record.promised, failures)
                    self._answer(connection, ack)
            return self._take_actions()
        return genuine(self, connection, frames)

    wrap(patch, Replica, "_prepare", prepare)
    wrap(patch, Replica, "received", received)


def promise_lower_ballots(patch: pytest.MonkeyPatch) -> None:
    """A replica promises whatever it is asked."""

    def prepare(
        genuine: Any, self: Replica, connection: int, sequence: int, ballot: Any, **kw: Any
    ) -> None:
        genuine(self, connection, sequence, max(ballot, self.record.promised), **kw)

    def received(genuine: Any, self: Replica, connection: int, frames: list[Frame]) -> Any:
        promised = self.record.promised
        for frame in frames:
            if connection == self._writer and frame.ballot < promised:
                frame.ballot_number, frame.ballot_target = promised.number, promised.target
        return genuine(self, connection, frames)

    wrap(patch, Replica, "_prepare", prepare)
    wrap(patch, Replica, "received", received)


def vote_out_with_the_vote_of_one_that_leaves(patch: pytest.MonkeyPatch) -> None:
    """A vote that leaves somebody out goes to all at once."""

    def advance(self: Quorum) -> None:
        for link in self._links.ready():
            if self._proposals and link.name not in self._asked:
                self._ask(link, self._proposals[-1])

    patch.setattr(Quorum, "advance", advance)


def read_who_is_being_voted_out(patch: pytest.MonkeyPatch) -> None:
    """Who is in the set in force is read, though a vote is to leave it out."""
    patch.setattr(Quorum, "readable", lambda self: frozenset(self.membership.in_sync))


def acknowledge_by_the_new_set_before_it_is_in_force(patch: pytest.MonkeyPatch) -> None:
    """Only the set proposed last must hold what is acknowledged."""
    patch.setattr(Quorum, "required", lambda self: frozenset(self.latest.in_sync))


def acknowledge_by_the_old_set_until_the_new_is_in_force(patch: pytest.MonkeyPatch) -> None:
    """Only the set in force must hold what is acknowledged."""
    patch.setattr(Quorum, "required", lambda self: frozenset(self.membership.in_sync))


def keep_an_opening_vote_whose_link_was_lost(patch: pytest.MonkeyPatch) -> None:
    """A link lost during an opening changes nothing about what was decided."""

    def lost(genuine: Any, self: Steward, link: Link, reason: str) -> None:
        was_electing = self.state is State.ELECTING
        proposals = list(self._quorum._proposals)
        genuine(self, link, reason)
        if was_electing and proposals:
            self.state = State.ELECTING
            self._quorum._proposals = proposals

    wrap(patch, Steward, "lost", lost)


def let_in_who_has_not_accepted(patch: pytest.MonkeyPatch) -> None:
    """A membership is in force though one that it lets in has not accepted it."""

    def ask(genuine: Any, self: Quorum, *args: Any) -> None:
        genuine(self, *args)
        self._let_in = {}

    wrap(patch, Quorum, "_ask", ask)


def let_in_whoever_answers_now(patch: pytest.MonkeyPatch) -> None:
    """A replica is let in though its process has started anew since it was found fit."""

    def accept(genuine: Any, self: Replica, connection: int, sequence: int, message: Any) -> None:
        if self.name in message["let_in"]:
            message["let_in"][self.name] = self._facts["incarnation"]
        genuine(self, connection, sequence, message)

    wrap(patch, Replica, "_accept", accept)


def vote_out_for_one_whose_sync_has_failed(patch: pytest.MonkeyPatch) -> None:
    """A replica takes a vote that leaves others out though its sync has failed since."""

    def accept(genuine: Any, self: Replica, connection: int, sequence: int, message: Any) -> None:
        genuine(self, connection, sequence, message | {"suspect": True})

    wrap(patch, Replica, "_accept", accept)


def vote_out_for_one_that_has_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A vote that leaves somebody out goes first to one that has lost its memory."""

    def may_go_first(self: Quorum, proposal: Membership) -> list[Link]:
        links = [self._links[name] for name in proposal.in_sync if self._links[name].is_ready]
        return sorted(links, key=lambda link: link.has_kept)

    patch.setattr(Quorum, "_may_go_first", may_go_first)


def vote_out_for_one_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """A vote that leaves somebody out goes first to one in doubt, though a sound one stays."""

    def may_go_first(self: Quorum, proposal: Membership) -> list[Link]:
        links = [self._links[name] for name in proposal.in_sync]
        fit = [link for link in links if link.is_ready and link.has_kept and not link.fault]
        return sorted(fit, key=lambda link: link.is_sound)

    patch.setattr(Quorum, "_may_go_first", may_go_first)


def propose_again_who_was_taken_back(patch: pytest.MonkeyPatch) -> None:
    """A vote that leaves the wrong ones is replaced by one for all that it waits for."""
    patch.setattr(Quorum, "candidates", Quorum.required)


def vote_out_the_last_sound_member(patch: pytest.MonkeyPatch) -> None:
    """Those that stay may all be in doubt."""
    patch.setattr(Faults, "_worth", lambda _self, _names: 0)


def count_the_votes_of_an_older_folder(patch: pytest.MonkeyPatch) -> None:
    """Who may have forgotten votes is asked, and counts."""
    patch.setattr(Quorum, "_is_complete", property(lambda _self: True))


def count_acceptances_of_other_proposals(patch: pytest.MonkeyPatch) -> None:
    """Who has accepted an earlier proposal is counted for the later one."""

    def answered(genuine: Any, self: Quorum, name: str, proposal: Any, is_accepted: bool) -> None:
        if self._proposals and is_accepted:
            proposal = self._proposals[-1]
        genuine(self, name, proposal, is_accepted)

    wrap(patch, Quorum, "_answered", answered)


def adopt_by_ballot_alone(patch: pytest.MonkeyPatch) -> None:
    """Of two memberships of one ballot either may be adopted."""
    patch.setattr(Membership, "rank", property(lambda self: (self.ballot, 0)))


def accept_any_rank(patch: pytest.MonkeyPatch) -> None:
    """A replica accepts a membership of a lower rank than the one it has accepted."""

    def accept(genuine: Any, self: Replica, connection: int, sequence: int, message: Any) -> None:
        proposed = Membership.from_json(message["membership"])
        accepted = self.record.accepted
        if proposed.ballot == self.record.promised and proposed.rank < accepted.rank:
            self._keeper.change(accepted=proposed)
        genuine(self, connection, sequence, message)

    wrap(patch, Replica, "_accept", accept)


PLANTS = plants_of(
    "membership",
    (
        report_promises_before_they_are_durable,
        report_votes_before_they_are_durable,
        vote_without_a_majority,
        take_frames_of_a_lower_ballot,
        promise_lower_ballots,
        vote_out_with_the_vote_of_one_that_leaves,
        read_who_is_being_voted_out,
        acknowledge_by_the_new_set_before_it_is_in_force,
        acknowledge_by_the_old_set_until_the_new_is_in_force,
        keep_an_opening_vote_whose_link_was_lost,
        let_in_who_has_not_accepted,
        let_in_whoever_answers_now,
        vote_out_for_one_whose_sync_has_failed,
        vote_out_for_one_that_has_forgotten,
        vote_out_for_one_in_doubt,
        propose_again_who_was_taken_back,
        vote_out_the_last_sound_member,
        count_the_votes_of_an_older_folder,
        count_acceptances_of_other_proposals,
        adopt_by_ballot_alone,
        accept_any_rank,
    ),
)
