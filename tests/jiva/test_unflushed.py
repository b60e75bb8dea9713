"""The account of what is not flushed, against a plain list of writes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tierce_jiva.in_flight import GRANULE_SHIFT
from tierce_jiva.regions import EXTENT_BYTES, Regions
from tierce_jiva.unflushed import EPOCH_COUNT_MAX, Unflushed

REGION = 4 << 20
SIZE = 3 * REGION
GRANULE = 1 << GRANULE_SHIFT


class ModelOfUnflushed(RuleBasedStateMachine):
    """Every write with the epoch that it was made in; what the last target left is in epoch 0."""

    def __init__(self) -> None:
        super().__init__()
        self.unflushed = Unflushed(Regions(SIZE))
        #: (epoch, first byte, bytes).
        self.writes: list[tuple[int, int, int]] = []
        self.inherited: frozenset[int] = frozenset()
        self.forgotten = 0
        #: The epoch watched from, if one is.
        self.watched: int | None = None

    @initialize(regions=st.frozensets(st.integers(0, 2)))
    def inherit(self, regions: frozenset[int]) -> None:
        self.unflushed.inherit(regions)
        self.inherited = regions

    @rule(block=st.integers(0, SIZE // 4096 - 1), count=st.integers(1, 600))
    def write(self, block: int, count: int) -> None:
        offset, length = block * 4096, min(count * 4096, SIZE - block * 4096)
        self.unflushed.add(offset, length)
        self.writes.append((self.unflushed.epoch, offset, length))

    @rule()
    def begin_flush(self) -> None:
        before = self.unflushed.epoch
        covered = self.unflushed.begin_flush()
        assert covered >= before
        assert all(epoch < covered for epoch, _, _ in self.writes)
        if self.inherited and not self.forgotten:
            assert covered > 0, "what the last target left is covered too"

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        epoch = data.draw(st.integers(self.forgotten, self.unflushed.epoch))
        self.unflushed.forget(epoch)
        self.forgotten = max(self.forgotten, epoch)

    @rule(data=st.data())
    def watch(self, data: st.DataObject) -> None:
        self.watched = data.draw(st.integers(self.forgotten, self.unflushed.epoch))
        self.unflushed.watch(self.watched)

    @rule()
    def look_at_what_was_watched(self) -> None:
        if self.watched is not None:
            written = {
                region
                for epoch, offset, length in self.writes
                if epoch >= self.watched
                for region in range(offset // REGION, (offset + length - 1) // REGION + 1)
            }
            assert self.unflushed.written_since_watch() == written
            self.watched = None

    @invariant()
    def what_was_written_since_is_known(self) -> None:
        for since in range(self.forgotten, self.unflushed.epoch + 1):
            wanted = {
                extent
                for epoch, offset, length in self.writes
                if epoch >= since
                for extent in range(
                    offset // EXTENT_BYTES, (offset + length - 1) // EXTENT_BYTES + 1
                )
            }
            if since == 0:
                wanted |= {region * 4 + number for region in self.inherited for number in range(4)}
            assert set(self.unflushed.since(since)) == wanted


TestUnflushed = ModelOfUnflushed.TestCase
TestUnflushed.settings = settings(max_examples=40, stateful_step_count=30)


def test_a_flush_of_nothing_begins_no_epoch() -> None:
    unflushed = Unflushed(Regions(SIZE))
    assert unflushed.begin_flush() == unflushed.begin_flush() == 0
    unflushed.add(0, 1)
    assert unflushed.begin_flush() == unflushed.begin_flush() == 1


def test_a_write_is_noted_by_every_granule_that_it_touches() -> None:
    unflushed = Unflushed(Regions(SIZE))
    unflushed.add(GRANULE - 1, 2)
    assert unflushed.current == {0, 1}


def test_what_is_never_asked_for_is_not_watched() -> None:
    unflushed = Unflushed(Regions(SIZE))
    unflushed.add(0, 1)
    unflushed.forget(unflushed.begin_flush())
    assert unflushed.written_since_watch() == frozenset()


def test_where_a_replica_has_not_flushed_for_long_the_oldest_epochs_are_taken_as_one() -> None:
    unflushed = Unflushed(Regions(SIZE))
    for number in range(10 * EPOCH_COUNT_MAX):
        unflushed.add(number % 3 * EXTENT_BYTES, 512)
        unflushed.begin_flush()
    assert sorted(unflushed.since(0)) == [0, 1, 2]
    assert unflushed.count_ended(0) <= EPOCH_COUNT_MAX + 3
    newest = unflushed.epoch - 1
    assert list(unflushed.since(newest)) == [newest % 3], "what is recent is known as it was"
    unflushed.forget(unflushed.epoch)
    assert unflushed.count_ended(0) == 0


def test_what_was_written_since_is_never_taken_to_be_less() -> None:
    unflushed = Unflushed(Regions(SIZE))
    for number in range(5 * EPOCH_COUNT_MAX):
        unflushed.add(number % 12 * EXTENT_BYTES, 512)
        unflushed.begin_flush()
    for since in range(unflushed.epoch):
        wanted = {number % 12 for number in range(since, unflushed.epoch)}
        assert wanted <= set(unflushed.since(since))
