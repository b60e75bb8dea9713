"""The watch over processes that live and do nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tierce import Event
from tierce.config import Limits
from tierce.process.messages import Peer, encode, receive
from tierce.process.plan import Plan, Role
from tierce.process.whereabouts import Whereabouts
from tierce.supervision.child import Child
from tierce.supervision.children import Children
from tierce.supervision.watchdog import Watchdog

PERIOD_S = 5.0


class Lost:
    """Answers where a process is as the test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = ""

    def ask(self, name: str, pidfd: int) -> int:
        assert pidfd == -1
        self.asked.append(name)
        return 100

    def read(self, name: str, since: int) -> str:
        assert (name, since) == ("target.demo", 100)
        return self.answer


class Scene:
    """One process at the other end of a connection; it answers when the test lets it."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs.setblocking(False)
        self.child = Child(Plan("target.demo", Role.TARGET, "demo"), "", pid=7)
        self.child.peer = Peer(reactor, ours, lambda *_heard: None, lambda _peer: None)
        self.events: list[Event] = []
        self.changes: list[Child] = []
        self.killed: list[float] = []
        self.whereabouts = Lost()
        self.watchdog = Watchdog(
            cast("Children", self),
            reactor,
            cast("Whereabouts", self.whereabouts),
            emit=self.events.append,
            changed=self.changes.append,
            limits=Limits(silence_told_s=10.0, silence_killed_s=30.0),
        )
        self.watchdog.start()

    def all(self) -> list[Child]:
        return [self.child]

    def kill_silent(self, child: Child) -> None:
        child.killed_at = self.reactor.now()
        self.killed.append(self.reactor.now())

    def questions(self) -> list[dict[str, Any]]:
        """Take what it was asked."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                packet = receive(self.theirs)
            except BlockingIOError:
                return found
            assert packet is not None
            found.append(packet[0])

    def answer(self) -> None:
        for question in self.questions():
            assert question["do"] == "ping"
            self.theirs.send(encode({"id": question["id"], "ok": {}}))
        self.reactor.turn()

    def wait(self, seconds: float, *, answering: bool = False) -> None:
        for _period in range(round(seconds / PERIOD_S)):
            self.reactor.advance(PERIOD_S)
            if answering:
                self.answer()

    def told(self) -> list[tuple[str, str]]:
        found = [(event.severity.value, event.message) for event in self.events]
        self.events.clear()
        return found


@pytest.fixture
def scene(reactor: Any) -> Iterator[Scene]:
    made = Scene(reactor)
    yield made
    if made.child.peer is not None:
        made.child.peer.close()
    made.theirs.close()


def test_a_process_that_answers_is_left_alone(scene: Scene) -> None:
    scene.wait(600, answering=True)
    assert (scene.told(), scene.killed) == ([], [])


def test_one_that_falls_silent_is_told_of_then_killed(scene: Scene) -> None:
    scene.wait(10, answering=True)
    began = scene.reactor.now()
    scene.wait(20)
    ((severity, message),) = scene.told()
    assert severity == "error"
    assert message.startswith("target.demo (process 7) has not answered for 10 s: it is stopped")
    assert scene.changes == [scene.child]
    assert scene.child.pulse.is_told
    scene.wait(25)
    assert [at - began for at in scene.killed] == [35.0]
    assert scene.child.reason == "it had not answered for 30 s and was killed"
    # What is told of a killed process is its end; one that stays is told of once.
    assert scene.told() == [
        (
            "error",
            "target.demo (process 7) has not answered for 35 s, was killed, and is still there: "
            "it waits in the kernel, perhaps for a disk",
        )
    ]


def test_one_that_answers_again_is_told_of_and_not_killed(scene: Scene) -> None:
    scene.wait(10, answering=True)
    scene.wait(20)
    scene.told()
    scene.answer()
    assert scene.told() == [("info", "target.demo (process 7) answers again")]
    scene.wait(100, answering=True)
    assert (scene.told(), scene.killed) == ([], [])


def test_one_that_has_never_answered_is_starting_and_is_not_killed(scene: Scene) -> None:
    scene.wait(600)
    ((_severity, message),) = scene.told()
    assert message.endswith("it is still starting, perhaps it waits for a disk")
    assert scene.killed == []


def test_a_sleep_of_the_whole_machine_is_nobodys_fault(scene: Scene) -> None:
    scene.wait(10, answering=True)
    scene.wait(5)
    # The supervisor itself was stopped, or the machine was.
    scene.reactor.oversleep(3600.0)
    assert (scene.told(), scene.killed) == ([], [])
    scene.answer()
    scene.wait(60, answering=True)
    assert (scene.told(), scene.killed) == ([], [])


def test_an_answer_that_lies_there_unread_counts(scene: Scene) -> None:
    scene.wait(10, answering=True)
    scene.wait(5)
    for question in scene.questions():
        scene.theirs.send(encode({"id": question["id"], "ok": {}}))
    # Only timers run: what a busy loop has not come to yet is read first.
    scene.reactor.time += 300.0
    for timer in list(scene.reactor.timers):
        timer.call()
    assert (scene.told(), scene.killed) == ([], [])


def test_what_was_asked_to_stop_has_a_time_limit_of_its_own(scene: Scene) -> None:
    scene.child.stop_asked_at = scene.reactor.now()
    scene.wait(600)
    assert (scene.told(), scene.killed, scene.questions()) == ([], [], [])


def test_a_lost_connection_is_no_silence(scene: Scene) -> None:
    scene.wait(10, answering=True)
    scene.wait(10)
    scene.theirs.close()
    scene.reactor.turn()
    assert scene.child.pulse.asked_at is None


def test_a_look_that_fails_is_not_the_last(scene: Scene) -> None:
    def fail(_event: Event) -> None:
        raise ZeroDivisionError

    scene.wait(10, answering=True)
    scene.watchdog._emit = fail
    with pytest.raises(ZeroDivisionError):
        scene.wait(20)
    scene.watchdog._emit = scene.events.append
    scene.wait(25)
    assert scene.killed


def test_nobody_is_asked_after_the_end_has_begun(scene: Scene) -> None:
    scene.watchdog.stop()
    scene.wait(600)
    assert scene.questions() == []


def test_one_that_hangs_in_a_plugins_call_is_told_of_with_the_call(scene: Scene) -> None:
    scene.wait(10, answering=True)
    assert scene.whereabouts.asked == []
    scene.whereabouts.answer = "read of tierce_example.py, line 24"
    scene.wait(20)
    assert scene.whereabouts.asked == ["target.demo"], "once for each silence"
    ((_severity, message),) = scene.told()
    assert ", it is in read of tierce_example.py, line 24: it is stopped, or hangs" in message
    scene.answer()
    scene.told()
    scene.wait(20)
    assert scene.whereabouts.asked == ["target.demo"] * 2


def test_a_process_that_does_a_work_is_asked_nothing_until_it_is_over(scene: Scene) -> None:
    scene.child.plan = Plan("work.1", Role.WORK)
    scene.child.phase = "up"
    scene.watchdog.start()
    for _look in range(10):
        scene.reactor.advance(PERIOD_S)
    assert scene.child.pulse.asked_at is None
    assert (scene.events, scene.killed) == ([], [])
    # One that does not come up is told of as any other.
    scene.child.phase = "starting"
    scene.reactor.advance(PERIOD_S)
    assert scene.child.pulse.asked_at is not None
