"""Where two buffers differ."""

from __future__ import annotations


def first_difference(found: memoryview, expected: memoryview) -> int:
    """Return the index at which two buffers of one length, which differ, begin to: by halving,
    since the comparison in C is some thousand times quicker than a loop here, and this is done on
    the data thread."""
    low, high = 0, len(found)
    while high - low > 1:
        middle = (low + high) // 2
        if found[low:middle] == expected[low:middle]:
            low = middle
        else:
            high = middle
    return low
