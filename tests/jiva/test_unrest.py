"""The account of what came to be in question, against a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierce_jiva.regions import EXTENT_BYTES, Extents, Regions
from tierce_jiva.unrest import MOMENT_COUNT_MAX, Unrest

SIZE = 16 << 20


def extents_of(regions: Regions, *extents: int) -> Extents:
    found = Extents(regions)
    for extent in extents:
        found.add(extent)
    return found


@given(
    st.lists(st.frozensets(st.integers(0, 15), min_size=1), max_size=MOMENT_COUNT_MAX),
    st.integers(0, MOMENT_COUNT_MAX),
    st.integers(0, 15),
)
def test_what_came_to_be_in_question_since_is_known(
    moments: list[frozenset[int]], since: int, extent: int
) -> None:
    regions = Regions(SIZE)
    unrest = Unrest(regions)
    for moment in moments:
        unrest.note(extents_of(regions, *moment))
    expected = any(extent in moment for moment in moments[since:])
    assert unrest.has_touched(since, extent * EXTENT_BYTES + 512, 512) is expected


def test_of_what_lies_far_back_more_is_taken_to_be_in_question_and_never_less() -> None:
    regions = Regions(SIZE)
    unrest = Unrest(regions)
    for _ in range(3 * MOMENT_COUNT_MAX):
        unrest.note(extents_of(regions, 5))
    assert unrest.has_touched(0, 5 * EXTENT_BYTES, 512)
    assert unrest.has_touched(0, 4 * EXTENT_BYTES, 512), "its region, by now"
    assert not unrest.has_touched(0, 0, 512)
    assert not unrest.has_touched(unrest.number - 1, 4 * EXTENT_BYTES, 512)
    assert not unrest.has_touched(unrest.number, 5 * EXTENT_BYTES, 512)
