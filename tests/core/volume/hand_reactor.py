"""A loop whose worker threads are the test's own hands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tierce.process.epoll import EpollReactor


class HandLane:
    """A lane of the same hands; notes that it was closed."""

    def __init__(self, reactor: HandReactor) -> None:
        self.offload = reactor.offload
        self.is_closed = False

    def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def close(self) -> None:
        self.is_closed = True


class HandReactor(EpollReactor):
    """Runs offloaded work when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.work: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()

    def offload(self, work: Callable[[], Any], done: Callable[..., None]) -> None:
        self.work.append((work, done))

    def lane(self) -> Any:
        return HandLane(self)

    def work_off(self, count: int = 1) -> None:
        for _ in range(count):
            work, done = self.work.popleft()
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - as a worker thread does
                done(None, error)
            else:
                done(result, None)
