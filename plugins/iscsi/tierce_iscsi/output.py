"""What waits to be sent on a connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

#: Buffers of one sendmsg; Linux takes 1024 (IOV_MAX), more than a few dozen gain nothing.
SEND_BUFFER_COUNT_MAX = 64
#: While more than this waits, nothing is read: an initiator that does not read its answers gets
#: no more of them.
UNSENT_BYTES_MAX = 4 << 20


class Output:
    """A queue of buffers, in the order of their StatSN.

    Attributes:
        length: Bytes that wait.
    """

    __slots__ = ("_queue", "length")

    def __init__(self) -> None:
        self._queue: deque[tuple[bytes | memoryview, Callable[[], None] | None]] = deque()
        self.length = 0

    def push(self, data: bytes | memoryview, release: Callable[[], None] | None = None) -> None:
        """Add a buffer; `release` is called when its last byte has been sent, or never will."""
        self._queue.append((data, release))
        self.length += len(data)

    def buffers(self) -> list[bytes | memoryview]:
        """Return the first buffers, for one send."""
        if len(self._queue) == 1:
            return [self._queue[0][0]]
        count = min(len(self._queue), SEND_BUFFER_COUNT_MAX)
        return [self._queue[index][0] for index in range(count)]

    def sent(self, count: int) -> None:
        """Drop the first `count` bytes, which were sent."""
        queue = self._queue
        if count == self.length and len(queue) == 1:
            # One run of memory, sent at once: nearly always.
            _data, release = queue.popleft()
            self.length = 0
            if release is not None:
                release()
            return
        self.length -= count
        while count:
            data, release = queue[0]
            if count < len(data):
                queue[0] = (memoryview(data)[count:], release)
                return
            count -= len(data)
            queue.popleft()
            if release is not None:
                release()

    def clear(self) -> None:
        """Drop everything: the connection is gone."""
        while self._queue:
            _data, release = self._queue.popleft()
            if release is not None:
                release()
        self.length = 0
