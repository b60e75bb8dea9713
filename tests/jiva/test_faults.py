"""Who is voted out, and who is not though he is at fault."""

from __future__ import annotations

import pytest

from jiva.ladder import BALLOT, answer, asked, events_of, ready_links, restarts_of, said, volume_of
from tierce import Event
from tierce_jiva.ballot import Membership
from tierce_jiva.faults import Faults
from tierce_jiva.findings import Trouble, Useless
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Links, LinkState
from tierce_jiva.marks import Marks
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.pending import Pending
from tierce_jiva.promise import Promise
from tierce_jiva.quorum import Quorum
from tierce_jiva.read_path import ReadPath
from tierce_jiva.rebuilding import Rebuilding
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")


class Ladder:
    """Three members; who is out of the set is told by `in_sync`."""

    def __init__(self, *in_sync: str) -> None:
        self.links: Links = ready_links()
        self.agenda = Agenda()
        self.membership = Membership(BALLOT, 0, NAMES, in_sync or NAMES)
        self.quorum = Quorum(self.links, self.agenda)
        self.quorum.adopt(self.membership)
        for link in self.links:
            link.promise = Promise(self.membership)
            link.missed.clear()
        volume = volume_of(self.links)
        unflushed = Unflushed(self.links.regions)
        self.marks = Marks(self.links, self.agenda)
        self.reporter = StatusReporter(volume, self.agenda)
        self.rebuilding = Rebuilding(
            self.links,
            self.quorum,
            self.marks,
            unflushed,
            InFlight(),
            Extents(self.links.regions),
            ReadPath(
                self.links,
                InFlight(),
                Extents(self.links.regions),
                Pending(),
                None,
                self.agenda,
            ),
            self.reporter,
            self.agenda,
            window=2,
        )
        options = JivaOptions(
            replicas=tuple(ReplicaOptions(folder=name) for name in NAMES),
            reconnect_grace_s=1.0,
            dead_s=5.0,
        )
        self.faults = Faults(
            volume,
            options,
            self.agenda,
            self.links,
            self.quorum,
            self.rebuilding,
            self.reporter,
        )

    @property
    def hangups(self) -> list[tuple[str, str]]:
        return [(found.link.name, found.reason) for found in said(self.agenda, Useless)]

    @property
    def events(self) -> list[Event]:
        return events_of(self.agenda)

    @property
    def restarts(self) -> list[str]:
        return restarts_of(self.agenda)

    def fault(self, *names: str, reason: str = "planned") -> None:
        for name in names:
            self.links[name].fault = reason

    def lose(self, name: str) -> None:
        self.links.lose(self.links[name], "cut")

    def forget(self, *names: str) -> None:
        """Their machines have lost power."""
        for name in names:
            self.links[name].promise = Promise(self.membership, counts=False)

    def vote(self) -> list[str] | None:
        """Return who is to stay, if a vote has begun."""
        self.faults.consider_voting()
        return list(self.quorum.latest.in_sync) if self.quorum.is_voting else None

    def codes(self) -> list[str]:
        return [event.code.removeprefix("jiva.") for event in self.events]


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_with_nobody_at_fault_there_is_no_vote(ladder: Ladder) -> None:
    assert ladder.vote() is None


def test_one_at_fault_is_voted_out_told_of_and_hung_up_on(ladder: Ladder) -> None:
    ladder.fault(B)
    assert ladder.vote() == [A, C]
    (event,) = ladder.events
    assert (event.code, event.severity) == ("jiva.replica.voted-out", "warning")
    assert event.message == "demo: replica-2 is voted out: planned"
    assert ladder.hangups == [(B, "planned")]
    assert ladder.agenda.must_refresh


def test_one_that_stays_away_is_voted_out_after_its_grace(ladder: Ladder) -> None:
    ladder.lose(B)
    ladder.links.now = 0.9
    assert ladder.vote() is None
    ladder.links.now = 1.0
    assert ladder.vote() == [A, C]
    assert "cut" in ladder.events[0].message


def test_who_failed_what_others_did_is_at_fault_for_its_first_reason(ladder: Ladder) -> None:
    ladder.faults.suspect([ladder.links[B]], "first")
    ladder.faults.suspect([ladder.links[B]], "second")
    assert ladder.links[B].fault == "first"
    assert ladder.quorum.latest.in_sync == (A, C)


def test_without_a_majority_nobody_is_voted_out_and_that_is_said_once(ladder: Ladder) -> None:
    for name in (B, C):
        ladder.lose(name)
    ladder.links.now = 2.0
    for _ in range(3):
        assert ladder.vote() is None
    assert ladder.codes() == ["volume.no-majority"]
    assert "1 of 3 replicas answer, 2 must" in ladder.events[0].message


def test_without_one_of_those_that_stay_there_is_no_vote() -> None:
    ladder = Ladder(A, B)
    ladder.fault(A)
    ladder.lose(B)
    assert ladder.vote() is None
    assert ladder.codes() == ["volume.no-majority"]


def test_the_last_copy_is_not_voted_out_and_its_fault_is_forgotten() -> None:
    ladder = Ladder(A)
    ladder.fault(A)
    assert ladder.vote() is None
    assert ladder.links[A].fault == ""
    assert ladder.restarts == []


def test_last_copies_that_have_all_lost_power_are_weighed_by_a_new_opening() -> None:
    ladder = Ladder(A, B)
    ladder.forget(A, B)
    ladder.fault(A, B)
    assert ladder.vote() is None
    assert len(ladder.restarts) == 1


def test_last_copies_are_weighed_anew_only_when_all_of_them_are_here() -> None:
    ladder = Ladder(A, B)
    ladder.forget(A, B)
    ladder.fault(A)
    ladder.lose(B)
    ladder.links.now = 9.0
    assert ladder.vote() is None
    assert ladder.restarts == []


@pytest.mark.parametrize("how", ["away", "older"])
def test_while_one_may_come_back_with_what_it_held_it_is_waited_for(how: str) -> None:
    ladder = Ladder(A, B)
    ladder.forget(A)
    ladder.fault(A)
    if how == "away":
        ladder.lose(B)
        ladder.links.now = 9.0
    else:
        ladder.links[B].is_older = True
        ladder.fault(B)
    assert ladder.vote() is None
    assert bool(ladder.restarts) is (how == "older")
    assert ladder.links[A].fault


def test_the_last_sound_member_is_not_voted_out_for_those_in_doubt(ladder: Ladder) -> None:
    for name in (A, B):
        ladder.links[name].is_unproved = True
    ladder.fault(C)
    assert ladder.vote() is None
    assert ladder.links[C].fault == ""
    assert "waiting for replica-3" in ladder.events[0].message
    ladder.lose(C)
    ladder.links.now = 9.0
    assert ladder.vote() is None


def test_where_all_are_in_doubt_one_of_them_can_be_voted_out(ladder: Ladder) -> None:
    for link in ladder.links:
        link.is_unproved = True
    ladder.fault(C)
    assert ladder.vote() == [A, B]


def test_one_that_has_only_restarted_is_not_voted_out_for_those_whose_syncs_have_failed(
    ladder: Ladder,
) -> None:
    for link in ladder.links:
        link.is_unproved = True
        link.has_failed_sync = link.name != C
    ladder.fault(C)
    assert ladder.vote() is None
    assert ladder.links[C].fault == ""
    assert "waiting for replica-3" in ladder.events[0].message


@pytest.mark.parametrize("is_dead", [False, True])
def test_the_last_sound_member_is_connected_anew_if_it_shows_no_life(is_dead: bool) -> None:
    ladder = Ladder(A, B)
    ladder.links[A].is_unproved = True
    ladder.links[B].is_current = True
    ask(ladder, B)
    ladder.links.now = 12.1
    ladder.links[B].heard_at = 0.0 if is_dead else 12.0
    ladder.fault(B)
    assert ladder.vote() is None
    assert [name for name, _ in ladder.hangups] == ([B] if is_dead else [])


def test_a_vote_that_would_leave_only_those_in_doubt_is_taken_back(ladder: Ladder) -> None:
    ladder.fault(C)
    assert ladder.vote() == [A, B]
    for name in (A, B):
        ladder.links[name].is_unproved = True
    ladder.links[C].fault = ""
    assert ladder.vote() == [A, B, C]


def test_one_that_was_to_be_let_in_and_is_not_does_not_come_in_so() -> None:
    # It was lost while it was voted on: what it may have missed since is compared.
    ladder = Ladder(A, B)
    ladder.quorum.propose(frozenset(NAMES), frozenset([C]))
    ladder.quorum.propose(frozenset({A}))
    ladder.links[A].is_unproved = True
    assert ladder.vote() == [A, B]


def test_one_that_catches_up_and_fails_is_hung_up_on_and_not_voted_on() -> None:
    ladder = Ladder(A, B)
    ladder.links[C].missed.add(0)
    ladder.rebuilding.consider()
    answer(ladder.links[C], {"kind": "marked", "order": ladder.marks.order})
    assert ladder.rebuilding.mirror is ladder.links[C]
    ladder.faults.suspect([ladder.links[C]], "no space")
    assert ladder.hangups == [(C, "no space")]
    assert not ladder.quorum.is_voting


def ask(ladder: Ladder, *names: str) -> None:
    for name in names:
        ladder.links.ask(ladder.links[name], {"kind": "mark"}, lambda _frame: None)
        asked(ladder.links[name])


def test_a_member_that_is_late_beside_others_is_at_fault(ladder: Ladder) -> None:
    ask(ladder, B)
    ladder.links.now = 5.1
    ladder.faults.advance()
    assert ladder.quorum.latest.in_sync == (A, C)
    assert ladder.hangups == [(B, "has not answered for 5 s")]


def test_one_that_is_no_member_and_late_is_hung_up_on() -> None:
    ladder = Ladder(A, B)
    ask(ladder, C)
    ladder.links.now = 5.1
    ladder.faults.advance()
    assert ladder.hangups == [(C, "has not answered for 5 s")]
    assert not ladder.quorum.is_voting


def test_one_that_is_alone_and_shows_no_life_is_connected_anew() -> None:
    ladder = Ladder(A)
    ask(ladder, A)
    ladder.links.now = 11.9
    ladder.faults.advance()
    assert ladder.hangups == []
    ladder.links.now = 12.1
    ladder.faults.advance()
    assert [name for name, _ in ladder.hangups] == [A]
    assert not ladder.quorum.is_voting


def test_one_that_is_alone_and_late_but_alive_is_waited_for() -> None:
    ladder = Ladder(A)
    ask(ladder, A)
    ladder.links.now = 12.1
    ladder.links[A].heard_at = 11.0
    ladder.faults.advance()
    assert ladder.hangups == []


def test_one_that_is_voted_out_again_soon_waits_longer(ladder: Ladder) -> None:
    link = ladder.links[B]
    link.in_since = ladder.links.now
    ladder.fault(B)
    ladder.vote()
    assert link.not_before > ladder.links.now


@pytest.mark.parametrize("how", ["away", "lost power"])
def test_one_that_is_at_no_fault_may_come_back_at_once(ladder: Ladder, how: str) -> None:
    link = ladder.links[B]
    link.in_since = ladder.links.now
    if how == "away":
        ladder.lose(B)
    else:
        ladder.forget(B)
        ladder.fault(B)
    ladder.links.now = 2.0
    assert ladder.vote() == [A, C]
    assert link.not_before <= ladder.links.now


def test_one_that_is_voted_out_while_it_joins_does_not_go_on_with_that(ladder: Ladder) -> None:
    ladder = Ladder(A, B)
    ladder.rebuilding.consider()
    assert ladder.rebuilding
    # It is proposed already, and lost.
    ladder.quorum.propose(frozenset(NAMES), frozenset([C]))
    ladder.links[C].state = LinkState.DOWN
    ladder.links.now = 9.0
    ladder.faults.consider_voting()
    assert not ladder.rebuilding
    assert ladder.quorum.latest.in_sync == (A, B)


def test_a_copy_that_failed_is_told_once_and_counts_against_its_replica(ladder: Ladder) -> None:
    for reason in ("bad sector 1", "bad sector 1", "bad sector 2"):
        ladder.faults.blame(Trouble(ladder.links[B], reason))
    told = [code for code in ladder.codes() if code != "replica.voted-out"]
    assert told == ["replica.failed"] * 2
    assert ladder.quorum.latest.in_sync == (A, C)
