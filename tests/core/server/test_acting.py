"""Actions, carried by the supervisor to who runs; who asks hears, and may go."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.fake_reactor import FakeReactor
from core.process.test_messages import Heard
from tierce import ActionCall, Event, TemporaryError, TierceError, UsageError
from tierce.process.messages import Message, Peer
from tierce.process.plan import Plan, Role
from tierce.server.acting import CALL_COUNT_MAX, SILENCE_TOLD_S, Acting
from tierce.server.action_requests import ActionRequests
from tierce.supervision.child import Child

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Scene:
    """A supervisor with one volume, whose target and member are the test."""

    def __init__(self) -> None:
        self.reactor = cast("Any", FakeReactor())
        self.children: dict[str, Child] = {}
        self.events: list[Event] = []
        self.peers: list[Peer] = []
        self.target = self.process("target.work", Role.TARGET)
        self.member = self.process("member.work.one", Role.MEMBER)
        node = SimpleNamespace(
            reactor=self.reactor,
            children=SimpleNamespace(get=self.children.get, all=self.children.values),
            inventory=SimpleNamespace(find=self.find),
            emit=self.events.append,
        )
        self.acting = Acting(cast("Any", node))
        self.answers: list[tuple[Any, TierceError | None]] = []
        self.told: list[tuple[float, str]] = []

    def process(self, name: str, role: Role) -> tuple[Peer, Heard]:
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, theirs = Heard(), Heard()
        child = Child(Plan(name, role, "work"), "", phase="up")
        child.peer = Peer(self.reactor, left, ours.received, ours.lost)
        self.children[name] = child
        peer = Peer(self.reactor, right, theirs.received, theirs.lost)
        self.peers += [child.peer, peer]
        return peer, theirs

    def find(self, name: str) -> None:
        if name != "work":
            raise UsageError(f"there is no volume {name}")

    def run(self, **more: Any) -> Any:
        call = ActionCall(**{"volume": "work", "part": "engine", "action": "go", **more})
        cancel = self.acting.run(
            call,
            lambda result, error: self.answers.append((result, error)),
            lambda fraction, text: self.told.append((fraction, text)),
        )
        self.drain()
        return cancel

    def drain(self) -> None:
        for peer in self.peers:
            peer.drain()

    def say(self, message: Message) -> None:
        self.target[0].send(message)
        self.drain()

    def pass_time(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.drain()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for peer in made.peers:
        peer.close()


def test_what_somebody_follows_is_told_with_how_long_it_took(scene: Scene) -> None:
    scene.run()
    scene.say({"id": 1, "ok": {}})
    # Who asks without a trace of his own is answered, and that is all.
    assert scene.events == []
    scene.run(traceparent=TRACEPARENT)
    scene.pass_time(1.5)
    scene.say({"id": 2, "ok": {}})
    (told,) = scene.events
    assert (told.code, told.subject, str(told.severity)) == ("action.done", "volume/work", "info")
    assert told.fields == {
        "part": "engine",
        "action": "go",
        "traceparent": TRACEPARENT,
        "took_ns": 1_500_000_000,
    }
    scene.run(traceparent=TRACEPARENT)
    scene.say({"id": 3, "error": "no room", "exit_code": 1})
    assert str(scene.events[1].severity) == "warning"
    assert "failed: no room" in scene.events[1].message


def test_a_call_below_no_span_of_w3cs_is_refused() -> None:
    with pytest.raises(UsageError, match="traceparent is 'mine'; expected W3C's"):
        ActionCall(volume="work", action="go", traceparent="mine")


def test_a_call_goes_to_its_process_and_its_answer_back(scene: Scene) -> None:
    scene.run(arguments={"size": 1}, words={"name": "x"}, base="/srv")
    (asked,) = scene.target[1].messages
    assert asked == {
        "do": "act",
        "id": 1,
        "part": "engine",
        "action": "go",
        "arguments": {"size": 1},
        "words": {"name": "x"},
        "base": "/srv",
    }
    scene.say({"id": 1, "row": {"fraction": 0.5, "text": "half"}})
    scene.say({"id": 1, "ok": {"kept": 7}})
    assert scene.told == [(0.5, "half")]
    assert scene.answers == [({"kept": 7}, None)]


def test_a_member_is_asked_by_its_name_and_a_wrong_one_names_the_nearest(scene: Scene) -> None:
    scene.run(part="member.one")
    assert scene.member[1].messages[0]["part"] == "member.one"
    with pytest.raises(UsageError, match=r"no part .member\.ones.; the nearest is .member\.one."):
        scene.run(part="member.ones")
    with pytest.raises(UsageError, match="there is no volume"):
        scene.run(volume="other")


def test_a_service_of_the_volume_is_asked_as_a_part_of_it(scene: Scene) -> None:
    service = scene.process("service.watch.work", Role.SERVICE)
    scene.run(part="service.watch")
    assert service[1].messages[0]["part"] == "service.watch"
    with pytest.raises(
        UsageError, match=r"no part .service\.wtch.; the nearest is .service\.watch."
    ):
        scene.run(part="service.wtch")


@pytest.mark.parametrize("phase", ["starting", "closing", "down"])
def test_what_does_not_run_is_said(scene: Scene, phase: str) -> None:
    scene.children["target.work"].phase = phase
    with pytest.raises(TemporaryError, match=f"volume work is not running \\(it is {phase}\\)"):
        scene.run()
    with pytest.raises(TemporaryError, match="service pool is not running"):
        scene.run(volume="", part="", service="pool")


def test_a_refusal_keeps_its_words_and_its_exit_code(scene: Scene) -> None:
    scene.run()
    scene.say({"id": 1, "error": "engine has no action 'go'", "exit_code": 2})
    (answer,) = scene.answers
    assert str(answer[1]) == "engine has no action 'go'"
    assert answer[1] is not None
    assert answer[1].exit_code == 2


def test_a_process_that_goes_answers_and_nothing_is_asked_again(scene: Scene) -> None:
    scene.run()
    scene.target[0].close()
    scene.drain()
    (answer,) = scene.answers
    assert "it may have been done" in str(answer[1])
    assert len(scene.target[1].messages) == 1


def test_a_part_that_gives_no_sign_is_named_and_nobody_waits_for_it(scene: Scene) -> None:
    scene.run()
    scene.pass_time(SILENCE_TOLD_S)
    assert [event.code for event in scene.events] == ["action.unanswered"]
    assert "volume work: engine: go: no answer" in scene.events[0].message
    (answer,) = scene.answers
    assert isinstance(answer[1], TemporaryError)
    assert scene.target[1].messages[-1] == {"do": "cancel", "call": 1}
    # Too late.
    scene.say({"id": 1, "ok": {}})
    assert len(scene.answers) == 1


def test_what_nobody_waits_for_any_more_makes_room_for_others(scene: Scene) -> None:
    for _ in range(CALL_COUNT_MAX):
        scene.run()
    with pytest.raises(TemporaryError, match="1024 actions are under way"):
        scene.run()
    scene.pass_time(SILENCE_TOLD_S)
    assert len(scene.answers) == CALL_COUNT_MAX
    scene.run()


def test_a_long_action_that_falls_silent_is_named_once_and_waited_for(scene: Scene) -> None:
    scene.run()
    scene.say({"id": 1, "row": {"fraction": 0.0, "text": ""}})
    scene.pass_time(SILENCE_TOLD_S - 1)
    assert not scene.events
    scene.pass_time(1)
    scene.say({"id": 1, "row": {"fraction": 0.1, "text": ""}})
    scene.pass_time(SILENCE_TOLD_S)
    assert len(scene.events) == 1
    assert not scene.answers
    scene.say({"id": 1, "ok": {}})
    assert scene.answers == [({}, None)]


def test_an_asker_that_goes_cancels_what_it_had_asked_for(scene: Scene) -> None:
    requests = ActionRequests(scene.acting)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    heard = Heard()
    asker = Peer(scene.reactor, left, heard.received, requests.gone)
    requests.take(asker, 5, {"do": "act", "volume": "work", "part": "engine", "action": "go"})
    right.close()
    asker.drain()
    scene.drain()
    assert [one["do"] for one in scene.target[1].messages] == ["act", "cancel"]


def test_actions_are_listed_of_all_that_runs_and_what_does_not_is_named(scene: Scene) -> None:
    requests = ActionRequests(scene.acting)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    heard, other = Heard(), Heard()
    asker = Peer(scene.reactor, left, heard.received, heard.lost)
    client = Peer(scene.reactor, right, other.received, other.lost)
    scene.peers += [asker, client]
    scene.children["member.work.one"].phase = "down"
    answers: list[Message] = []
    rows: list[Message] = []
    client.ask({"do": "actions", "volume": "work"}, answers.append, row=rows.append)
    requests.take(asker, 1, {"do": "actions", "volume": "work"})
    scene.drain()
    scene.say({"id": 1, "ok": {"actions": [{"part": "engine", "action": "go"}]}})
    assert rows == [{"id": 1, "row": {"part": "engine", "action": "go"}}]
    assert answers == [{"id": 1, "ok": {"missing": ["member.work.one"]}}]
