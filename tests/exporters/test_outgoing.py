"""What was sent is not sent again, and nothing else is left out."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from tierce_exporters.outgoing import drop_sent


@given(st.lists(st.binary(min_size=1, max_size=9)), st.data())
def test_what_is_left_is_what_was_not_sent(pieces: list[bytes], data: st.DataObject) -> None:
    outgoing = deque(memoryview(one) for one in pieces)
    left = b"".join(pieces)
    while left:
        count = data.draw(st.integers(0, len(left)))
        drop_sent(outgoing, count)
        left = left[count:]
        assert b"".join(outgoing) == left
        assert all(outgoing)
        if not count:
            break
