"""What waits to be sent: at most so much, and what had to be left out for it is counted and told.

The oldest goes first: what is there after a collector was away for hours is the end of it. What is
under way counts too, and comes back in front if it did not arrive. An episode of leaving out is
told twice, when it begins and when what waits has become little again, however often it swings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from tierce import RecordedEvent, TraceRecord

#: Records that are kept, those under way included: 12 MiB if each has all its stages.
RECORD_COUNT_MAX = 2048
#: Records of one request: below the 4 MiB that gRPC takes, each having 36 spans of 500 bytes.
BATCH_COUNT_MAX = 64
#: An episode is over when no more than so many wait.
FEW = RECORD_COUNT_MAX // 4

assert BATCH_COUNT_MAX <= FEW < RECORD_COUNT_MAX


#: What becomes spans: an I/O with all its stages, or an event that says how long something took.
Record = TraceRecord | RecordedEvent


@attrs.frozen
class News:
    """An episode of leaving out has begun, or is over.

    Attributes:
        is_over: It is.
        dropped: How much was left out in it that was not told before.
        in_all: How much was left out in it so far.
    """

    is_over: bool
    dropped: int
    in_all: int


class Waiting:
    """Records that wait.

    Attributes:
        dropped: How many were left out.
    """

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._under_way: list[Record] = []
        self.dropped = 0
        #: How many had been left out when this episode began; None outside of one.
        self._before: int | None = None
        #: How many of it have been told.
        self._told = 0
        self._news: list[News] = []

    def __len__(self) -> int:
        return len(self._records) + len(self._under_way)

    def add(self, records: Iterable[Record]) -> None:
        """Let these wait; the oldest go if there are too many."""
        self._records.extend(records)
        excess = len(self) - RECORD_COUNT_MAX
        for _ in range(excess):
            self._records.popleft()
        self._drop(max(excess, 0))

    def take(self) -> list[Record]:
        """Return the oldest, which are under way from now on; none if nothing waits."""
        assert not self._under_way, "one sending after the other"
        count = min(len(self._records), BATCH_COUNT_MAX)
        self._under_way = [self._records.popleft() for _ in range(count)]
        return self._under_way

    def arrived(self) -> None:
        """What was under way has arrived."""
        self._under_way = []
        if self._before is not None and len(self) <= FEW:
            in_all = self.dropped - self._before
            self._news.append(News(True, in_all - self._told, in_all))
            self._before = None

    def came_back(self) -> None:
        """What was under way did not arrive: it is to be sent again."""
        self._records.extendleft(reversed(self._under_way))
        self._under_way = []

    def refused(self) -> None:
        """What was under way is not wanted: nobody sends it again."""
        count = len(self._under_way)
        self._under_way = []
        self._drop(count)

    def news(self) -> list[News]:
        """Return what is to be told since the last call."""
        news, self._news = self._news, []
        return news

    def _drop(self, count: int) -> None:
        if count and self._before is None:
            self._before, self._told = self.dropped, count
            self._news.append(News(False, count, count))
        self.dropped += count
