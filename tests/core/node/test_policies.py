"""Policy documents in a process that is not there, at times that a test says."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import attrs
import pytest

from core.fake_process import FakeProcess
from tierce import (
    ActionCall,
    Evaluation,
    Event,
    Policy,
    PolicyHandlerDescription,
    TemporaryError,
    hookimpl,
    option,
)
from tierce.node.policies import FAILED_AGAIN_S, LINGER_S, PERIOD_S_MIN, PoliciesProcess
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.process.wanted_settings import read_wanted
from tierce.registry import Registry

MODULE = "policies_for_tests"
WANTED = (("set", 5), ("other", 6))
Answer = Callable[[dict[str, Any]], None]


@attrs.frozen
class Options:
    word: str = option(doc="What it wants.", default="nothing")


class Handler:
    """Answers as the test says, by the document's word; notes when it was asked."""

    asked: ClassVar[list[tuple[str, float, list[str]]]] = []
    answers: ClassVar[dict[str, Callable[[float], Any]]] = {}


def evaluate(policy: Policy, volumes: Mapping[str, Any], now: float) -> Any:
    Handler.asked.append((policy.name, now, sorted(volumes)))
    return Handler.answers[policy.parameters.word](now)


@hookimpl
def tierce_policy_handlers() -> list[PolicyHandlerDescription]:
    return [
        PolicyHandlerDescription(
            kind="do",
            summary="Does.",
            factory=f"{MODULE}:evaluate",
            options=Options,
            contract=2,
        )
    ]


class Scene:
    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.process = FakeProcess(reactor, folder, Plan("policies", Role.POLICIES))
        self.requests: list[tuple[dict[str, Any], Answer]] = []
        self.registry = Registry.build([("strange", sys.modules[__name__], "")])
        assert self.registry.plugins[0].state == "enabled", self.registry.plugins[0].reason
        self.is_server_there = True

    def write(self, *words: str) -> None:
        documents = [
            {"kind": "do", "name": word, "parameters": {"word": word}, "volumes": {"demo": {}}}
            for word in words
        ]
        self.process.paths.policies.write_text(json.dumps(documents))

    def start(self, *words: str) -> PoliciesProcess:
        self.write(*words)
        process = cast("Process", self.process)
        body = PoliciesProcess(process, self.registry, self.ask, self.reactor.now)
        self.reactor.turn()
        return body

    def ask(self, message: dict[str, Any], answered: Answer) -> None:
        if not self.is_server_there:
            raise TemporaryError("no server runs")
        self.requests.append((message, answered))

    @property
    def codes(self) -> list[str]:
        return [event.code for event in self.process.events]


@pytest.fixture
def scene(reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    Handler.asked.clear()
    Handler.answers.clear()
    Handler.answers["gone"] = lambda _now: setting(rate=7)
    Handler.answers["nothing"] = lambda _now: Evaluation()
    Handler.answers["tell"] = lambda _now: Evaluation(events=(Event("it.is", "so", "x"),))
    Handler.answers["snapshot"] = lambda now: Evaluation(actions=(SNAPSHOT,), next_at=now + 1)
    return Scene(reactor, tmp_path)


SNAPSHOT = ActionCall(volume="demo", part="engine", action="snapshot", arguments={"name": "a"})


def setting(**options: Any) -> Evaluation:
    return Evaluation(settings={"demo": {"options": options}})


def raising(error: BaseException) -> Callable[[float], Any]:
    def answer(_now: float) -> Any:
        raise error

    return answer


def test_every_document_is_evaluated_with_its_volumes_and_the_process_ends(scene: Scene) -> None:
    scene.start("tell", "nothing")
    now = scene.reactor.now()
    assert Handler.asked == [("tell", now, ["demo"]), ("nothing", now, ["demo"])]
    assert scene.codes == ["it.is"]
    assert scene.process.facts == {"next_at": None, "is_done": True}
    assert scene.process.is_closed
    # It may hold secrets.
    assert not scene.process.paths.policies.exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (raising(RuntimeError("can't be done")), "can't be done"),
        (raising(SystemExit(3)), "3"),
        (lambda _now: None, "returned an instance of NoneType; expected a tierce.Evaluation"),
        (lambda _now: Evaluation(next_at=cast("float", "soon")), "its next_at is 'soon'"),
        (lambda _now: Evaluation(next_at=float("nan")), "its next_at is nan"),
        (lambda _now: Evaluation(actions=cast("Any", ("x",))), "hold an instance of str"),
        (lambda _now: Evaluation(events=cast("Any", 5)), "its events are an instance of int"),
        (lambda _now: Evaluation(actions=(SNAPSHOT,) * 257), "returned 257 actions at once"),
        (lambda _now: Evaluation(settings=cast("Any", 5)), "its settings hold an instance of int"),
        (
            lambda _now: Evaluation(settings=cast("Any", {"demo": {"options": 5}})),
            "instance of int",
        ),
        (lambda _now: setting(rate=float("nan")), "settings of volume demo are no JSON values"),
        (lambda _now: setting(rate=object()), "settings of volume demo are no JSON values"),
        (
            lambda _now: setting(**{f"rate-{index}": 5 for index in range(257)}),
            "its settings of volume demo are 257; 256 are allowed",
        ),
        (
            lambda _now: Evaluation(settings={"other": {"options": {"rate": 5}}}),
            "its settings name the volume 'other', which it does not select",
        ),
    ],
)
def test_a_document_that_fails_costs_itself_and_is_tried_again_later(
    scene: Scene, answer: Callable[[float], Any], said: str
) -> None:
    Handler.answers["bad"] = answer
    scene.start("bad", "tell")
    assert scene.codes == ["policy.failed", "it.is"]
    told = scene.process.events[0]
    assert told.subject == "policy/bad"
    assert "policy bad: " in told.message
    assert said in told.message
    assert "(handler do of plugin 'strange')" in told.message
    assert scene.requests == []
    scene.reactor.advance(FAILED_AGAIN_S)
    assert [name for name, _, _ in Handler.asked] == ["bad", "tell", "bad"]


def test_a_handler_that_hangs_is_interrupted_and_the_next_has_its_turn(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierce.node.policies.TIME_BOX_S", 0.01)

    def hang(_now: float) -> Any:
        while True:
            # As a stranger would: what interrupts it must be no Exception.
            with contextlib.suppress(Exception):
                sum(range(1000))

    Handler.answers["hang"] = hang
    scene.start("hang", "tell")
    assert scene.codes == ["policy.failed", "it.is"]
    assert "policy hang: its handler takes longer than" in scene.process.events[0].message


def test_a_document_that_ended_the_process_before_is_put_aside(scene: Scene) -> None:
    scene.process.paths.policy_under_way.write_text("nothing")
    scene.start("nothing", "tell")
    assert scene.codes == ["policy.failed", "it.is"]
    assert "policy nothing: its handler ended the process" in scene.process.events[0].message
    assert [name for name, _, _ in Handler.asked] == ["tell"]
    assert not scene.process.paths.policy_under_way.exists()


def test_what_is_under_way_is_known_while_a_document_is_evaluated(scene: Scene) -> None:
    seen: list[str] = []

    def look(_now: float) -> Evaluation:
        seen.append(scene.process.paths.policy_under_way.read_text())
        return Evaluation()

    Handler.answers["look"] = look
    scene.start("look")
    assert seen == ["look"]
    assert not scene.process.paths.policy_under_way.exists()


def test_an_action_every_second_is_asked_for_every_second_by_one_process(scene: Scene) -> None:
    scene.start("snapshot")
    for second in range(3):
        assert len(scene.requests) == second + 1
        message, answered = scene.requests[second]
        assert (message["do"], message["volume"], message["part"]) == ("act", "demo", "engine")
        assert (message["action"], message["arguments"]) == ("snapshot", {"name": "a"})
        answered({"ok": {"id": second}})
        scene.reactor.advance(1)
    assert not scene.process.is_closed
    # That it was done is told at once, and from then on by the minute.
    (told,) = scene.process.events
    assert (told.code, told.fields["result"]) == ("policy.acted", {"id": 0})
    assert told.message == "policy snapshot: volume demo: engine: snapshot is done"


def test_what_was_done_many_times_is_told_by_its_count(scene: Scene) -> None:
    scene.start("snapshot")
    for second in range(61):
        scene.requests[second][1]({"ok": {}})
        scene.reactor.advance(1)
    assert scene.process.events[-1].message.endswith("snapshot is done (60 times)")
    assert len(scene.process.events) == 2


def test_a_document_waits_while_its_action_is_under_way_and_others_go_on(scene: Scene) -> None:
    Handler.answers["often"] = lambda now: Evaluation(next_at=now + 1)
    scene.start("snapshot", "often")
    scene.reactor.advance(1)
    scene.reactor.advance(1)
    assert [name for name, _, _ in Handler.asked] == ["snapshot", "often", "often", "often"]
    scene.requests[0][1]({"ok": {}})
    scene.reactor.turn()
    assert [name for name, _, _ in Handler.asked][-1] == "snapshot"


@pytest.mark.parametrize("is_server_there", [True, False])
def test_an_action_that_is_not_done_is_told_and_the_document_goes_on(
    scene: Scene, *, is_server_there: bool
) -> None:
    scene.is_server_there = is_server_there
    scene.start("snapshot")
    if is_server_there:
        scene.requests[0][1]({"error": "volume demo is not running"})
    assert scene.codes == ["policy.action-failed"]
    assert "engine: snapshot was not done: " in scene.process.events[0].message
    scene.reactor.advance(1)
    assert len(Handler.asked) == 2


def test_what_a_document_sets_is_noted_and_told_when_it_is_something_else(scene: Scene) -> None:
    rates = [5, 5, 6, None]

    def answer(now: float) -> Evaluation:
        rate = rates.pop(0)
        settings = {"demo": {"options": {"rate": rate}} if rate else {}}
        return Evaluation(settings=settings, next_at=now + 1 if rates else None)

    Handler.answers["set"] = answer
    scene.start("set", "tell")
    noted = scene.process.paths.policy_settings
    seen = []
    for _second in range(4):
        seen.append((read_wanted(noted)["set"], len(scene.requests)))
        scene.reactor.advance(1)
    of_five, of_six = ({"demo": {"options": {"rate": rate}}} for rate in (5, 6))
    assert seen == [(of_five, 1), (of_five, 1), (of_six, 2), ({}, 3)]
    assert [message for message, _ in scene.requests] == [{"do": "policy-settings"}] * 3


def test_a_document_that_fails_goes_on_setting_what_it_has_set_also_in_the_next_process(
    scene: Scene,
) -> None:
    Handler.answers["set"] = lambda _now: setting(rate=5)
    Handler.answers["other"] = lambda _now: setting(rate=6)
    scene.start("set", "gone")
    Handler.answers["set"] = raising(RuntimeError("can't be done"))
    scene.start("set", "other")
    of_demo = {name: {"demo": {"options": {"rate": rate}}} for name, rate in WANTED}
    assert read_wanted(scene.process.paths.policy_settings) == of_demo


def test_a_document_that_comes_back_has_what_it_sets_told_again_also_by_the_next_process(
    scene: Scene,
) -> None:
    Handler.answers["set"] = lambda _now: setting(rate=5)
    scene.start("set", "nothing")
    scene.start("nothing")
    assert read_wanted(scene.process.paths.policy_settings) == {}
    scene.start("set", "nothing")
    assert [message for message, _ in scene.requests] == [{"do": "policy-settings"}] * 2


def test_without_a_server_what_is_set_is_noted_for_the_next_one(scene: Scene) -> None:
    Handler.answers["set"] = lambda _now: setting(rate=5)
    scene.is_server_there = False
    scene.start("set")
    assert "set" in read_wanted(scene.process.paths.policy_settings)
    assert scene.process.is_closed


def test_a_disk_that_is_full_lets_what_was_set_stay_and_the_document_is_tried_again(
    scene: Scene,
) -> None:
    Handler.answers["set"] = lambda _now: setting(rate=5)
    # As on a disk that is full.
    scene.process.paths.policy_settings.mkdir()
    scene.start("set")
    assert scene.codes == ["policy.failed"]
    assert "what it sets can't be noted" in scene.process.events[0].message
    scene.process.paths.policy_settings.rmdir()
    scene.reactor.advance(FAILED_AGAIN_S)
    assert "set" in read_wanted(scene.process.paths.policy_settings)


def test_a_document_that_is_due_late_lets_the_process_end_which_says_when(scene: Scene) -> None:
    Handler.answers["late"] = lambda now: Evaluation(next_at=now + LINGER_S + 1)
    scene.start("late")
    assert scene.process.facts["next_at"] == scene.reactor.now() + LINGER_S + 1
    assert scene.process.is_closed


def test_what_has_changed_is_evaluated_by_the_process_that_is_there(scene: Scene) -> None:
    body = scene.start("snapshot")
    scene.requests[0][1]({"ok": {}})
    scene.write("tell")
    body.commands["evaluate"]({}, [])
    scene.reactor.turn()
    assert [name for name, _, _ in Handler.asked] == ["snapshot", "tell"]
    assert scene.process.is_closed


def test_what_changes_while_it_ends_is_left_for_the_next_process(scene: Scene) -> None:
    body = scene.start("nothing")
    body.close(lambda: None)
    scene.write("tell")
    assert body.commands["evaluate"]({}, []) == {}
    assert scene.process.paths.policies.exists()


def test_a_time_that_has_passed_does_not_keep_the_loop(scene: Scene) -> None:
    Handler.answers["past"] = lambda _now: Evaluation(next_at=0)
    scene.start("past")
    assert len(Handler.asked) == 1
    scene.reactor.advance(PERIOD_S_MIN)
    assert len(Handler.asked) == 2
