"""A loop whose worker threads are the test's own hands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tierce.volume.epoll import EpollReactor


class HandReactor(EpollReactor):
    """Runs offloaded work when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.work: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()

    def offload(self, work: Callable[[], Any], done: Callable[..., None]) -> None:
        self.work.append((work, done))

    def work_off(self, count: int = 1) -> None:
        for _ in range(count):
            work, done = self.work.popleft()
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - as a worker thread does
                done(None, error)
            else:
                done(result, None)
