"""What is to be sent on a connection: pieces in order, of which the first may be sent in part."""

from __future__ import annotations

from collections import deque


def drop_sent(outgoing: deque[memoryview], count: int) -> None:
    """Drop the first `count` bytes, which were sent."""
    while count:
        first = outgoing[0]
        if count < len(first):
            outgoing[0] = first[count:]
            return
        count -= len(first)
        outgoing.popleft()
