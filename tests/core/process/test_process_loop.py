"""What every process is made of: it answers, shows, tells, and outlives wrong messages; on the
test's own loop."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.fake_reactor import FakeReactor
from tierce import ConflictError, Event
from tierce.process.messages import MESSAGE_BYTES_MAX, Command, Message, close_all, encode
from tierce.process.messages import receive as take
from tierce.process.messages import send as put
from tierce.process.paths import Paths, connect
from tierce.process.plan import EXIT_FAILED, EXIT_ORDERLY, Plan, Role
from tierce.process.process_loop import (
    BOOT_ID_VARIABLE,
    EVENT_BACKLOG_MAX,
    Process,
    name_process,
    read_boot_id,
    subject_of,
    take_process_lock,
)
from tierce.state import find_holder

PLAN = Plan("target.x", Role.TARGET, "x")


class Body:
    """A role with a few commands."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.closings: list[Callable[[], None]] = []
        process.show({"here": 1})

    @property
    def commands(self) -> Mapping[str, Command]:
        return {"fail": self.fail, "shout": self.shout, "odd": self.odd}

    def fail(self, message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        raise ZeroDivisionError("by zero")

    def shout(self, message: Message, descriptors: list[int]) -> Message:
        self.process.emit(Event("loud", "x" * MESSAGE_BYTES_MAX, "process/x"))
        return {}

    def odd(self, message: Message, descriptors: list[int]) -> Message:
        self.process.emit(Event("odd", "a field that is no JSON", "process/x", fields={"a": {1}}))
        return {}

    def close(self, closed: Callable[[], None]) -> None:
        self.closings.append(closed)


class Scene:
    """A process whose loop is the test's."""

    def __init__(self, folder: Path, reactor: FakeReactor) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.reactor = reactor
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)
        self.connections: list[socket.socket] = []
        self.process = self.make()
        self.body: Body | None = None

    def make(self, *, has_supervisor: bool = True) -> Process:
        connection = self.theirs if has_supervisor else None
        loop: Any = self.reactor
        return Process(self.paths, PLAN, connection, loop)

    def start(self) -> Body:
        self.body = Body(self.process)
        return self.body

    def run(self, script: Callable[[], None]) -> int:
        """Run it while the script plays; end it then."""

        def play() -> None:
            self.reactor.turn()
            script()
            self.reactor.turn()
            if not self.reactor.is_stopped:
                self.process.close()
                assert self.body is not None
                self.body.closings[0]()

        self.reactor.script = play
        return self.process.run(self.start)

    def heard(self) -> list[Message]:
        """What the supervisor has been told by now."""
        return received(self.ours)

    def connect(self) -> socket.socket:
        self.connections.append(connect(self.paths.socket("target.x")))
        return self.connections[-1]

    def ask(self, verb: str, **more: Any) -> Message:
        """Ask as a stranger, and return the answer."""
        connection = self.connect()
        put(connection, encode({"do": verb, "id": 5, **more}))
        self.reactor.turn()
        (answer,) = [one for one in received(connection) if one.get("id") == 5]
        return answer

    def close(self) -> None:
        for one in (self.ours, *self.connections):
            one.close()


def received(connection: socket.socket) -> list[Message]:
    found: list[Message] = []
    while True:
        try:
            packet = take(connection)
        except BlockingIOError:
            return found
        if packet is None:
            return found
        found.append(packet[0])


@pytest.fixture
def scene(tmp_path: Path, reactor: FakeReactor) -> Iterator[Scene]:
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGHUP)}
    made = Scene(tmp_path / "data", reactor)
    yield made
    made.close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_it_says_that_it_is_up_what_it_shows_and_that_it_closes(scene: Scene) -> None:
    assert scene.run(lambda: None) == EXIT_ORDERLY
    assert scene.heard() == [{"facts": {"here": 1}}, {"phase": "up"}, {"phase": "closing"}]


def test_a_process_answers_pings_and_tells_its_status(scene: Scene) -> None:
    def script() -> None:
        assert scene.ask("ping") == {"id": 5, "ok": {}}
        assert scene.ask("status")["ok"] == {
            "pid": os.getpid(),
            "name": "target.x",
            "role": "target",
            "volume": "x",
            "digest": PLAN.digest,
            "phase": "up",
            "facts": {"here": 1},
        }
        assert scene.ask("actions")["ok"] == {"actions": []}

    scene.run(script)


def test_a_command_that_fails_or_is_unknown_ends_nobody(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def script() -> None:
        answer = scene.ask("fail")
        assert answer["error"] == "target.x failed on 'fail': ZeroDivisionError: by zero"
        assert "in fail" in capsys.readouterr().err
        assert scene.ask("dance")["error"] == "target.x does not know 'dance' now"
        assert scene.ask("ping") == {"id": 5, "ok": {}}

    scene.run(script)


def test_what_is_asked_without_a_number_and_fails_is_logged(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def script() -> None:
        put(scene.connect(), encode({"do": "dance"}))
        scene.reactor.turn()
        line = json.loads(capsys.readouterr().err)
        assert (line["code"], line["process"]) == ("node.command.failed", "target.x")

    scene.run(script)


def test_an_event_that_is_too_long_or_no_json_ends_nobody(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def script() -> None:
        scene.heard()
        assert scene.ask("shout")["ok"] == {}
        # The log has it; the supervisor could not take it.
        assert scene.heard() == []
        assert '"code": "loud"' in capsys.readouterr().err
        assert scene.ask("odd")["ok"] == {}
        (told,) = scene.heard()
        assert told["event"]["code"] == "odd"
        assert scene.ask("ping") == {"id": 5, "ok": {}}

    scene.run(script)


def test_what_is_told_while_nobody_listens_waits_for_who_subscribes_the_last_of_it(
    tmp_path: Path, scene: Scene
) -> None:
    def script() -> None:
        scene.ours.close()
        scene.reactor.turn()
        for number in range(EVENT_BACKLOG_MAX + 2):
            scene.process.emit(Event("a.b", str(number), "process/x"))
        connection = scene.connect()
        put(connection, encode({"do": "subscribe", "id": 1}))
        scene.reactor.turn()
        *events, answer = received(connection)
        assert [event["event"]["message"] for event in events] == [
            str(number) for number in range(2, EVENT_BACKLOG_MAX + 2)
        ]
        assert answer["ok"]["phase"] == "up"
        # Told once, and what comes next at once.
        scene.process.emit(Event("a.b", "next", "process/x"))
        assert [one["event"]["message"] for one in received(connection)] == ["next"]

    scene.run(script)


def test_it_ends_orderly_when_it_is_told_and_leaves_nothing(scene: Scene) -> None:
    def script() -> None:
        assert find_holder(scene.paths.lock("target.x")) is not None
        os.kill(os.getpid(), signal.SIGTERM)
        scene.reactor.turn()
        assert scene.process.phase == "closing"
        # Twice is once.
        os.kill(os.getpid(), signal.SIGTERM)
        scene.reactor.turn()
        assert scene.body is not None
        (closed,) = scene.body.closings
        assert not scene.reactor.is_stopped
        closed()

    assert scene.run(script) == EXIT_ORDERLY
    assert not scene.paths.socket("target.x").exists()
    assert find_holder(scene.paths.lock("target.x")) is None
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_one_that_is_told_to_end_before_its_role_is_there_ends(scene: Scene) -> None:
    scene.reactor.script = lambda: None
    scene.process.close()
    scene.reactor.is_stopped = False

    def start() -> Body:
        scene.process.end(7)
        return Body(scene.process)

    assert scene.process.run(start) == 7


def test_a_role_that_can_not_be_tells_why_and_the_process_has_failed(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def start() -> Body:
        raise ZeroDivisionError("by zero")

    assert scene.process.run(start) == EXIT_FAILED
    (told,) = scene.heard()
    assert told["event"]["code"] == "node.process.failed"
    assert told["event"]["message"] == "target.x: ZeroDivisionError: by zero"
    assert told["event"]["subject"] == "volume/x"
    assert "in start" in capsys.readouterr().err
    assert find_holder(scene.paths.lock("target.x")) is None


def test_what_a_callback_raises_ends_the_process_and_is_told(scene: Scene) -> None:
    def script() -> None:
        raise OSError(5, "Input/output error")

    scene.reactor.script = script
    assert scene.process.run(scene.start) == EXIT_FAILED
    assert scene.heard()[-1]["event"]["message"] == "target.x: Input/output error"


def test_two_processes_of_one_name_are_refused(scene: Scene) -> None:
    with pytest.raises(ConflictError, match=r"the place of process target\.x is held by"):
        scene.make(has_supervisor=False)
    scene.run(lambda: None)
    take_process_lock(scene.paths, PLAN).release()


def test_events_of_a_member_are_about_it_and_those_of_nobody_s_process_about_the_process() -> None:
    member = Plan("member.demo.replica-1", Role.MEMBER, "demo")
    assert subject_of(member) == "volume/demo/replica-1"
    assert subject_of(PLAN) == "volume/x"
    assert subject_of(Plan("portal", Role.PORTAL)) == "process/portal"
    of_volume = Plan("service.watch.demo", Role.SERVICE, "demo")
    assert subject_of(of_volume) == "volume/demo/service.watch"
    assert subject_of(Plan("service.watch", Role.SERVICE)) == "process/service.watch"


def test_another_boot_can_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BOOT_ID_VARIABLE, raising=False)
    real = read_boot_id()
    assert len(real) == 36
    monkeypatch.setenv(BOOT_ID_VARIABLE, "another")
    assert read_boot_id() == "another"


def test_a_process_shows_its_name() -> None:
    before = Path("/proc/self/comm").read_text().strip()
    name_process("member.with-a-long-name")
    assert Path("/proc/self/comm").read_text() == "member.with-a-l\n"
    name_process(before)


def test_a_round_of_its_loop_that_is_slow_is_told(scene: Scene) -> None:
    scene.run(lambda: scene.reactor.slow_round(300_000_000, "filter gate 299 ms"))
    (event,) = [one["event"] for one in scene.heard() if "event" in one]
    assert (event["code"], event["subject"]) == ("node.process.held-up", "volume/x")
    assert event["fields"] == {"took_ms": 300, "in": "filter gate 299 ms", "more": 0}
