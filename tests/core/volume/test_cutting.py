"""What does not fit is cut, the longest list first, and counted."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tierce.volume.cutting import encode_cut


@given(
    st.dictionaries(
        st.sampled_from(["engine", "front"]),
        st.dictionaries(
            st.sampled_from("abcd"), st.lists(st.text(max_size=5), max_size=20), max_size=4
        ),
    ),
    st.integers(200, 1000),
)
def test_what_is_left_fits_and_says_how_many_are_missing(
    published: dict[str, dict[str, list[str]]], bytes_max: int
) -> None:
    data = encode_cut(published, bytes_max)
    assert len(data) <= bytes_max
    shown = json.loads(data)
    for owner, lists in published.items():
        for key, items in lists.items():
            kept = shown[owner].get(key, [])
            assert kept == items[: len(kept)]
            assert len(kept) + shown[owner].get(f"{key}_left_out", 0) == len(items)
