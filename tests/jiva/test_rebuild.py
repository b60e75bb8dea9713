"""One replica that earns its place: marked, compared, flushed, proved."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jiva.ladder import SIZE_BYTES, ack, answer, answer_frame, digests, hearing, ready_links, taken
from tierce import Code
from tierce_jiva.digests import zero_digest
from tierce_jiva.findings import CopyEnded, CopyFailed, Finding, NotRebuilt, Proved, Trouble
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links, PendingCall
from tierce_jiva.marks import Marks
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.rebuild import FLUSH_BYTES, Rebuild
from tierce_jiva.regions import EXTENT_BYTES, Extents
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import ENTRY, Kind

A, B, C = ("replica-1", "replica-2", "replica-3")
OLD = b"o" * 16


class Ladder:
    """A and B are members, C is rebuilt: two extents at once."""

    def __init__(self, *missed: int, size_bytes: int = SIZE_BYTES, window: int = 2) -> None:
        self.links: Links = ready_links(3, size_bytes)
        self.member, self.link = self.links[A], self.links[C]
        self.unflushed = Unflushed(self.links.regions)
        self.marks = Marks(self.links, Agenda())
        members = [self.links[A], self.links[B]]
        self.marks.use(members, members)
        self.marks.want([7])
        for link in members:
            taken(link)
            answer(link, {"kind": "marked", "order": 1})
        self.link.missed.clear()
        for extent in missed:
            self.link.missed.add(extent)
        self.locked = InFlight()
        self.unequal = Extents(self.links.regions)
        self.agenda = hearing(self._hear)
        self.notes: list[str] = []
        self.troubles: list[Trouble] = []
        self.reads = ReadPath(self.links, InFlight(), self.unequal, Pending(), None, self.agenda)
        self.reads.use([self.member], members, "elsewhere")
        self.rebuild = Rebuild(
            self.links,
            self.link,
            self.marks,
            self.unflushed,
            self.reads,
            self.unequal,
            self.locked,
            self.agenda,
            window=window,
        )

    def _hear(self, found: Finding) -> None:
        match found:
            case CopyEnded():
                self.rebuild.ended(found.copy, found.trouble)
            case CopyFailed():
                self.troubles.append(found.trouble)
            case Proved():
                self.notes.append("proved")
            case NotRebuilt():
                self.notes.append(found.reason)

    def sent(self, link: Link) -> list[str]:
        """Return what a replica is asked now."""
        return [
            str(frame.control()["kind"]) if frame.kind is Kind.CONTROL else frame.kind.name
            for frame in taken(link)
        ]

    def compared(self) -> list[int]:
        """Return the extents that a member is asked to digest now."""
        return [
            next(ENTRY.iter_unpack(frame.table))[2] // EXTENT_BYTES
            for frame in taken(self.member)
            if frame.kind is Kind.DIGEST
        ]

    def obey(self) -> None:
        """Say that the last order about marks is carried out."""
        answer(self.link, {"kind": "marked", "order": self.marks.order})

    def digest_both(self, data: bytes = OLD) -> None:
        """The member and the one that is rebuilt hold the same."""
        answer_frame(self.member, digests(data))
        answer_frame(self.link, digests(data))

    def differ(self) -> None:
        """The member has a hole where the one that is rebuilt holds something."""
        answer_frame(self.member, digests(zero_digest(EXTENT_BYTES)))
        answer_frame(self.link, digests(OLD))

    def answer_copy(self) -> None:
        """The hole was made."""
        answer_frame(self.link, ack())
        answer_frame(self.link, digests(zero_digest(EXTENT_BYTES)))

    def begin(self) -> None:
        """Go on until it is marked."""
        self.rebuild.start()
        self.obey()
        taken(self.link)


def test_it_is_marked_before_anything_is_compared_or_written_to_it() -> None:
    ladder = Ladder(0)
    ladder.rebuild.start()
    (message, *_) = [frame.control() for frame in taken(ladder.link)]
    assert (message["kind"], message["marks"]) == ("mark", "81")
    assert ladder.notes == []
    assert ladder.compared() == []
    ladder.obey()
    assert ladder.rebuild.has_joined
    assert ladder.compared() == [0]


def test_it_is_proved_when_it_is_equal_holds_every_mark_has_flushed_and_agrees() -> None:
    ladder = Ladder(0)
    ladder.begin()
    assert ladder.locked.overlaps(0, EXTENT_BYTES)
    ladder.digest_both()
    assert ladder.agenda.may_admit, "what waited for that extent may go on"
    assert ladder.rebuild.is_finishing
    assert not ladder.locked
    assert ladder.sent(ladder.link) == ["mark"]
    ladder.obey()
    assert ladder.sent(ladder.link) == ["FLUSH"]
    answer_frame(ladder.link, ack())
    assert ladder.sent(ladder.link) == ["redone"]
    assert ladder.rebuild.is_finishing
    answer(ladder.link, {"kind": "redone", "done": True})
    assert ladder.notes[-1] == "proved"
    assert (ladder.rebuild.done_count, ladder.rebuild.copied_bytes) == (1, 0)


def test_where_nothing_is_missed_it_flushes_at_once() -> None:
    ladder = Ladder()
    assert ladder.rebuild.progress == 1.0
    ladder.begin()
    ladder.obey()
    assert ladder.sent(ladder.link)[-1] == "FLUSH"


def test_what_is_compared_is_bounded_and_goes_on_as_it_is_done() -> None:
    ladder = Ladder(*range(8))
    ladder.begin()
    assert len(ladder.link.missed) == 8
    ladder.digest_both()
    ladder.digest_both()
    assert ladder.rebuild.progress == 0.25
    # What comes next lies in the next region, which is marked already.
    for _ in range(6):
        ladder.digest_both()
    assert not ladder.link.missed
    assert ladder.rebuild.is_finishing


def test_what_is_copied_is_noted_before_it_is_sent_as_its_own() -> None:
    ladder = Ladder(3)
    ladder.begin()
    ladder.differ()
    assert list(ladder.link.copied) == [3]
    assert not ladder.unflushed.since(0), "the members were not written to"
    ladder.answer_copy()
    assert ladder.rebuild.copied_bytes == EXTENT_BYTES
    assert not ladder.link.missed


def test_much_that_is_copied_is_flushed_on_the_way() -> None:
    count = FLUSH_BYTES // EXTENT_BYTES
    ladder = Ladder(*range(count + 4), size_bytes=2 * FLUSH_BYTES, window=1)
    ladder.begin()
    flushes: list[PendingCall] = []
    for _ in range(count + 4):
        ladder.differ()
        ladder.answer_copy()
        if "FLUSH" in ladder.sent(ladder.link):
            questions = ladder.link.calls
            flushes.append(questions.pop(next(iter(questions))))
    assert len(flushes) == 1
    assert not ladder.link.missed
    assert not ladder.rebuild.is_finishing, "its disk is behind"
    flushes[0].answer(ack())
    assert ladder.rebuild.is_finishing
    assert len(ladder.link.copied) == 4, "what was copied since is not flushed"


def test_what_is_in_doubt_is_written_without_comparing() -> None:
    ladder = Ladder(3)
    ladder.link.doubt.add(3)
    ladder.begin()
    assert Kind.DIGEST.name not in ladder.sent(ladder.link)
    answer_frame(ladder.member, digests(zero_digest(EXTENT_BYTES)))
    assert ladder.sent(ladder.link) == ["BATCH", "DIGEST"]
    answer_frame(ladder.link, ack())
    answer_frame(ladder.link, digests(zero_digest(EXTENT_BYTES)))
    assert not ladder.link.doubt


def test_after_a_failed_sync_its_bytes_are_opened_anew_first() -> None:
    ladder = Ladder(0)
    ladder.link.must_reopen = True
    ladder.rebuild.start()
    assert ladder.sent(ladder.link) == ["renew"]
    answer(ladder.link, {"kind": "renewed"})
    assert not ladder.link.must_reopen
    assert "mark" in ladder.sent(ladder.link)


def test_what_is_unequal_on_the_members_themselves_waits_for_them() -> None:
    ladder = Ladder(0, 1)
    ladder.unequal.add(0)
    ladder.begin()
    ladder.digest_both()
    assert list(ladder.link.missed) == [0]
    assert not ladder.rebuild.is_finishing
    ladder.unequal.clear()
    ladder.rebuild.advance()
    ladder.digest_both()
    assert ladder.rebuild.is_finishing


def test_what_is_in_doubt_on_the_member_itself_waits_until_it_was_written_again() -> None:
    ladder = Ladder(0, 1, 2)
    ladder.member.doubt.add(1)
    ladder.begin()
    assert ladder.compared() == [0, 2]
    for _ in range(2):
        ladder.digest_both()
    assert ladder.compared() == []
    assert not ladder.rebuild.is_finishing
    ladder.member.doubt.discard(1)
    ladder.rebuild.advance()
    assert ladder.compared() == [1]


def test_regions_are_marked_ahead_of_what_is_compared() -> None:
    ladder = Ladder(0, 4, 8)
    ladder.begin()
    assert ladder.compared() == [0, 4]
    # What has come to be missed since lies in a region that it is not marked in.
    ladder.link.missed.add(12)
    ladder.digest_both()
    ladder.digest_both()
    assert ladder.compared() == [8]
    order = taken(ladder.link)[-1].control()
    assert order["marks"] == "8f"
    ladder.digest_both()
    assert ladder.compared() == []
    ladder.obey()
    assert ladder.compared() == [12]
    assert not ladder.rebuild.is_finishing


def test_a_block_that_is_wrong_after_its_copy_is_told_with_its_extent() -> None:
    ladder = Ladder(3)
    ladder.begin()
    ladder.differ()
    answer_frame(ladder.link, ack())
    answer_frame(ladder.link, digests(OLD))
    assert "other bytes after its copy in extent 3145728+1048576" in ladder.notes[-1]
    assert ladder.troubles == [], "no member is at fault"
    assert not ladder.locked
    assert list(ladder.link.missed) == [3]


def test_a_member_that_fails_is_suspected() -> None:
    ladder = Ladder(3)
    ladder.begin()
    answer_frame(ladder.member, ack(1, [(0, Code.READ_ERROR)]))
    assert [trouble.link for trouble in ladder.troubles] == [ladder.member]
    assert "can't digest" in ladder.notes[-1]


def test_without_a_member_to_copy_from_it_is_not_let_in() -> None:
    ladder = Ladder(3)
    ladder.reads.use([], [], "elsewhere")
    ladder.begin()
    assert ladder.notes[-1] == "no member is there to copy from"


def test_if_its_flush_fails_all_that_it_has_not_flushed_is_to_be_written_again() -> None:
    ladder = Ladder(3)
    ladder.unflushed.add(4 << 20, 512)
    ladder.link.flushed_epoch = ladder.unflushed.begin_flush()
    ladder.begin()
    # A write that it took while it was rebuilt is as much in doubt as what was copied.
    ladder.unflushed.add(6 << 20, 512)
    ladder.digest_both()
    ladder.obey()
    answer_frame(ladder.link, ack(1, [(0, Code.WRITE_ERROR)]))
    assert "can't flush" in ladder.notes[-1]
    assert ladder.link.must_reopen
    assert list(ladder.link.missed) == list(ladder.link.doubt) == [6]


def test_if_it_is_lost_while_it_flushes_it_is_not_let_in() -> None:
    ladder = Ladder()
    ladder.begin()
    ladder.obey()
    ladder.links.lose(ladder.link, "cut")
    assert "can't flush" in ladder.notes[-1]
    assert not ladder.link.must_reopen, "its sync has not failed as far as is known"


def test_a_member_that_is_lost_is_at_no_fault() -> None:
    ladder = Ladder(3)
    ladder.begin()
    ladder.links.lose(ladder.member, "cut")
    assert ladder.troubles == []
    assert "can't digest" in ladder.notes[-1]


def test_if_it_does_not_agree_that_all_was_written_again_it_is_not_let_in() -> None:
    ladder = Ladder()
    ladder.begin()
    ladder.obey()
    answer_frame(ladder.link, ack())
    answer(ladder.link, {"kind": "redone", "done": False})
    assert ladder.notes[-1] == "replica-3 failed a flush again"


def test_its_flush_covers_what_was_written_before_it_began() -> None:
    ladder = Ladder()
    ladder.unflushed.add(0, 512)
    ladder.begin()
    ladder.obey()
    ladder.unflushed.add(EXTENT_BYTES, 512)
    answer_frame(ladder.link, ack())
    ladder.unflushed.begin_flush()
    assert list(ladder.unflushed.since(ladder.link.flushed_epoch)) == [1]


@pytest.mark.parametrize("reached", range(5))
def test_nothing_comes_of_one_that_was_stopped(reached: int) -> None:
    ladder = Ladder(0)
    steps: list[Callable[[], None]] = [
        ladder.obey,
        ladder.digest_both,
        ladder.obey,
        lambda: answer_frame(ladder.link, ack()),
        lambda: answer(ladder.link, {"kind": "redone", "done": True}),
    ]
    ladder.rebuild.start()
    for step in steps[:reached]:
        step()
    taken(ladder.link)
    notes = list(ladder.notes)
    ladder.rebuild.stop()
    assert not ladder.locked
    # What was asked is answered all the same.
    steps[reached]()
    ladder.rebuild.advance()
    ladder.rebuild.fail("too late")
    assert ladder.notes == notes
    assert ladder.sent(ladder.link) == []


def test_a_copy_that_was_stopped_writes_nothing_that_comes_late() -> None:
    ladder = Ladder(3)
    ladder.begin()
    ladder.rebuild.stop()
    taken(ladder.link)
    answer_frame(ladder.member, digests(zero_digest(EXTENT_BYTES)))
    answer_frame(ladder.link, digests(OLD))
    assert ladder.sent(ladder.link) == []
