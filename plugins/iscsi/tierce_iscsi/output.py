"""What waits to be sent on a connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from tierce import Op, Stage

#: Buffers of one sendmsg; Linux takes 1024 (IOV_MAX), more than a few dozen gain nothing.
SEND_BUFFER_COUNT_MAX = 64
#: While more than this waits, in bytes or in buffers, nothing is read and nothing more is
#: answered: an initiator that does not read its answers gets no more of them.
UNSENT_BYTES_MAX = 4 << 20
UNSENT_COUNT_MAX = 8192

Owner = TypeVar("Owner")


class Output(Generic[Owner]):
    """A queue of buffers, in the order of their StatSN.

    Args:
        sent: Called with a buffer's owner when its last byte has been sent, or never will be.

    Attributes:
        length: Bytes that wait.
    """

    __slots__ = ("_queue", "_sent", "length")

    def __init__(self, sent: Callable[[Owner], None]) -> None:
        self._queue: deque[tuple[bytes | memoryview, Owner | None]] = deque()
        self._sent = sent
        self.length = 0

    @property
    def is_full(self) -> bool:
        """True if nothing more should be answered."""
        return self.length > UNSENT_BYTES_MAX or len(self._queue) > UNSENT_COUNT_MAX

    @property
    def head(self) -> bytes | memoryview | None:
        """What is sent next: another object as soon as some of it has been sent."""
        return self._queue[0][0] if self._queue else None

    def push(self, data: bytes | memoryview, owner: Owner | None = None) -> None:
        """Add a buffer."""
        self._queue.append((data, owner))
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
            _data, owner = queue.popleft()
            self.length = 0
            if owner is not None:
                self._sent(owner)
            return
        self.length -= count
        while count:
            data, owner = queue[0]
            if count < len(data):
                queue[0] = (memoryview(data)[count:], owner)
                return
            count -= len(data)
            queue.popleft()
            if owner is not None:
                self._sent(owner)

    def clear(self) -> None:
        """Drop everything: the connection is gone."""
        while self._queue:
            _data, owner = self._queue.popleft()
            if owner is not None:
                self._sent(owner)
        self.length = 0


class Unsent:
    """How long answers wait that the socket does not take at once: the initiator, or the network,
    is slower than the volume. They count as reads, since it is data that fills a socket.

    Args:
        stage: Where each such time counts, with the bytes that waited at its start.
        clock_ns: A monotonic clock.

    Attributes:
        is_waiting: True while answers wait.
    """

    __slots__ = ("_began_ns", "_clock_ns", "_length", "_stage", "is_waiting")

    def __init__(self, stage: Stage, clock_ns: Callable[[], int]) -> None:
        self._stage = stage
        self._clock_ns = clock_ns
        self._began_ns = self._length = 0
        self.is_waiting = False

    def look(self, length: int) -> None:
        """So many bytes are unsent after an attempt to send."""
        if length and not self.is_waiting:
            self.is_waiting = True
            self._began_ns, self._length = self._clock_ns(), length
        elif self.is_waiting and not length:
            self.is_waiting = False
            self._stage.add(Op.READ, 1, self._length, self._clock_ns() - self._began_ns)
