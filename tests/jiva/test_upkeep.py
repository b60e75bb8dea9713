"""What keeps the members' bytes marked, equal and durable, and what one means to the others."""

from __future__ import annotations

import pytest

from jiva.ladder import (
    BALLOT,
    ack,
    answer,
    answer_frame,
    asked,
    digests,
    events_of,
    hearing,
    ready_links,
    said,
    taken,
    volume_of,
)
from tierce import Code, Event
from tierce_jiva.ballot import Membership
from tierce_jiva.findings import AtFault, Cleared, CopyEnded, Doubted, FailedAgain, Finding, Sound
from tierce_jiva.host import Standing, State
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.quorum import Quorum
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.upkeep import Upkeep
from tierce_jiva.wire import Kind
from tierce_jiva.write_path import WritePath

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
REGION = 4 << 20
CLEAN_AFTER_S = 5.0


class Ladder:
    """A and B are the set."""

    def __init__(self) -> None:
        self.links: Links = ready_links()
        self.agenda = hearing(self._hear)
        self.notes: list[str] = []
        self.suspected: list[str] = []
        self.is_refreshed = False
        self.quorum = Quorum(self.links, self.agenda)
        self.quorum.adopt(Membership(BALLOT, 0, NAMES, (A, B)))
        self.standing = Standing(State.SERVING)
        self.unflushed = Unflushed(self.links.regions)
        self.writes = WritePath(self.links, InFlight(), self.unflushed, self.agenda)
        options = JivaOptions(
            replicas=tuple(ReplicaOptions(folder=name) for name in NAMES),
            clean_after_s=CLEAN_AFTER_S,
        )
        self.upkeep = Upkeep(
            options,
            self.standing,
            self.links,
            self.quorum,
            self.writes,
            self.unflushed,
            InFlight(),
            Extents(self.links.regions),
            StatusReporter(volume_of(self.links), self.agenda),
            self.agenda,
        )
        members = [self.links[name] for name in (A, B)]
        for link in self.links:
            link.missed.clear()
        self.writes.use(members, self.links.mask({A, B}))
        self.upkeep.marks.use(members, members)
        self.refresh()

    @property
    def events(self) -> list[Event]:
        return events_of(self.agenda)

    def _hear(self, found: Finding) -> None:
        match found:
            case AtFault():
                self.suspected.extend(link.name for link in found.links)
            case Doubted():
                self.notes.append("doubted")
            case Sound():
                self.upkeep.released(found.link)
            case FailedAgain():
                self.upkeep.failed_again(found.link)
            case CopyEnded():
                assert self.upkeep.repair.ended(found.copy, found.trouble)
                if self.agenda.has_mended:
                    self.upkeep.mended()

    def refresh(self) -> None:
        """As the controller does."""
        self.agenda.must_refresh = False
        self.upkeep.use(has_majority=len(self.links.ready()) > 1)

    def mark(self, *regions: int) -> None:
        """Mark and write these on both."""
        for region in regions:
            self.upkeep.marks.may_write(region * REGION, 512)
            self.unflushed.add(region * REGION, 512)
        self.obey()

    def obey(self) -> None:
        """Both carry out every order about marks."""
        while any(self.links[name].calls for name in (A, B)):
            for name in (A, B):
                if self.links[name].calls:
                    answer(self.links[name], {"kind": "marked", "order": self.upkeep.marks.order})

    def sent(self, name: str) -> list[str]:
        return [
            str(frame.control()["kind"]) if frame.kind is Kind.CONTROL else frame.kind.name
            for frame in taken(self.links[name])
        ]

    def doubt(self, name: str, *extents: int) -> Link:
        found = Extents(self.links.regions)
        for extent in extents:
            found.add(extent)
        self.upkeep.doubts.put(self.links[name], found)
        self.is_refreshed = self.agenda.must_refresh
        self.refresh()
        return self.links[name]


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


# -- writing ---------------------------------------------------------------------------------------


def test_bytes_may_be_written_when_all_their_regions_are_marked(ladder: Ladder) -> None:
    assert not ladder.upkeep.marks.may_write(REGION - 512, 1024)
    assert asked(ladder.links[A]) == ["mark"]
    ladder.obey()
    assert ladder.upkeep.marks.may_write(REGION - 512, 1024)
    assert not ladder.upkeep.marks.may_write(2 * REGION - 512, 1024)


# -- cleaning --------------------------------------------------------------------------------------


def rested(ladder: Ladder) -> Ladder:
    """Two regions are marked, and rest after a flush."""
    ladder.mark(0, 1)
    for name in (A, B):
        ladder.sent(name)
    ladder.upkeep.cleaning.flushed(ladder.unflushed.begin_flush(), 0.0)
    ladder.links.now = CLEAN_AFTER_S
    return ladder


def test_marks_of_what_rests_go_while_the_set_is_settled(ladder: Ladder) -> None:
    rested(ladder).upkeep.advance(is_settled=True)
    assert ladder.sent(A) == ["mark"]
    assert not ladder.upkeep.marks.common


def test_no_mark_goes_while_the_set_is_not_settled(ladder: Ladder) -> None:
    rested(ladder).upkeep.advance(is_settled=False)
    assert ladder.upkeep.marks.common == {0, 1}


def test_no_mark_goes_while_a_member_is_in_doubt(ladder: Ladder) -> None:
    rested(ladder)
    ladder.doubt(B, 5)
    ladder.upkeep.advance(is_settled=True)
    assert ladder.upkeep.marks.common == {0, 1}


def test_the_mark_of_what_is_unequal_stays(ladder: Ladder) -> None:
    rested(ladder).upkeep.repair.unequal.add(4)
    ladder.upkeep.advance(is_settled=True)
    assert ladder.upkeep.marks.common == {1}


def test_at_an_orderly_end_all_marks_go_but_those_that_are_needed(ladder: Ladder) -> None:
    ladder.mark(0, 1)
    ladder.upkeep.repair.unequal.add(4)
    assert ladder.upkeep.can_be_cleaned
    ladder.upkeep.clean(ladder.unflushed.begin_flush())
    assert ladder.upkeep.marks.common == {1}
    assert said(ladder.agenda, Cleared) == []
    ladder.obey()
    assert said(ladder.agenda, Cleared) == [Cleared()]


def test_at_an_orderly_end_the_mark_of_what_a_copy_has_written_since_the_flush_stays(
    ladder: Ladder,
) -> None:
    ladder.mark(0, 1)
    epoch = ladder.unflushed.begin_flush()
    ladder.unflushed.add(REGION, 512)
    ladder.upkeep.clean(epoch)
    assert ladder.upkeep.marks.common == {1}


def test_there_is_something_to_clean_while_an_order_is_under_way(ladder: Ladder) -> None:
    assert not ladder.upkeep.can_be_cleaned
    ladder.mark(0)
    ladder.upkeep.clean(ladder.unflushed.begin_flush())
    assert not ladder.upkeep.marks.common
    assert ladder.upkeep.can_be_cleaned, "it is not durable yet"
    ladder.obey()
    assert not ladder.upkeep.can_be_cleaned


# -- reads and syncs that fail ---------------------------------------------------------------------


def failed_read(ladder: Ladder, name: str) -> None:
    link = ladder.links[name]
    ladder.upkeep.read_failed(link, "bad sector", [(5 << 20, 2 << 20)])


def test_what_a_member_could_not_read_is_written_to_it_again(ladder: Ladder) -> None:
    failed_read(ladder, B)
    assert list(ladder.links[B].doubt) == [5, 6]
    assert ladder.links[B].is_in_doubt
    assert ladder.suspected == []
    (event,) = ladder.events
    assert (event.code, event.severity) == ("jiva.replica.read-failed", "error")
    failed_read(ladder, B)
    assert len(ladder.events) == 1, "it is told once"


def test_all_that_a_member_names_as_unreadable_is_written_to_it_again(ladder: Ladder) -> None:
    ladder.upkeep.read_failed(ladder.links[B], "bad sectors", [(5 << 20, 512), (9 << 20, 512)])
    assert list(ladder.links[B].doubt) == [5, 9]


def test_the_only_sound_member_that_can_not_read_is_at_fault(ladder: Ladder) -> None:
    ladder.doubt(A, 1)
    failed_read(ladder, B)
    assert ladder.suspected == [B]
    assert not ladder.links[B].doubt


def test_one_that_is_no_member_and_can_not_read_is_at_fault(ladder: Ladder) -> None:
    failed_read(ladder, C)
    assert ladder.suspected == [C]


def test_a_failed_sync_matters_on_those_that_are_required(ladder: Ladder) -> None:
    ladder.unflushed.add(0, 512)
    ladder.upkeep.sync_failed(ladder.links[C])
    assert not ladder.links[C].is_in_doubt
    ladder.upkeep.sync_failed(ladder.links[A])
    assert ladder.links[A].must_reopen


# -- doubts ----------------------------------------------------------------------------------------


def test_one_in_doubt_changes_whom_to_read(ladder: Ladder) -> None:
    ladder.doubt(B, 5)
    assert ladder.is_refreshed
    assert not ladder.upkeep.repair.unequal


def test_if_all_are_in_doubt_they_may_differ_and_so_may_who_was_copied_from_them(
    ladder: Ladder,
) -> None:
    ladder.doubt(A, 4)
    ladder.doubt(B, 5)
    assert sorted(ladder.upkeep.repair.unequal) == [4, 5]
    assert sorted(ladder.links[C].missed) == [4, 5]
    assert "doubted" in ladder.notes


def test_one_alone_in_doubt_differs_from_nobody(ladder: Ladder) -> None:
    ladder.quorum.adopt(Membership(BALLOT, 0, NAMES, (A,)))
    ladder.doubt(A, 4)
    assert not ladder.upkeep.repair.unequal
    assert sorted(ladder.links[C].missed) == [4]


def test_an_older_copy_is_not_counted_among_those_that_are_not_in_doubt(ladder: Ladder) -> None:
    ladder.links[B].is_older = True
    ladder.doubt(A, 4)
    assert "doubted" in ladder.notes


def prove(ladder: Ladder, link: Link) -> None:
    """It has flushed what was written again, and agrees."""
    link.doubt.clear()
    ladder.upkeep.doubts.advance([link])
    answer_frame(link, ack())
    answer(link, {"kind": "redone", "done": True})


def test_one_that_is_sound_again_gets_the_flushes_that_waited_and_all_is_tidied(
    ladder: Ladder,
) -> None:
    ladder.mark(1)
    link = ladder.doubt(B, 5)
    ladder.writes.flush([], None)
    for name in (A, B):
        ladder.sent(name)
    prove(ladder, link)
    kinds = [kind for kind in ladder.sent(B) if kind == "FLUSH"]
    # Its own, the one that waited, and one more so that the marks may go.
    assert len(kinds) == 3
    assert ladder.sent(A) == ["FLUSH"]
    assert ladder.agenda.must_refresh


def test_what_is_equal_again_is_tidied_too(ladder: Ladder) -> None:
    ladder.mark(0)
    ladder.upkeep.repair.add(0, 512)
    ladder.upkeep.repair.advance()
    for name in (A, B):
        ladder.sent(name)
    assert not ladder.upkeep.is_done
    for name in (A, B):
        answer_frame(ladder.links[name], digests(b"o" * 16))
    assert ladder.upkeep.is_done
    assert ladder.sent(A) == ["FLUSH"]
    assert ladder.agenda.may_admit


def test_one_that_can_not_flush_what_was_written_again_is_at_fault_beside_a_sound_one(
    ladder: Ladder,
) -> None:
    for is_sound in (True, False):
        link = ladder.doubt(B, 5)
        if not is_sound:
            ladder.doubt(A, 6)
        link.doubt.clear()
        ladder.links.now += 10.0
        link.must_reopen = False
        ladder.upkeep.doubts.advance([link])
        answer_frame(link, ack(1, [(0, Code.WRITE_ERROR)]))
        assert ladder.suspected == [B], "once, and not again where nobody else is sound"


# -- when ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["opening", "no majority", "serving"])
def test_something_is_copied_only_while_the_target_serves(ladder: Ladder, how: str) -> None:
    ladder.mark(0)
    ladder.sent(A)
    ladder.quorum.adopt(Membership(BALLOT, 0, NAMES, (A,)))
    if how == "opening":
        ladder.standing.state = State.OPENING
    elif how == "no majority":
        for name in (B, C):
            ladder.links[name].state = LinkState.DOWN
    ladder.doubt(A, 0)
    ladder.upkeep.advance(is_settled=True)
    assert ladder.sent(A) == (["DIGEST"] if how == "serving" else [])


def test_time_matters_while_something_is_to_be_cleaned_or_written_again(ladder: Ladder) -> None:
    assert not ladder.upkeep
    assert ladder.upkeep.is_done
    rested(ladder)
    assert ladder.upkeep
    assert ladder.upkeep.is_done
    ladder.upkeep.advance(is_settled=True)
    assert not ladder.upkeep
    ladder.doubt(B, 5)
    assert ladder.upkeep
    assert not ladder.upkeep.is_done
