"""The actions of one process: found by name, parsed, answered once, whatever a part does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from core.fake_reactor import FakeReactor
from tierce import Action, Event, Job, TemporaryError, option
from tierce.process.managing import JOB_COUNT_MAX, Manager
from tierce.process.messages import Message, Peer


@attrs.frozen
class Sizes:
    size: int = option(doc="How much.", unit="bytes")
    label: str = option(doc="Any text.", default="none")


@attrs.frozen
class Kept:
    kept: int = option(doc="How much there is.")


class Part:
    """Does what the test says."""

    def __init__(self, does: Callable[[str, Any, Job], None]) -> None:
        self.manage = does

    def actions(self) -> tuple[Action, ...]:
        return (
            Action(name="resize", summary="Grow.", arguments=Sizes, result=Kept),
            Action(name="copy", summary="Copy.", is_long=True),
        )


class Asker:
    """The other end of a control connection."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def send(self, message: Message) -> None:
        self.heard.append(message)


class Scene:
    def __init__(self, does: Callable[[str, Any, Job], None]) -> None:
        self.reactor = cast("Any", FakeReactor())
        self.events: list[Event] = []
        self.stories: list[BaseException] = []
        self.manager = Manager("volume/work", self.reactor, self.events.append, self.stories.append)
        self.manager.add("engine", Part(does))
        self.asker = Asker()
        self.peer = cast("Peer", self.asker)

    def act(self, action: str = "resize", number: int = 1, **more: Any) -> list[Message]:
        if action == "resize":
            more.setdefault("arguments", {"size": 512})
        message = {"do": "act", "id": number, "part": "engine", "action": action, **more}
        self.manager.act(self.peer, message)
        return self.asker.heard

    @property
    def codes(self) -> list[str]:
        return [event.code for event in self.events]


def nothing(_action: str, _arguments: Any, _job: Job) -> None:
    """Never answers."""


def grown(_action: str, arguments: Any, job: Job) -> None:
    job.done(Kept(arguments.size))


def test_an_action_is_found_by_name_parsed_and_answered() -> None:
    assert Scene(grown).act(arguments={"size": "1 KiB"}) == [{"id": 1, "ok": {"kept": 1024}}]


def test_what_was_typed_is_text_where_the_argument_is_text() -> None:
    taken: list[Sizes] = []
    scene = Scene(lambda _action, arguments, _job: taken.append(arguments))
    scene.act(arguments={}, words={"size": "512", "label": "7"})
    assert taken == [Sizes(512, "7")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"arguments": {"sise": 1}}, "engine: action resize: unknown option 'sise'; the nearest"),
        ({"arguments": {}}, "engine: action resize: the option 'size' is missing"),
        ({"arguments": {"size": []}}, "action resize: size: expected a size such as"),
        ({"arguments": []}, "the arguments of 'resize' are no mapping"),
        ({"part": "engin"}, "there is no part 'engin'; the nearest is 'engine'"),
        ({"part": "plain"}, "plain has no actions"),
    ],
)
def test_what_is_asked_wrongly_is_one_clear_error(more: dict[str, Any], said: str) -> None:
    scene = Scene(grown)
    scene.manager.add("plain", object())
    (answer,) = scene.act(**more)
    assert said in answer["error"]
    assert answer["exit_code"] == 2
    assert not scene.events


def test_an_unknown_action_names_the_nearest() -> None:
    (answer,) = Scene(grown).act("resiz")
    assert "engine has no action 'resiz'; the nearest is 'resize'" in answer["error"]


def test_what_manage_raises_on_purpose_is_the_answer() -> None:
    def refuses(_action: str, _arguments: Any, _job: Job) -> None:
        raise TemporaryError("not now")

    scene = Scene(refuses)
    assert scene.act() == [{"id": 1, "error": "not now", "exit_code": 6}]
    assert not scene.events


def test_a_part_that_raises_costs_that_call_and_is_named() -> None:
    def breaks(_action: str, _arguments: Any, _job: Job) -> None:
        raise RuntimeError("a bug")

    scene = Scene(breaks)
    (answer,) = scene.act()
    assert "engine: action 'resize' failed: RuntimeError: a bug" in answer["error"]
    assert scene.codes == ["action.failed"]
    assert isinstance(scene.stories[0], RuntimeError)
    assert len(scene.act(number=2)) == 2


def test_a_part_that_answers_twice_is_named_and_only_the_first_counts() -> None:
    def twice(_action: str, _arguments: Any, job: Job) -> None:
        job.done(Kept(1))
        job.done(Kept(2))

    scene = Scene(twice)
    assert scene.act() == [{"id": 1, "ok": {"kept": 1}}]
    assert scene.codes == ["action.misanswered"]
    assert "answered twice" in scene.events[0].message


@pytest.mark.parametrize("wrong", [None, 5, Sizes(1), Kept(cast("Any", "many"))])
def test_a_part_that_answers_with_the_wrong_class_is_named(wrong: Any) -> None:
    scene = Scene(lambda _action, _arguments, job: job.done(wrong))
    (answer,) = scene.act()
    assert "engine: action 'resize' was answered wrongly" in answer["error"]
    assert scene.codes == ["action.misanswered"]


@pytest.mark.parametrize("declared", [5, (1,), (Action(name="a", summary="."),) * 2])
def test_a_part_that_declares_its_actions_wrongly_has_none_and_is_named(declared: Any) -> None:
    class Wrong(Part):
        def actions(self) -> tuple[Action, ...]:
            return cast("tuple[Action, ...]", declared)

    scene = Scene(grown)
    scene.manager.add("filter.wrong", Wrong(grown))
    assert scene.codes == ["action.misdeclared"]
    assert {row["part"] for row in scene.manager.describe()} == {"engine"}


def test_a_long_action_says_at_once_that_it_is_and_its_progress_floods_nobody() -> None:
    jobs: list[Job] = []
    scene = Scene(lambda _action, _arguments, job: jobs.append(job))
    scene.act("copy")
    for step in range(1000):
        jobs[0].progress(step / 1000, "copying")
    scene.reactor.time += 1.0
    jobs[0].progress(0.5, "half")
    jobs[0].done()
    assert scene.asker.heard == [
        {"id": 1, "row": {"fraction": 0.0, "text": ""}},
        {"id": 1, "row": {"fraction": 0.5, "text": "half"}},
        {"id": 1, "ok": {}},
    ]


@pytest.mark.parametrize("how", ["cancel", "gone"])
def test_a_job_is_cancelled_by_its_asker_or_with_it_and_its_answer_goes_nowhere(how: str) -> None:
    jobs: list[Job] = []
    scene = Scene(lambda _action, _arguments, job: jobs.append(job))
    scene.act()
    if how == "cancel":
        scene.manager.cancel(scene.peer, {"do": "cancel", "call": 1})
    else:
        scene.manager.gone(scene.peer)
    assert jobs[0].is_cancelled
    jobs[0].done(Kept(1))
    assert not scene.asker.heard
    assert not scene.events


def test_calls_that_are_never_answered_do_not_pile_up() -> None:
    scene = Scene(nothing)
    for number in range(JOB_COUNT_MAX):
        scene.act(number=number)
    assert not scene.asker.heard
    (answer,) = scene.act(number=JOB_COUNT_MAX)
    assert answer["exit_code"] == 6
    scene.manager.gone(scene.peer)
    scene.act(number=1000)
    assert len(scene.asker.heard) == 1


def test_a_process_that_ends_takes_no_more() -> None:
    scene = Scene(grown)
    scene.manager.close()
    (answer,) = scene.act()
    assert "being closed" in answer["error"]


def test_every_action_is_listed_with_the_schema_of_its_arguments() -> None:
    rows = Scene(grown).manager.describe()
    assert [row["action"] for row in rows] == ["resize", "copy"]
    assert rows[0]["arguments"]["required"] == ["size"]
    assert rows[0]["result"]["properties"]["kept"]["type"] == "integer"
    assert rows[1]["is_long"]
