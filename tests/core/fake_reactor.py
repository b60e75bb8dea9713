"""A loop whose time stands still."""

from __future__ import annotations

import select
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


class FakeReactor:
    """The Reactor protocol over `select.poll`; only `turn` and `advance` make things happen."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.watched: dict[int, tuple[int, Callable[[int], None]]] = {}
        self.timers: list[FakeTimer] = []
        self.soon: list[Callable[[], None]] = []

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

    def offload(self, work: Callable[[], Any], done: Callable[[Any, Any], None]) -> None:
        try:
            result = work()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the caller's
            done(None, error)
        else:
            done(result, None)

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
