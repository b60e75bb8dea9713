"""Waiting until nothing that was given up can be applied: bounded, told once. No socket."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from iscsi.standalone import Due, MemoryDevice
from tierce_iscsi.completion import COMPLETION_TIMEOUT_S, Completion, Quiet
from tierce_iscsi.tasks import Task


@attrs.define
class Host:
    """A target whose clock and device the test is."""

    timers: list[tuple[float, Due]] = attrs.field(factory=list)
    asked: list[Callable[[], None]] = attrs.field(factory=list)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Due:
        self.timers.append((delay_s, Due(call)))
        return self.timers[-1][1]

    def when_quiet(self, done: Callable[[], None]) -> None:
        self.asked.append(done)

    def forget(self, done: Callable[[], None]) -> None:
        self.asked = [other for other in self.asked if other != done]

    def let_time_pass(self) -> None:
        ((delay_s, due),) = self.timers
        assert delay_s == COMPLETION_TIMEOUT_S
        if due.call is not None:
            due.call()


def begin() -> tuple[Host, Completion, Task, list[str]]:
    host, told = Host(), list[str]()
    made = Completion(host, lambda: told.append("done"), lambda: told.append("expired"))
    task = Task(1, 0)
    made.drain.add(task)
    made.start()
    return host, made, task, told


def test_it_is_done_when_the_tasks_are_complete_and_the_device_is_quiet() -> None:
    host, made, task, told = begin()
    assert not host.asked, "the device is asked when the tasks are complete"
    made.drain.complete(task)
    assert told == []
    host.asked.pop()()
    assert told == ["done"]
    host.let_time_pass()
    assert told == ["done"]


def test_what_takes_too_long_goes_on_as_if_nobody_had_asked() -> None:
    host, made, task, told = begin()
    host.let_time_pass()
    assert told == ["expired"]
    assert task.drains == ()
    made.drain.complete(task)
    assert (told, host.asked) == (["expired"], [])


def test_a_device_that_is_never_quiet_is_asked_no_more() -> None:
    host, made, task, told = begin()
    made.drain.complete(task)
    assert len(host.asked) == 1
    host.let_time_pass()
    assert (told, host.asked) == (["expired"], [])


class Restless(MemoryDevice):
    """A device that is quiet when the test says so."""

    def __init__(self) -> None:
        super().__init__(4096)
        self.asked: list[Callable[[], None]] = []

    def when_quiet(self, done: Callable[[], None]) -> None:
        self.asked.append(done)


def test_the_device_is_asked_one_question_at_a_time_however_many_want_to_know() -> None:
    device = Restless()
    quiet, told = Quiet(device), list[str]()
    for name in "abc":
        quiet.wait(lambda name=name: told.append(name))  # type: ignore[misc]
    assert len(device.asked) == 1
    device.asked.pop()()
    assert told == ["a"]
    # Those who came meanwhile want to know of what was answered until now.
    device.asked.pop()()
    assert told == ["a", "b", "c"]
    assert not device.asked


def test_who_has_given_up_waiting_is_not_called() -> None:
    device = Restless()
    quiet, told = Quiet(device), list[bool]()

    def done() -> None:
        told.append(True)

    quiet.wait(done)
    quiet.forget(done)
    assert quiet.waiting_count == 0
    device.asked.pop()()
    assert told == []
