"""Members in doubt: what was in doubt is written, flushed, and agreed, in this order."""

from __future__ import annotations

import pytest

from jiva.ladder import (
    ack,
    answer,
    answer_frame,
    asked,
    events_of,
    ready_links,
    said,
    taken,
    volume_of,
)
from tierce import Code
from tierce_jiva.doubts import Doubts
from tierce_jiva.findings import FailedAgain, Sound
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.regions import Extents
from tierce_jiva.status_reporter import StatusReporter
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Kind

A, B, C = ("replica-1", "replica-2", "replica-3")
FAILED = ack(1, [(0, Code.WRITE_ERROR)])


class Ladder:
    """Three members, of which one is in doubt."""

    def __init__(self) -> None:
        self.links: Links = ready_links()
        self.link: Link = self.links[B]
        self.unflushed = Unflushed(self.links.regions)
        self.agenda = Agenda()
        reporter = StatusReporter(volume_of(self.links), self.agenda)
        self.doubts = Doubts(self.links, self.unflushed, reporter, self.agenda)

    @property
    def told(self) -> list[str]:
        return [event.message.removeprefix("demo: ") for event in events_of(self.agenda)]

    @property
    def released(self) -> list[Link]:
        return [found.link for found in said(self.agenda, Sound)]

    @property
    def failed_again(self) -> list[Link]:
        return [found.link for found in said(self.agenda, FailedAgain)]

    def put(self, *extents: int, must_reopen: bool = False) -> None:
        found = Extents(self.links.regions)
        for extent in extents:
            found.add(extent)
        self.doubts.put(self.link, found, must_reopen=must_reopen)

    def advance(self) -> None:
        self.doubts.advance(self.links)

    def sent(self) -> list[str]:
        """Return what it was asked: flushes, and control messages by their kind."""
        return [
            str(frame.control()["kind"]) if frame.kind is Kind.CONTROL else frame.kind.name
            for frame in taken(self.link)
        ]


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_one_in_doubt_is_flushed_only_when_all_was_written_again(ladder: Ladder) -> None:
    ladder.put(3, 4)
    assert ladder.link.is_in_doubt
    assert ladder.doubts
    assert ladder.doubts.count == 1
    ladder.advance()
    assert ladder.sent() == []
    ladder.link.doubt.discard(3)
    ladder.link.doubt.discard(4)
    ladder.advance()
    ladder.advance()
    assert ladder.sent() == ["FLUSH"]
    answer_frame(ladder.link, ack())
    assert ladder.link.is_in_doubt, "the replica has not agreed"
    assert ladder.sent() == ["redone"]
    answer(ladder.link, {"kind": "redone", "done": True})
    assert not ladder.link.is_in_doubt
    assert not ladder.doubts
    assert ladder.released == [ladder.link]


def test_nothing_in_doubt_is_no_doubt(ladder: Ladder) -> None:
    ladder.put()
    assert not ladder.link.is_in_doubt
    assert ladder.doubts.count == 0


def test_a_restart_puts_what_it_had_not_flushed_in_doubt(ladder: Ladder) -> None:
    ladder.unflushed.add(0, 512)
    ladder.link.flushed_epoch = ladder.unflushed.begin_flush()
    ladder.unflushed.add(5 << 20, 512)
    ladder.doubts.restarted(ladder.link)
    assert list(ladder.link.doubt) == [5]
    assert not ladder.link.must_reopen
    assert "1 MiB" in ladder.told[0]


def test_a_restart_after_all_was_flushed_is_no_matter(ladder: Ladder) -> None:
    ladder.unflushed.add(0, 512)
    ladder.link.flushed_epoch = ladder.unflushed.begin_flush()
    ladder.doubts.restarted(ladder.link)
    assert not ladder.link.is_in_doubt
    assert ladder.told == []


def test_after_a_failed_sync_the_bytes_are_opened_anew_before_anything_is_written(
    ladder: Ladder,
) -> None:
    ladder.unflushed.add(0, 512)
    ladder.doubts.sync_failed(ladder.link)
    assert list(ladder.link.doubt) == [0]
    assert ladder.link.has_failed_sync
    ladder.advance()
    assert ladder.sent() == [], "not at once: it has only just failed"
    ladder.links.now += 2.0
    ladder.advance()
    assert ladder.sent() == ["renew"]
    assert ladder.link.must_reopen
    answer(ladder.link, {"kind": "renewed"})
    assert not ladder.link.must_reopen
    ladder.link.doubt.discard(0)
    ladder.advance()
    assert ladder.sent() == ["FLUSH"]
    answer_frame(ladder.link, ack())
    answer(ladder.link, {"kind": "redone", "done": True})
    assert not ladder.link.has_failed_sync


def test_a_flush_that_fails_again_begins_it_all_anew(ladder: Ladder) -> None:
    ladder.put(3)
    ladder.link.doubt.discard(3)
    ladder.unflushed.add(3 << 20, 512)
    ladder.advance()
    ladder.sent()
    answer_frame(ladder.link, FAILED)
    assert list(ladder.link.doubt) == [3]
    assert ladder.link.must_reopen
    assert ladder.released == []


def test_a_flush_covers_what_was_written_before_it_began(ladder: Ladder) -> None:
    ladder.put(3)
    ladder.link.doubt.discard(3)
    ladder.unflushed.add(0, 512)
    ladder.advance()
    ladder.unflushed.add(1 << 20, 512)
    answer_frame(ladder.link, ack())
    assert list(ladder.unflushed.since(ladder.link.flushed_epoch)) == [1]


@pytest.mark.parametrize("step", ["renew", "FLUSH", "redone"])
def test_a_link_that_is_lost_is_asked_anew_when_it_is_back(ladder: Ladder, step: str) -> None:
    ladder.put(must_reopen=step == "renew")
    if step != "renew":
        ladder.put(3)
        ladder.link.doubt.discard(3)
    ladder.advance()
    if step == "redone":
        answer_frame(ladder.link, ack())
    assert ladder.sent()[-1] == step
    ladder.links.lose(ladder.link, "cut")
    ladder.doubts.lost(ladder.link)
    ladder.advance()
    assert ladder.sent() == []
    ladder.link.state = LinkState.READY
    ladder.advance()
    assert ladder.sent() == ["renew" if step == "renew" else "FLUSH"]
    assert ladder.link.is_in_doubt


def test_a_replica_that_does_not_agree_stays_in_doubt(ladder: Ladder) -> None:
    ladder.put(3)
    ladder.link.doubt.discard(3)
    ladder.advance()
    answer_frame(ladder.link, ack())
    answer(ladder.link, {"kind": "redone", "done": False})
    assert ladder.link.is_in_doubt
    assert ladder.released == []


@pytest.mark.parametrize("trouble", ["more is in doubt", "its sync has failed"])
def test_what_came_to_be_in_doubt_meanwhile_is_not_forgotten(ladder: Ladder, trouble: str) -> None:
    ladder.put(3)
    ladder.link.doubt.discard(3)
    ladder.advance()
    answer_frame(ladder.link, ack())
    if trouble == "more is in doubt":
        ladder.put(4)
    else:
        ladder.put(must_reopen=True)
    answer(ladder.link, {"kind": "redone", "done": True})
    assert ladder.link.is_in_doubt
    assert ladder.released == []


def test_one_that_is_no_member_any_more_is_forgotten(ladder: Ladder) -> None:
    ladder.put(3, must_reopen=True)
    ladder.doubts.forget(ladder.link)
    assert not ladder.link.is_in_doubt
    assert not ladder.link.must_reopen
    assert not ladder.doubts
    assert asked(ladder.link) == []
