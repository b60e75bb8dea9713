"""Which extents have writes under way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tierce_jiva.in_flight import InFlight

EXTENTS = st.tuples(st.integers(0, 1 << 20), st.integers(1, 1 << 18))


def test_nothing_overlaps_while_nothing_is_under_way() -> None:
    in_flight = InFlight()
    assert not in_flight
    assert not in_flight.overlaps(0, 1 << 40)


def test_an_extent_stands_until_every_write_to_it_has_settled() -> None:
    in_flight = InFlight()
    in_flight.add(4096, 4096)
    in_flight.add(4096, 4096)
    in_flight.remove(4096, 4096)
    assert in_flight.overlaps(4096, 512)
    in_flight.remove(4096, 4096)
    assert not in_flight


@settings(deadline=None)
@given(st.lists(EXTENTS, max_size=8), EXTENTS)
def test_every_overlap_is_seen_and_what_is_removed_is_gone(
    added: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    in_flight = InFlight()
    for extent in added:
        in_flight.add(*extent)
    offset, length = asked
    if any(at < offset + length and offset < at + size for at, size in added):
        assert in_flight.overlaps(offset, length)
    for extent in added:
        in_flight.remove(*extent)
    assert not in_flight


@given(st.lists(EXTENTS, max_size=8), EXTENTS)
def test_the_spans_hold_every_byte_that_is_under_way_there(
    added: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    in_flight = InFlight()
    for extent in added:
        in_flight.add(*extent)
    spans = list(in_flight.spans(*asked))
    first, end = asked[0], sum(asked)
    for offset, length in added:
        for byte in (max(offset, first), min(offset + length, end) - 1):
            if offset <= byte < offset + length and first <= byte < end:
                assert any(begin <= byte < stop for begin, stop in spans)
    for begin, stop in spans:
        assert in_flight.overlaps(begin, stop - begin)
        assert begin < end
        assert first < stop
