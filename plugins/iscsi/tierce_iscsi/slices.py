"""Work of many, in slices: what is to go on when others have had their turn.

A loop makes all calls that were to be made soon before it looks at its descriptors again; with a
hundred sessions that have more to do, that is a hundred turns in a row. Here they wait in one
queue, of which the loop does about a millisecond's worth at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

#: How long calls are made before the loop looks after everything else.
SLICE_NS = 1_000_000


class Slices:
    """Calls that are made in their order, some in each turn of the loop.

    Args:
        soon: The loop's own: calls once, when what runs now has returned.
        clock_ns: A monotonic clock, in nanoseconds.
    """

    def __init__(
        self, soon: Callable[[Callable[[], None]], None], clock_ns: Callable[[], int]
    ) -> None:
        self._soon = soon
        self._clock_ns = clock_ns
        self._calls: deque[Callable[[], None]] = deque()

    def __call__(self, call: Callable[[], None]) -> None:
        """Make this call when it has its turn."""
        self._calls.append(call)
        if len(self._calls) == 1:
            self._soon(self._run)

    def _run(self) -> None:
        ends_ns = self._clock_ns() + SLICE_NS
        calls = self._calls
        while True:
            # It stays in the queue meanwhile, so that what it asks for finds us at work.
            calls[0]()
            calls.popleft()
            if not calls:
                return
            if self._clock_ns() > ends_ns:
                self._soon(self._run)
                return
