"""How a target comes to serve: greeted, promised, proposed, in force; and who outbids whom."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.ladder import answer, asked, events_of, hearing, ready_links, restarts_of, said, volume_of
from tierce import Event, ProtocolError
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership
from tierce_jiva.findings import Finding, Greeted, InForce, Promised, Refused, Useless
from tierce_jiva.host import Host, Standing, State
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.opener import OPENING_RETRY_S, REBID_S, REOPEN_S, REOPEN_S_MAX, Opener
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.promise import Promise
from tierce_jiva.quorum import Quorum
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Fence

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
OWN = 7
FIRST = Membership(NO_BALLOT, 0, NAMES, NAMES)
PATIENCE_S = 2.0
DEAD_S = 5.0


class Ladder:
    """Three replicas, none of them connected."""

    def __init__(self) -> None:
        self.links: Links = ready_links()
        self.links.ballot = NO_BALLOT
        for link in self.links:
            link.state = LinkState.DOWN
        self.agenda = hearing(self._hear)
        self.retries: list[float] = []
        self.hangups: list[tuple[str, str]] = []
        self.ready: list[str] = []
        self.in_force: list[Membership] = []
        self.wall = 1000
        host = Host(local=None, wall_ms=lambda: self.wall)
        volume = volume_of(self.links)
        self.standing = Standing()
        self.quorum = Quorum(self.links, self.agenda)
        self.opener = Opener(
            volume,
            JivaOptions(
                replicas=tuple(ReplicaOptions(folder=name) for name in NAMES),
                opening_patience_s=PATIENCE_S,
                dead_s=DEAD_S,
            ),
            host,
            self.agenda,
            self.standing,
            self.links,
            self.quorum,
            StatusReporter(volume, self.agenda),
        )

    @property
    def events(self) -> list[Event]:
        return events_of(self.agenda)

    @property
    def restarts(self) -> list[str]:
        return restarts_of(self.agenda)

    @property
    def fenced(self) -> list[str]:
        return [fence.reason for fence in said(self.agenda, Fence)]

    def _hear(self, found: Finding) -> None:
        match found:
            case Greeted():
                self.opener.greeted(found.link, found.promised)
            case Promised():
                self.ready.append(found.link.name)
                self.opener.promised(found.link)
                self.opener.advance()
            case Refused():
                self.opener.refused(found)
            case InForce():
                self.in_force.append(self.quorum.latest)
            case Useless():
                self.retries.append(found.retry_s)
                self.hang_up(found.link, found.reason)
                found.link.trouble = found.trouble or found.link.trouble

    def hang_up(self, link: Link, reason: str) -> None:
        self.hangups.append((link.name, reason))
        self.lose(link.name)

    def hang_up_on_hung(self) -> None:
        for link in self.opener.find_hung():
            self.hang_up(link, "it hangs")

    def stands(self, state: State) -> bool:
        return self.standing.state is state

    def lose(self, name: str) -> None:
        self.links.lose(self.links[name], "cut")
        self.opener.lost()

    def greet(self, *names: str, promised: Ballot = NO_BALLOT) -> None:
        for name in names:
            self.opener.handshake.greet(self.links[name])
            asked(self.links[name])
            message = {"kind": "welcome", "boot_id": "b", "head": "/h", "device": 1, "inode": 1}
            answer(self.links[name], message | {"promised": promised.to_json(), "incarnation": 5})

    def promise(self, *names: str, **changes: Any) -> None:
        message = {
            "kind": "promise",
            "accepted": FIRST.to_json(),
            "bids": [],
            "counts": True,
            "marks": "",
            "order": [0, 0, 0],
            "settled": [0, 0, 0],
            "suspect": False,
            "doubt": "",
            "copied": False,
            "began": [0, 0],
        }
        for name in names:
            answer(self.links[name], message | changes)

    def refuse(self, name: str, promised: Ballot, why: str = "ballot", **more: str) -> None:
        link = self.links[name]
        message = {"kind": "refused", "why": why, "promised": promised.to_json(), **more}
        self.opener.handshake.refusal(link, message)

    def asked(self) -> dict[str, list[str]]:
        return {link.name: kinds for link in self.links if (kinds := asked(link))}

    def serve(self) -> None:
        """All have promised, and the target serves."""
        self.greet(*NAMES)
        self.promise(*NAMES)
        self.standing.state = State.SERVING
        for link in self.links:
            link.calls.clear()
            asked(link)


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


# -- bidding ---------------------------------------------------------------------------------------


def test_it_bids_when_a_majority_has_greeted(ladder: Ladder) -> None:
    ladder.greet(A)
    assert ladder.links.ballot == NO_BALLOT
    assert ladder.asked() == {}
    ladder.greet(B)
    assert ladder.links.ballot == Ballot(1000, OWN)
    assert ladder.asked() == {A: ["prepare"], B: ["prepare"]}
    ladder.greet(C)
    assert ladder.asked() == {C: ["prepare"]}


def test_it_bids_more_than_it_was_told_of_and_than_the_clock_says(ladder: Ladder) -> None:
    ladder.greet(A, promised=Ballot(5000, 1))
    ladder.greet(B, promised=Ballot(4000, 1))
    assert ladder.links.ballot == Ballot(5001, OWN)
    other = Ladder()
    other.greet(A, B, promised=Ballot(10, 1))
    assert other.links.ballot == Ballot(1000, OWN), "one that died half-way is outbid unseen"


@pytest.mark.parametrize("how", ["greeted", "refused"])
def test_a_higher_ballot_is_outbid_later_and_not_in_step(ladder: Ladder, how: str) -> None:
    ladder.greet(A, B)
    if how == "greeted":
        ladder.greet(C, promised=Ballot(9000, 1))
    else:
        ladder.greet(C)
        ladder.refuse(C, Ballot(9000, 1))
    ladder.asked()
    ladder.opener.advance()
    assert ladder.links.ballot == Ballot(1000, OWN)
    assert "higher ballot" in ladder.links[C].trouble
    ladder.links.now = REBID_S
    ladder.opener.advance()
    assert ladder.links.ballot == Ballot(1000, OWN), "each waits for a time of its own"
    ladder.links.now = 2 * REBID_S
    ladder.opener.advance()
    assert ladder.links.ballot == Ballot(9001, OWN)
    assert set(ladder.asked()) == set(NAMES)


def test_another_refusal_ends_the_connection(ladder: Ladder) -> None:
    ladder.greet(A, B)
    ladder.refuse(A, NO_BALLOT, why="identity")
    ladder.refuse(B, ladder.links.ballot)
    assert ladder.hangups == [(A, "refused: identity"), (B, "refused: ballot")]


def test_a_refusal_without_a_ballot_breaks_the_protocol(ladder: Ladder) -> None:
    with pytest.raises(ProtocolError, match="two integers"):
        ladder.opener.handshake.refusal(ladder.links[A], {"why": "ballot"})


# -- opening ---------------------------------------------------------------------------------------


def test_with_all_promised_it_proposes_at_once(ladder: Ladder) -> None:
    ladder.greet(*NAMES)
    ladder.promise(A, B)
    assert ladder.stands(State.OPENING)
    ladder.promise(C)
    assert ladder.stands(State.ELECTING)
    assert ladder.quorum.latest.in_sync == NAMES
    for name in (A, B):
        answer(ladder.links[name], {"kind": "accepted"})
    assert ladder.in_force == [Membership(ladder.links.ballot, 1, NAMES, NAMES)]


def test_with_a_majority_it_waits_a_while_for_the_rest(ladder: Ladder) -> None:
    ladder.greet(A, B)
    ladder.links.now = 1.0
    ladder.promise(A, B)
    ladder.links.now = 1.0 + PATIENCE_S - 0.1
    ladder.opener.advance()
    assert ladder.stands(State.OPENING)
    ladder.links.now = 1.0 + PATIENCE_S
    ladder.opener.advance()
    assert ladder.stands(State.ELECTING)
    assert ladder.quorum.latest.in_sync == (A, B)


def test_its_patience_begins_anew_with_each_majority(ladder: Ladder) -> None:
    ladder.greet(A, B)
    ladder.promise(A, B)
    ladder.lose(B)
    ladder.links.now = PATIENCE_S
    ladder.opener.advance()
    ladder.greet(B)
    ladder.promise(B)
    assert ladder.stands(State.OPENING)


def test_if_it_may_not_open_it_says_once_whom_it_waits_for(ladder: Ladder) -> None:
    ladder.greet(A, B)
    ladder.promise(A, B, counts=False, marks="01")
    ladder.links.now = PATIENCE_S
    for _ in range(3):
        ladder.opener.advance()
    assert ladder.stands(State.OPENING)
    (event,) = ladder.events
    assert event.code == "jiva.volume.waiting"
    assert event.message.endswith("waiting for replica-3")


def test_a_connection_that_is_lost_while_it_is_voted_on_begins_the_opening_anew(
    ladder: Ladder,
) -> None:
    ladder.greet(*NAMES)
    ladder.promise(*NAMES)
    ladder.lose(C)
    assert ladder.stands(State.OPENING)
    assert not ladder.quorum.is_voting
    answer(ladder.links[A], {"kind": "accepted"})
    assert ladder.in_force == []


def test_one_that_is_put_back_while_it_is_voted_on_is_told_by_what_was_before(
    ladder: Ladder,
) -> None:
    before = Membership(Ballot(5, 9), 1, NAMES, NAMES)
    ladder.greet(*NAMES)
    ladder.promise(*NAMES, accepted=before.to_json())
    # A accepts what this target proposes; C is lost, and comes back as it was long ago.
    own = ladder.quorum.latest
    ladder.lose(C)
    ladder.links[A].promise = Promise(own)
    ladder.links[B].promise = Promise(own)
    ladder.greet(C)
    ladder.promise(C)
    assert ladder.stands(State.ELECTING)
    assert ladder.quorum.latest.in_sync == (A, B)


# -- who hangs -------------------------------------------------------------------------------------


def test_one_that_does_not_finish_its_handshake_is_hung_up_on(ladder: Ladder) -> None:
    ladder.greet(A, B)
    ladder.opener.handshake.greet(ladder.links[C])
    ladder.promise(A, B)
    ladder.links.now = DEAD_S + 0.1
    ladder.hang_up_on_hung()
    assert ladder.hangups == [(C, "it hangs")]


def test_one_that_hangs_while_the_target_serves_is_somebody_elses_affair(ladder: Ladder) -> None:
    ladder.serve()
    ladder.links.ask(ladder.links[B], {"kind": "mark"}, lambda _frame: None)
    ladder.links.now = DEAD_S + 0.1
    ladder.hang_up_on_hung()
    assert ladder.hangups == []
    ladder.standing.state = State.ELECTING
    ladder.hang_up_on_hung()
    assert ladder.hangups == [(B, "it hangs")]


# -- outbid while it serves ------------------------------------------------------------------------


def test_one_higher_promise_is_a_failed_replica(ladder: Ladder) -> None:
    ladder.serve()
    ladder.refuse(C, Ballot(9000, 1))
    assert ladder.stands(State.SERVING)
    assert ladder.fenced == []
    assert ladder.links[C].promised_elsewhere
    assert ladder.hangups[0][0] == C
    assert [event.code for event in ladder.events] == ["jiva.replica.outbid"]


def test_without_a_majority_that_is_not_promised_elsewhere_it_is_fenced(ladder: Ladder) -> None:
    ladder.serve()
    for name in (B, C):
        ladder.refuse(name, Ballot(9000, 1))
    assert ladder.stands(State.ENDED)
    (reason,) = ladder.fenced
    assert reason == "replica-2, replica-3 have promised higher ballots to another target"
    assert ladder.events[-1].code == "jiva.target.fenced"


def test_for_one_promised_elsewhere_the_volume_is_opened_anew_when_it_is_idle(
    ladder: Ladder,
) -> None:
    ladder.serve()
    ladder.opener.consider_reopening(is_idle=True)
    ladder.refuse(C, Ballot(9000, 1))
    ladder.opener.consider_reopening(is_idle=True)
    ladder.links.now = REOPEN_S
    ladder.opener.consider_reopening(is_idle=True)
    assert ladder.restarts == []
    ladder.links.now = REOPEN_S + 0.1
    ladder.opener.consider_reopening(is_idle=False)
    assert ladder.restarts == []
    ladder.opener.consider_reopening(is_idle=True)
    assert ladder.restarts == ["to let in replica-3, promised to a target that is gone"]


def test_and_at_last_anyway(ladder: Ladder) -> None:
    ladder.serve()
    ladder.refuse(C, Ballot(9000, 1))
    ladder.opener.consider_reopening(is_idle=False)
    ladder.links.now = REOPEN_S_MAX + 0.1
    ladder.opener.consider_reopening(is_idle=False)
    assert ladder.restarts


def test_the_wait_begins_anew_when_nobody_is_promised_elsewhere_any_more(ladder: Ladder) -> None:
    ladder.serve()
    ladder.refuse(C, Ballot(9000, 1))
    ladder.opener.consider_reopening(is_idle=True)
    ladder.lose(C)
    ladder.greet(C, promised=ladder.links.ballot)
    assert not ladder.links[C].promised_elsewhere
    ladder.opener.consider_reopening(is_idle=True)
    ladder.links.now = REOPEN_S + 0.1
    ladder.lose(C)
    ladder.greet(C, promised=Ballot(9000, 1))
    ladder.opener.consider_reopening(is_idle=True)
    assert ladder.restarts == []


def test_a_replica_that_opens_its_store_is_asked_again_later_and_says_why(ladder: Ladder) -> None:
    ladder.refuse(A, NO_BALLOT, "opening", text="its store tank is being opened")
    assert ladder.hangups == [(A, "its store tank is being opened")]
    ladder.refuse(B, NO_BALLOT, "opening")
    assert ladder.hangups[1:] == [(B, "its store is being opened")]
    assert ladder.retries == [OPENING_RETRY_S] * 2
    ladder.refuse(C, NO_BALLOT, "identity")
    assert (ladder.hangups[2:], ladder.retries[2:]) == ([(C, "refused: identity")], [0.0])
