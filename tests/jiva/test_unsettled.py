"""Which extents have writes under way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tierce_jiva.unsettled import Unsettled

EXTENTS = st.tuples(st.integers(0, 1 << 20), st.integers(1, 1 << 18))


def test_nothing_overlaps_while_nothing_is_under_way() -> None:
    unsettled = Unsettled()
    assert not unsettled
    assert not unsettled.overlaps(0, 1 << 40)


def test_an_extent_stands_until_every_write_to_it_has_settled() -> None:
    unsettled = Unsettled()
    unsettled.add(4096, 4096)
    unsettled.add(4096, 4096)
    unsettled.remove(4096, 4096)
    assert unsettled.overlaps(4096, 512)
    unsettled.remove(4096, 4096)
    assert not unsettled


@settings(deadline=None)
@given(st.lists(EXTENTS, max_size=8), EXTENTS)
def test_every_overlap_is_seen_and_what_is_removed_is_gone(
    added: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    unsettled = Unsettled()
    for extent in added:
        unsettled.add(*extent)
    offset, length = asked
    if any(at < offset + length and offset < at + size for at, size in added):
        assert unsettled.overlaps(offset, length)
    for extent in added:
        unsettled.remove(*extent)
    assert not unsettled


@given(st.lists(EXTENTS, max_size=8), EXTENTS)
def test_the_spans_hold_every_byte_that_is_under_way_there(
    added: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    unsettled = Unsettled()
    for extent in added:
        unsettled.add(*extent)
    spans = list(unsettled.spans(*asked))
    first, end = asked[0], sum(asked)
    for offset, length in added:
        for byte in (max(offset, first), min(offset + length, end) - 1):
            if offset <= byte < offset + length and first <= byte < end:
                assert any(begin <= byte < stop for begin, stop in spans)
    for begin, stop in spans:
        assert unsettled.overlaps(begin, stop - begin)
        assert begin < end
        assert first < stop
