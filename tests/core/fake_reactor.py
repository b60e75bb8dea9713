"""A loop whose time stands still."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

#: More of them without rest than any test needs.
TURNS_MAX = 1000


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
        self.tell = reactor.call_soon
        self.is_closed = False

    def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def close(self) -> None:
        self.is_closed = True


class FakeReactor:
    """The Reactor protocol over `select.poll`; only `turn` and `advance` make things happen.

    Args:
        by_hand: What is offloaded waits for `work_off`; otherwise the next turn does it.
    """

    def __init__(self, *, by_hand: bool = False) -> None:
        self.by_hand = by_hand
        self.work: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()
        self.time = 1000.0
        #: Set by the test.
        self.woke_ns = 0
        self.watched: dict[int, tuple[int, Callable[[int], None]]] = {}
        self.timers: list[FakeTimer] = []
        self.soon: deque[Callable[[], None]] = deque()
        #: What happens while the loop runs, as a process's own `run` makes it.
        self.script: Callable[[], None] = self.turn
        #: Whom the loop was held up by, and for how long.
        self.held_up: list[tuple[str, int]] = []
        self.slow_round: Callable[[int, str], None] = lambda _elapsed_ns, _what: None
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

    def tell_slow(self, told: Callable[[int, str], None]) -> None:
        """Its rounds take no time but where the test says so."""
        self.slow_round = told

    def held(self, what: str, elapsed_ns: int) -> None:
        self.held_up.append((what, elapsed_ns))

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
        for _round in range(TURNS_MAX):
            if not self.turn_once():
                return
        raise AssertionError("the loop never rests")

    def turn_once(self) -> bool:
        """Serve once what is ready, asked for or offloaded by now; False if nothing was."""
        poll = select.poll()
        for descriptor, (events, _ready) in self.watched.items():
            poll.register(descriptor, events)
        ready = poll.poll(0)
        for descriptor, events in ready:
            if descriptor in self.watched:
                self.watched[descriptor][1](events)
        calls, work = len(self.soon), 0 if self.by_hand else len(self.work)
        for _ in range(calls):
            self.soon.popleft()()
        self.work_off(work)
        return bool(ready or calls or work)

    def advance(self, seconds: float) -> None:
        """Let time pass, from one timer to the next, and do what is due."""
        end = self.time + seconds
        self.turn()
        while due := [timer for timer in self.timers if timer.due <= end]:
            first = min(due, key=lambda timer: timer.due)
            self.timers.remove(first)
            if first.is_cancelled:
                continue
            self.time = max(self.time, first.due)
            first.call()
            self.turn()
        self.time = end
        self.turn()

    def oversleep(self, seconds: float) -> None:
        """Let time pass while nobody runs, as where the whole machine sleeps."""
        self.time += seconds
        self.advance(0)
