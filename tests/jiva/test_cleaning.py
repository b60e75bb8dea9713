"""Which marks may go, and when."""

from __future__ import annotations

import pytest

from jiva.ladder import answer, ready_links
from tierce_jiva.cleaning import Cleaning
from tierce_jiva.links import Links
from tierce_jiva.marks import Marks
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed

REGION = 4 << 20
NOBODY = frozenset[int]()


class Ladder:
    """Three replicas that hold marks; regions rest for 5 s."""

    def __init__(self) -> None:
        self.links: Links = ready_links()
        self.unflushed = Unflushed(self.links.regions)
        self.marks = Marks(self.links, Agenda())
        self.marks.use(self.links, self.links)
        self.cleaning = Cleaning(self.marks, self.unflushed, 5.0)

    def write(self, *regions: int) -> None:
        self.marks.want(regions)
        for link in self.links:
            while link.calls:
                answer(link, {"kind": "marked", "order": self.marks.order})
        for region in regions:
            self.unflushed.add(region * REGION, 512)

    def flush(self, now: float) -> None:
        self.cleaning.flushed(self.unflushed.begin_flush(), now)


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_what_rests_after_a_flush_may_go_and_not_before_its_time(ladder: Ladder) -> None:
    ladder.write(0, 1)
    assert not ladder.cleaning
    ladder.flush(10.0)
    assert ladder.cleaning
    assert ladder.cleaning.take(14.9, NOBODY) == NOBODY
    assert ladder.cleaning
    assert ladder.cleaning.take(15.0, NOBODY) == {0, 1}
    assert not ladder.cleaning
    assert ladder.cleaning.take(99.0, NOBODY) == NOBODY


def test_what_was_written_since_the_flush_began_stays(ladder: Ladder) -> None:
    ladder.write(0, 1)
    epoch = ladder.unflushed.begin_flush()
    ladder.write(1)
    assert ladder.unflushed.begin_flush() > epoch, "of another flush, which has not ended"
    ladder.cleaning.flushed(epoch, 0.0)
    assert ladder.cleaning.take(5.0, NOBODY) == {0}


def test_what_was_flushed_again_meanwhile_stays_until_it_has_rested(ladder: Ladder) -> None:
    ladder.write(0, 1)
    ladder.flush(0.0)
    ladder.write(1)
    ladder.flush(4.0)
    ladder.unflushed.forget(ladder.unflushed.epoch)
    assert ladder.cleaning.take(5.0, NOBODY) == {0}


def test_what_was_marked_meanwhile_is_about_to_be_written(ladder: Ladder) -> None:
    ladder.write(0)
    ladder.flush(0.0)
    ladder.marks.want([2])
    for link in ladder.links:
        answer(link, {"kind": "marked", "order": ladder.marks.order})
    assert ladder.cleaning.take(5.0, NOBODY) == {0}


def test_what_is_not_as_it_should_be_stays(ladder: Ladder) -> None:
    ladder.write(0, 1)
    ladder.flush(0.0)
    assert ladder.cleaning.take(5.0, frozenset({0})) == {1}


def test_where_nothing_is_marked_there_is_nothing_to_look_at(ladder: Ladder) -> None:
    ladder.flush(0.0)
    assert not ladder.cleaning
