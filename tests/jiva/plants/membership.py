"""Promises and votes, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import plants_of, wrap
from tierce_jiva.ballot import Membership
from tierce_jiva.host import State
from tierce_jiva.links import Link
from tierce_jiva.membership import MembershipController
from tierce_jiva.quorum import Quorum
from tierce_jiva.replica import Replica
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

    def received(
        genuine: Any, self: Replica, connection: int, frames: list[Frame], arrived_ns: int = 0
    ) -> Any:
        if connection in old_writers.get(self, ()) and connection in self._connections:
            for frame in frames:
                if frame.kind is Kind.BATCH:
                    failures = self._bytes.apply(frame)
                    ack = encode_ack(frame.sequence, self.record.promised, failures)
                    self._answer(connection, ack)
            return self._take_actions()
        return genuine(self, connection, frames, arrived_ns)

    wrap(patch, Replica, "_prepare", prepare)
    wrap(patch, Replica, "received", received)


def promise_lower_ballots(patch: pytest.MonkeyPatch) -> None:
    """A replica promises whatever it is asked."""

    def prepare(
        genuine: Any, self: Replica, connection: int, sequence: int, ballot: Any, **kw: Any
    ) -> None:
        genuine(self, connection, sequence, max(ballot, self.record.promised), **kw)

    def received(
        genuine: Any, self: Replica, connection: int, frames: list[Frame], arrived_ns: int = 0
    ) -> Any:
        promised = self.record.promised
        for frame in frames:
            if connection == self._writer and frame.ballot < promised:
                frame.ballot_number, frame.ballot_target = promised.number, promised.target
        return genuine(self, connection, frames, arrived_ns)

    wrap(patch, Replica, "_prepare", prepare)
    wrap(patch, Replica, "received", received)


def vote_out_with_the_vote_of_one_that_leaves(patch: pytest.MonkeyPatch) -> None:
    """A vote that leaves somebody out goes to all at once."""

    def advance(self: Quorum) -> None:
        for link in self._links.ready():
            if self._proposals and link.name not in self._asked:
                self._ask(link, self._proposals[-1])

    patch.setattr(Quorum, "advance", advance)


def acknowledge_by_the_new_set_before_it_is_in_force(patch: pytest.MonkeyPatch) -> None:
    """Only the set proposed last must hold what is acknowledged."""
    patch.setattr(Quorum, "required", lambda self: frozenset(self.latest.in_sync))


def acknowledge_by_the_old_set_until_the_new_is_in_force(patch: pytest.MonkeyPatch) -> None:
    """Only the set in force must hold what is acknowledged."""
    patch.setattr(Quorum, "required", lambda self: frozenset(self.membership.in_sync))


def keep_an_opening_vote_whose_link_was_lost(patch: pytest.MonkeyPatch) -> None:
    """A link lost during an opening changes nothing about what was decided."""

    def lost(genuine: Any, self: MembershipController, link: Link, reason: str) -> None:
        was_electing = self.state is State.ELECTING
        proposals = list(self._quorum._proposals)
        genuine(self, link, reason)
        if was_electing and proposals:
            self.state = State.ELECTING
            self._quorum._proposals = proposals

    wrap(patch, MembershipController, "lost", lost)


def adopt_by_ballot_alone(patch: pytest.MonkeyPatch) -> None:
    """Of two memberships of one ballot either may be adopted."""
    patch.setattr(Membership, "rank", property(lambda self: (self.ballot, 0)))


PLANTS = plants_of(
    "membership",
    (
        report_promises_before_they_are_durable,
        report_votes_before_they_are_durable,
        vote_without_a_majority,
        take_frames_of_a_lower_ballot,
        promise_lower_ballots,
        vote_out_with_the_vote_of_one_that_leaves,
        acknowledge_by_the_new_set_before_it_is_in_force,
        acknowledge_by_the_old_set_until_the_new_is_in_force,
        keep_an_opening_vote_whose_link_was_lost,
        adopt_by_ballot_alone,
    ),
)
