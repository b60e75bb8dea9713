"""A loop whose time stands still."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs


@attrs.define(eq=False)
class FakeTimer:
    due: float
    call: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeLane:
    """A thread of its own that there is none of; notes that it was closed."""

    def __init__(self, reactor: FakeReactor) -> None:
        self.offload = reactor.offload
        self.is_closed = False

    def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def close(self) -> None:
        self.is_closed = True


class FakeReactor:
    """The Reactor protocol over `select.poll`; only `turn` and `advance` make things happen.

    Args:
        by_hand: What is offloaded waits for `work_off`; otherwise it is done at once.
    """

    def __init__(self, *, by_hand: bool = False) -> None:
        self.by_hand = by_hand
        self.work: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()
        self.time = 1000.0
        self.watched: dict[int, tuple[int, Callable[[int], None]]] = {}
        self.timers: list[FakeTimer] = []
        self.soon: list[Callable[[], None]] = []
        #: What happens while the loop runs, as a process's own `run` makes it.
        self.script: Callable[[], None] = self.turn
        self.failed: Callable[[Exception], None] | None = None
        self.is_stopped = False

    def close(self) -> None:
        """Nothing of the kernel's is held."""

    def now(self) -> float:
        return self.time

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        self.watched[descriptor] = (events, ready)

    def unwatch(self, descriptor: int) -> None:
        self.watched.pop(descriptor, None)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.time + delay_s, call)
        self.timers.append(timer)
        return timer

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def offload(self, work: Callable[[], Any], done: Callable[..., None]) -> None:
        self.work.append((work, done))
        if not self.by_hand:
            self.work_off()

    def lane(self) -> FakeLane:
        return FakeLane(self)

    def work_off(self, count: int = 1) -> None:
        """Do what was offloaded, the oldest first."""
        for _ in range(count):
            work, done = self.work.popleft()
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - as a worker thread does
                done(None, error)
            else:
                done(result, None)

    def run(self, failed: Callable[[Exception], None] | None = None) -> None:
        """Play the script of the test, which has to see to it that `stop` is called."""
        self.is_stopped = False
        self.failed = failed
        self.script()
        assert self.is_stopped, "the loop was left before anybody stopped it"

    def stop(self) -> None:
        self.is_stopped = True

    def turn(self) -> None:
        """Do what is ready, until nothing is (a loop that never rests is an error)."""
        for _round in range(1000):
            calls, self.soon = self.soon, []
            for call in calls:
                call()
            poll = select.poll()
            for descriptor, (events, _ready) in self.watched.items():
                poll.register(descriptor, events)
            ready = poll.poll(0)
            if not ready and not self.soon:
                return
            for descriptor, events in ready:
                if descriptor in self.watched:
                    self.watched[descriptor][1](events)
        raise AssertionError("the loop never rests")

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what is due."""
        self.time += seconds
        due = [timer for timer in self.timers if timer.due <= self.time]
        self.timers = [timer for timer in self.timers if timer.due > self.time]
        for timer in due:
            if not timer.is_cancelled:
                timer.call()
        self.turn()
