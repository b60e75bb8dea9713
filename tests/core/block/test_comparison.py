"""Where two buffers differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierce import first_difference


@given(st.binary(min_size=1, max_size=70), st.binary(max_size=70), st.integers(1, 255))
def test_the_first_byte_that_differs_is_found(same: bytes, rest: bytes, change: int) -> None:
    found = same + rest
    for at in range(len(same)):
        changed = bytes([found[at] ^ change])
        other = found[:at] + changed + bytes(len(found) - at - 1)
        assert first_difference(memoryview(found), memoryview(other)) == at
