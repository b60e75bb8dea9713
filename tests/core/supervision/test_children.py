"""The supervisor's processes: what keeps one from starting is that one's matter only."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tierce import Event
from tierce.codec import to_json
from tierce.process.messages import encode, receive
from tierce.process.paths import Paths, listen
from tierce.process.plan import Plan, Role, fork_server_plan
from tierce.supervision.child import Child
from tierce.supervision.children import RECONNECT_S, Children
from tierce.supervision.reconcile import RECOVERED_S

TARGET = Plan("target.demo", Role.TARGET, "demo")

#: A process that has a lock, and does nothing else.
HOLDER = """
import json, sys, time
from pathlib import Path
from tierce.codec import from_json
from tierce.process.paths import Paths
from tierce.process.plan import Plan
from tierce.process.process_loop import take_process_lock
lock = take_process_lock(Paths(Path(sys.argv[1])), from_json(Plan, json.loads(sys.argv[2])))
print("held", flush=True)
time.sleep(600)
"""


class Scene:
    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.paths = Paths(folder)
        self.paths.make()
        self.events: list[Event] = []
        self.changes: list[Child] = []
        self.children = Children(
            self.paths,
            reactor,
            emit=self.events.append,
            changed=self.changes.append,
            restart_delay_s_max=30.0,
        )
        self.holder: subprocess.Popen[str] | None = None
        self.listener: socket.socket | None = None
        self.connections: list[socket.socket] = []

    def hold(self, plan: Plan = TARGET) -> None:
        """Start a process that is not ours, and listen in its place."""
        self.holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.paths.data), json.dumps(to_json(plan))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "held\n"
        self.listener = listen(self.paths.socket(plan.name))

    def accept(self) -> socket.socket:
        """Take the connection to the process, and its question."""
        assert self.listener is not None
        connection, _address = self.listener.accept()
        self.connections.append(connection)
        packet = receive(connection)
        assert packet is not None
        assert packet[0]["do"] == "subscribe"
        return connection

    def die(self) -> None:
        """End the target, and let it be noticed."""
        assert self.holder is not None
        descriptor = os.pidfd_open(self.holder.pid)
        self.holder.kill()
        select.select([descriptor], [], [], 30)
        os.close(descriptor)
        self.reactor.turn()

    def target(self) -> Child:
        child = self.children.get(TARGET.name)
        assert child is not None
        return child

    def close(self) -> None:
        self.children.detach()
        for one in (*self.connections, self.listener):
            if one is not None:
                one.close()
        if self.holder is not None:
            self.holder.kill()
            self.holder.communicate()


@pytest.fixture
def scene(reactor: Any, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(reactor, tmp_path)
    yield made
    made.close()


def say(connection: socket.socket, **message: Any) -> None:
    connection.send(encode(message))


def test_without_a_fork_server_nothing_is_forked_and_nothing_is_wrong(scene: Scene) -> None:
    assert not scene.children.start(TARGET)
    assert (scene.events, scene.children.all()) == ([], [])


def test_a_fork_server_that_can_not_be_started_is_told_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    assert scene.children.start(fork_server_plan((), ""))
    (event,) = scene.events
    assert event.severity == "error"
    assert event.message.startswith(
        "template: Resource temporarily unavailable; starting it again in 0.125 s"
    )
    (child,) = scene.children.all()
    assert (child.phase, child.start_at) == ("down", scene.reactor.now() + 0.125)
    # The next tries are counted, not told.
    for _try in range(5):
        scene.children.start(fork_server_plan((), ""))
    assert len(scene.events) == 1
    assert child.failures.count == 6


def test_what_lives_is_adopted_with_what_it_shows(scene: Scene) -> None:
    scene.hold()
    assert [child.plan.name for child in scene.children.adopt_living()] == [TARGET.name]
    connection = scene.accept()
    say(connection, id=1, ok={"phase": "up", "facts": {"a": 1}})
    scene.reactor.turn()
    child = scene.target()
    assert (child.phase, child.facts, child.is_adopted) == ("up", {"a": 1}, True)
    say(connection, facts={"a": 2})
    scene.reactor.turn()
    assert child.facts == {"a": 2}
    # One that says that it is up has a loop: its silence would be a fault.
    assert child.pulse.has_answered


def test_the_last_words_of_a_process_are_told_with_its_end_once(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    connection = scene.accept()
    failed = Event("node.process.failed", "target.demo: no such file", "volume/demo", "error")
    say(connection, event={"code": failed.code, "message": failed.message, "subject": "volume/demo",
                           "severity": "error", "fields": {}})  # fmt: skip
    scene.reactor.turn()
    assert scene.events == []
    scene.die()
    (event,) = scene.events
    assert (event.code, event.severity) == ("node.process.died", "error")
    assert event.message.startswith("target.demo: no such file; starting it again in 0.125 s (its")


def forked(scene: Scene) -> tuple[socket.socket, int, socket.socket]:
    """Start a target by a fork server of ours; return that one's connection, the question's
    number, and the target's end of its own."""
    scene.hold(fork_server_plan((), ""))
    scene.children.adopt_living()
    server = scene.accept()
    scene.reactor.turn()
    assert scene.children.start(TARGET)
    scene.reactor.turn()
    packet = receive(server)
    assert packet is not None
    message, (descriptor,) = packet
    assert message["do"] == "fork"
    own = socket.socket(fileno=descriptor)
    scene.connections.append(own)
    return server, message["id"], own


def gone() -> int:
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.communicate()
    return process.pid


LAST_WORDS = {"code": "node.process.failed", "message": "target.demo: no such file",
              "subject": "volume/demo", "severity": "error", "fields": {}}  # fmt: skip


def test_last_words_that_come_before_the_fork_is_answered_are_kept(scene: Scene) -> None:
    server, number, own = forked(scene)
    say(own, event=LAST_WORDS)
    scene.reactor.turn()
    say(server, id=number, ok={"pid": gone()})
    scene.reactor.turn()
    (event,) = scene.events
    assert event.message.startswith("target.demo: no such file; starting it again in 0.125 s")
    assert scene.target().failures.reason == "no such file"


def test_last_words_of_one_that_is_gone_when_the_fork_is_answered_are_heard(scene: Scene) -> None:
    server, number, own = forked(scene)
    # Both wait for the same turn, and the answer is read first.
    say(server, id=number, ok={"pid": gone()})
    say(own, event=LAST_WORDS)
    scene.reactor.turn()
    (event,) = scene.events
    assert event.message.startswith("target.demo: no such file; starting it again in 0.125 s")


def test_an_event_of_another_version_that_can_not_be_read_is_told_and_not_dropped(
    scene: Scene,
) -> None:
    scene.hold()
    scene.children.adopt_living()
    say(scene.accept(), event={**LAST_WORDS, "code": "a.b", "severity": "critical"})
    scene.reactor.turn()
    (event,) = scene.events
    assert (event.code, event.subject) == ("event.unreadable", "volume/demo")
    assert event.message.startswith("target.demo tells what can't be read: ")
    assert "critical" in event.message


def test_one_that_is_fenced_stays_down_by_its_word_alone(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    # The note that it leaves for the next server could not be written.
    say(scene.accept(), facts={"fenced": "ballot 9"})
    scene.reactor.turn()
    scene.die()
    child = scene.target()
    assert (child.phase, child.fenced) == ("down", "ballot 9")
    assert child.observe().is_fenced
    assert scene.events == []


def test_a_process_that_says_nothing_ended_unasked(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    scene.die()
    (event,) = scene.events
    assert event.severity == "warning"
    assert event.message.startswith("target.demo: process ")
    assert " ended unasked; starting it again in 0.125 s (its log: " in event.message


def test_one_that_stays_up_has_recovered_and_that_is_told(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    scene.die()
    assert scene.holder is not None
    scene.holder.communicate()
    assert scene.listener is not None
    scene.listener.close()
    scene.hold()
    scene.children.start(TARGET)
    say(scene.accept(), id=1, ok={"phase": "up", "facts": {}})
    scene.reactor.turn()
    assert scene.target().failures.count == 1
    scene.reactor.advance(RECOVERED_S)
    assert scene.events[-1].code == "node.process.recovered"
    assert scene.events[-1].message == "target.demo is up again"
    assert scene.target().failures.count == 0


def test_a_connection_that_was_lost_to_a_living_process_is_made_again(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    scene.accept().close()
    scene.reactor.turn()
    assert scene.target().peer is None
    scene.reactor.advance(RECONNECT_S)
    say(scene.accept(), id=1, ok={"phase": "up", "facts": {}})
    scene.reactor.turn()
    assert scene.target().phase == "up"
    assert scene.events == []


def test_a_process_that_was_killed_for_its_silence_says_so(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    assert scene.holder is not None
    os.kill(scene.holder.pid, signal.SIGSTOP)
    child = scene.target()
    child.reason = "it had not answered for 30 s and was killed"
    scene.children.kill_silent(child)
    select.select([child.pidfd], [], [], 30)
    scene.reactor.turn()
    (event,) = scene.events
    assert event.message.startswith("target.demo: it had not answered for 30 s and was killed; ")


def test_what_the_kernel_keeps_is_left_behind_and_told(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    scene.children.give_up(TARGET.name)
    assert scene.children.all() == []
    assert "is still there though it was killed" in scene.events[0].message


def test_the_same_warning_of_a_process_is_told_once(scene: Scene) -> None:
    scene.hold()
    scene.children.adopt_living()
    connection = scene.accept()
    for _again in range(5):
        say(connection, event={"code": "disk.full", "message": "full", "subject": "volume/demo",
                               "severity": "warning", "fields": {}})  # fmt: skip
    scene.reactor.turn()
    assert [event.message for event in scene.events] == ["full"]
