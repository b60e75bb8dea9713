"""Regions and extents: the division of a volume, and sets of extents against plain sets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tierce_jiva.regions import EXTENT_BYTES, REGION_COUNT_MAX, Extents, Regions

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40


@pytest.mark.parametrize(
    ("size", "region_bytes", "count"),
    [
        (512, 4 * MIB, 1),
        (4 * MIB, 4 * MIB, 1),
        (4 * MIB + 512, 4 * MIB, 2),
        (16 * GIB, 4 * MIB, 4096),
        (16 * GIB + 512, 8 * MIB, 2049),
        (TIB, 256 * MIB, 4096),
    ],
)
def test_a_region_is_a_power_of_two_of_4_mib_and_more(
    size: int, region_bytes: int, count: int
) -> None:
    regions = Regions(size)
    assert (regions.region_bytes, regions.count) == (region_bytes, count)


@given(st.integers(1, 64 * TIB // 512).map(lambda blocks: blocks * 512))
def test_regions_and_extents_cover_the_volume(size: int) -> None:
    regions = Regions(size)
    assert regions.count <= REGION_COUNT_MAX
    last = regions.count - 1
    assert last * regions.region_bytes < size <= regions.count * regions.region_bytes
    assert regions.covering(size - 1, 1) == range(last, last + 1)
    assert regions.extents_of(last)[-1] == regions.extent_count - 1
    offset, length = regions.bounds(regions.extent_count - 1)
    assert offset + length == size
    assert 0 < length <= EXTENT_BYTES
    assert {regions.region_of(extent) for extent in regions.extents_of(last)} == {last}


def test_bytes_are_in_every_region_that_they_touch() -> None:
    regions = Regions(12 * MIB)
    assert list(regions.covering(0, 1)) == [0]
    assert list(regions.covering(4 * MIB - 1, 1)) == [0]
    assert list(regions.covering(4 * MIB - 1, 2)) == [0, 1]
    assert list(regions.covering(0, 12 * MIB)) == [0, 1, 2]
    assert regions.every() == {0, 1, 2}


@given(st.integers(1, 4096), st.data())
def test_marks_are_read_as_they_were_written(count: int, data: st.DataObject) -> None:
    regions = Regions(count * 4 * MIB)
    marks = data.draw(st.frozensets(st.integers(0, count - 1)))
    assert regions.from_hex(regions.to_hex(marks)) == marks


def test_marks_are_a_bitmap_without_zeroes_at_the_end() -> None:
    regions = Regions(80 * MIB)
    assert regions.to_hex([]) == ""
    assert regions.to_hex([0, 9]) == "0102"


@pytest.mark.parametrize("text", ["0", "xy", "00000000", "000010"])
def test_what_is_no_bitmap_of_the_volume_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Regions(80 * MIB).from_hex(text)


class ModelOfExtents(RuleBasedStateMachine):
    """Extents against a plain set: three regions and a half, of four extents each."""

    SIZE = 14 * MIB - 512

    def __init__(self) -> None:
        super().__init__()
        self.regions = Regions(self.SIZE)
        self.extents = Extents(self.regions)
        self.model: set[int] = set()

    @initialize(whole=st.frozensets(st.integers(0, 3)))
    def begin(self, whole: frozenset[int]) -> None:
        self.extents = Extents(self.regions, whole)
        self.model = {extent for region in whole for extent in self.regions.extents_of(region)}

    @rule(extent=st.integers(0, 13))
    def add(self, extent: int) -> None:
        self.extents.add(extent)
        self.model.add(extent)

    @rule(extent=st.integers(0, 13))
    def discard(self, extent: int) -> None:
        self.extents.discard(extent)
        self.model.discard(extent)

    @rule(regions=st.frozensets(st.integers(0, 3)))
    def add_regions(self, regions: frozenset[int]) -> None:
        self.extents.add_regions(regions)
        self.model |= {extent for region in regions for extent in self.regions.extents_of(region)}

    @rule(some=st.frozensets(st.integers(0, 13)), whole=st.frozensets(st.integers(0, 3)))
    def update(self, some: frozenset[int], whole: frozenset[int]) -> None:
        other = Extents(self.regions, whole)
        for extent in some:
            other.add(extent)
        self.extents.update(other)
        self.model |= set(other)

    @rule()
    def clear(self) -> None:
        self.extents.clear()
        self.model.clear()

    @rule()
    def go_on_with_a_copy(self) -> None:
        former, self.extents = self.extents, self.extents.copy()
        former.clear()

    @rule(block=st.integers(0, SIZE // 512 - 1), count=st.integers(1, 8192))
    def overlap(self, block: int, count: int) -> None:
        offset, length = block * 512, min(count * 512, self.SIZE - block * 512)
        touched = range(offset // EXTENT_BYTES, (offset + length - 1) // EXTENT_BYTES + 1)
        assert self.extents.overlaps(offset, length) is bool(self.model & set(touched))

    @rule(block=st.integers(0, SIZE // 512 - 1), count=st.integers(1, 8192))
    def look_at_spans(self, block: int, count: int) -> None:
        offset, length = block * 512, min(count * 512, self.SIZE - block * 512)
        found = {
            extent
            for begin, stop in self.extents.spans(offset, length)
            for extent in range(begin // EXTENT_BYTES, stop // EXTENT_BYTES)
        }
        first, last = offset // EXTENT_BYTES, (offset + length - 1) // EXTENT_BYTES
        there = self.model & set(range(first, last + 1))
        assert there <= found
        # A region that is in it as a whole may reach past the volume's end.
        assert found & set(range(14)) <= self.model

    @invariant()
    def the_same_extents_are_in_both(self) -> None:
        assert sorted(self.extents) == sorted(self.model)
        assert len(self.extents) == len(self.model)
        assert bool(self.extents) is bool(self.model)
        assert [extent in self.extents for extent in range(14)] == [
            extent in self.model for extent in range(14)
        ]
        assert self.extents.regions() == {extent // 4 for extent in self.model}
        first = self.extents.first(3)
        assert len(first) == min(3, len(self.model))
        assert set(first) <= self.model


TestExtents = ModelOfExtents.TestCase
TestExtents.settings = settings(max_examples=40, stateful_step_count=30)


def test_whole_regions_take_one_entry_however_large_they_are() -> None:
    regions = Regions(TIB)
    extents = Extents(regions, regions.every())
    assert len(extents) == 1 << 20
    assert len(extents.parts) == 4096
    extents.discard(5)
    assert len(extents) == (1 << 20) - 1
