"""Whose turn it is to be rebuilt, and what became of it."""

from __future__ import annotations

import itertools

import pytest

from jiva.ladder import (
    BALLOT,
    ack,
    answer,
    answer_frame,
    events_of,
    hearing,
    ready_links,
    volume_of,
)
from tierce_jiva.ballot import Membership
from tierce_jiva.findings import CopyEnded, Finding, InForce, NotRebuilt, Proved
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.marks import Marks
from tierce_jiva.pending import Pending
from tierce_jiva.promise import Promise
from tierce_jiva.quorum import Quorum
from tierce_jiva.read_path import ReadPath
from tierce_jiva.rebuilding import (
    LATE_S_MAX,
    LATE_S_MIN,
    RETRY_S_MAX,
    RETRY_S_MIN,
    STEADY_S,
    Rebuilding,
)
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.unflushed import Unflushed

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")


class Ladder:
    """A is the set; B and C are out, and miss nothing."""

    def __init__(self) -> None:
        self.links: Links = ready_links()
        self.agenda = hearing(self._hear)
        for link in self.links:
            link.missed.clear()
        self.quorum = Quorum(self.links, self.agenda)
        self.quorum.adopt(Membership(BALLOT, 0, NAMES, (A,)))
        self.unflushed = Unflushed(self.links.regions)
        self.marks = Marks(self.links, self.agenda)
        self.locked = InFlight()
        unequal = Extents(self.links.regions)
        self.reads = ReadPath(self.links, InFlight(), unequal, Pending(), None, self.agenda)
        self.reads.use([self.links[A]], [self.links[A]], "elsewhere")
        self.rebuilding = Rebuilding(
            self.links,
            self.quorum,
            self.marks,
            self.unflushed,
            self.locked,
            unequal,
            self.reads,
            StatusReporter(volume_of(self.links), self.agenda),
            self.agenda,
            window=2,
        )

    def _hear(self, found: Finding) -> None:
        match found:
            case InForce():
                self.rebuilding.in_force(self.quorum.latest.in_sync)
            case CopyEnded():
                self.rebuilding.ended(found.copy, found.trouble)
            case Proved():
                self.rebuilding.proved(found.link)
            case NotRebuilt():
                self.rebuilding.lost(found.link, found.reason)

    @property
    def codes(self) -> list[str]:
        return [event.code.removeprefix("jiva.replica.") for event in events_of(self.agenda)]

    @property
    def messages(self) -> list[str]:
        return [event.message.removeprefix("demo: ") for event in events_of(self.agenda)]

    def begun(self) -> list[str]:
        """Return who is rebuilt now."""
        progress = self.rebuilding.progress
        return [link.name for link in self.links if progress(link) is not None]

    def mark(self, link: Link) -> None:
        """It carries out the last order about marks; what else it was asked is forgotten."""
        newest = max(link.calls)
        link.calls = {newest: link.calls[newest]}
        answer(link, {"kind": "marked", "order": self.marks.order})

    def until_proved(self, link: Link) -> None:
        """It is marked, holds every mark, flushes, agrees."""
        self.mark(link)
        self.mark(link)
        answer_frame(link, ack())
        answer(link, {"kind": "redone", "done": True})

    def accept(self, *names: str) -> None:
        for name in names:
            answer(self.links[name], {"kind": "accepted"})


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_one_at_a_time_catches_up(ladder: Ladder) -> None:
    assert not ladder.rebuilding
    ladder.rebuilding.consider()
    assert ladder.rebuilding
    assert ladder.begun() == [B]
    assert ladder.rebuilding.progress(ladder.links[C]) is None
    ladder.rebuilding.consider()
    assert ladder.begun() == [B]
    assert ladder.codes == ["rebuilding"]


def test_one_that_is_not_here_or_must_wait_is_passed_over(ladder: Ladder) -> None:
    ladder.links[B].not_before = 5.0
    ladder.links[C].state = LinkState.DOWN
    ladder.rebuilding.consider()
    assert not ladder.rebuilding
    ladder.links[C].state = LinkState.READY
    ladder.rebuilding.consider()
    assert ladder.begun() == [C]


def test_while_a_vote_is_under_way_nobody_begins(ladder: Ladder) -> None:
    ladder.quorum.propose(frozenset({A}))
    ladder.rebuilding.consider()
    assert not ladder.rebuilding


def test_every_write_goes_to_it_once_it_is_marked(ladder: Ladder) -> None:
    link = ladder.links[B]
    link.missed.add(0)
    ladder.rebuilding.consider()
    assert ladder.rebuilding.mirror is None
    ladder.mark(link)
    assert ladder.rebuilding.mirror is link
    assert not ladder.rebuilding.is_finishing


def test_every_flush_waits_for_it_once_all_is_compared(ladder: Ladder) -> None:
    ladder.rebuilding.consider()
    ladder.mark(ladder.links[B])
    assert ladder.rebuilding.is_finishing


def test_one_that_is_proved_is_proposed_and_in_force_it_is_in_sync(ladder: Ladder) -> None:
    ladder.rebuilding.consider()
    link = ladder.links[B]
    link.doubt.add(3)
    link.copied.add(3)
    ladder.until_proved(link)
    assert ladder.quorum.latest.in_sync == (A, B)
    assert ladder.rebuilding.mirror is link, "until it is in force"
    # Whose memory counts from now on must have accepted itself.
    ladder.accept(A, C)
    assert ladder.quorum.is_voting
    ladder.accept(B)
    assert not ladder.rebuilding
    assert ladder.rebuilding.mirror is None
    assert not ladder.rebuilding.is_finishing
    assert ladder.codes == ["rebuilding", "in-sync"]
    assert link.patience_s == 0.0


def test_it_counts_from_when_it_is_proved_until_that_comes_to_nothing(ladder: Ladder) -> None:
    # It is required by then: the members may be voted out for it before it is in force.
    link = ladder.links[B]
    link.promise = Promise(ladder.quorum.latest, counts=False, suspect=True)
    ladder.rebuilding.consider()
    ladder.until_proved(link)
    assert link.has_kept
    assert not link.promise.suspect
    ladder.rebuilding.stop("planned")
    assert not link.has_kept


def test_a_failure_waits_twice_as_long_each_time_and_success_forgets_it(ladder: Ladder) -> None:
    link = ladder.links[B]
    waits = []
    for _ in range(8):
        ladder.links.now = link.not_before
        ladder.rebuilding.consider()
        ladder.rebuilding.stop("planned")
        waits.append(link.not_before - ladder.links.now)
    assert waits == [min(RETRY_S_MIN * 2**turn, RETRY_S_MAX) for turn in range(8)]
    assert "planned; next try in 30 s" in ladder.messages[-1]
    ladder.links.now = link.not_before
    ladder.rebuilding.consider()
    ladder.until_proved(link)
    ladder.accept(A, B)
    assert link.patience_s == 0.0


def test_one_that_was_a_mirror_may_miss_what_is_marked_now(ladder: Ladder) -> None:
    link = ladder.links[B]
    ladder.marks.begin([2])
    ladder.rebuilding.consider()
    ladder.rebuilding.stop("before it was marked")
    assert not link.missed
    ladder.links.now = link.not_before
    ladder.rebuilding.consider()
    link.missed.add(0)
    ladder.mark(link)
    ladder.rebuilding.lost(link, "cut")
    assert link.missed.regions() == {0, 2}
    assert ladder.agenda.may_admit


def test_what_was_written_to_a_mirror_may_not_be_on_its_disk(ladder: Ladder) -> None:
    link = ladder.links[B]
    link.missed.add(0)
    ladder.unflushed.add(7 << 20, 512)
    ladder.rebuilding.consider()
    ladder.mark(link)
    ladder.unflushed.add(9 << 20, 512)
    ladder.rebuilding.lost(link, "cut")
    assert list(link.copied) == [9], "since it has joined"


def test_one_that_is_lost_while_it_is_voted_on_is_taken_back(ladder: Ladder) -> None:
    ladder.rebuilding.consider()
    ladder.until_proved(ladder.links[B])
    assert B in ladder.quorum.latest.in_sync
    ladder.rebuilding.lost(ladder.links[B], "cut")
    assert ladder.quorum.is_voting
    assert B not in ladder.quorum.latest.in_sync


def test_only_the_one_that_catches_up_is_given_up_when_it_is_lost(ladder: Ladder) -> None:
    ladder.rebuilding.consider()
    ladder.rebuilding.lost(ladder.links[C], "cut")
    assert ladder.rebuilding
    ladder.rebuilding.lost(ladder.links[B], "cut")
    assert not ladder.rebuilding
    ladder.rebuilding.stop("nothing is under way")
    assert ladder.codes == ["rebuilding", "not-let-in"]


def test_a_membership_without_it_changes_nothing(ladder: Ladder) -> None:
    ladder.rebuilding.consider()
    ladder.rebuilding.in_force((A,))
    assert ladder.rebuilding
    ladder.rebuilding.stop("enough")
    ladder.rebuilding.in_force((A, B))
    assert "in-sync" not in ladder.codes


def test_one_that_is_late_soon_after_it_was_let_in_waits_longer_each_time(ladder: Ladder) -> None:
    link = ladder.links[B]
    waits = []
    for _ in range(8):
        ladder.rebuilding.was_at_fault(link)
        waits.append(link.not_before - ladder.links.now)
        link.in_since = ladder.links.now = link.not_before + 1
    assert waits[0] == 0
    assert waits[1] >= LATE_S_MIN
    for wait, later in itertools.pairwise(waits[1:]):
        assert later == min(2 * wait, LATE_S_MAX)
    assert waits[-1] == LATE_S_MAX
    ladder.links.now = link.in_since + STEADY_S + 1
    ladder.rebuilding.was_at_fault(link)
    assert link.not_before == ladder.links.now


def test_it_is_told_how_much_is_compared(ladder: Ladder) -> None:
    link = ladder.links[B]
    for extent in range(32):
        link.missed.add(extent)
    ladder.rebuilding.consider()
    assert ladder.messages == ["replica-2 is compared with a member in 32 MiB"]
    assert ladder.rebuilding.progress(link) == 0.0
