"""Which process does which work: who is started, given, asked, told of and ended, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tierce.inventory.errands import GivenUpError
from tierce.inventory.workers import (
    AGAIN_S,
    ASKED_S,
    PATIENCE_S,
    PROCESS_COUNT_MAX,
    TOLD_S,
    Ask,
    End,
    Give,
    Job,
    Look,
    Start,
    Tell,
    Workers,
)
from tierce.process.works import Call, Work

NOW = 1000.0


class Scene:
    """Works by the names of their engines; nothing happens but what the test says."""

    def __init__(self) -> None:
        self.workers = Workers()
        self.now = NOW
        self.told: list[tuple[str, str]] = []

    def want(self, name: str) -> Job:
        def done(result: Any, error: Exception | None) -> None:
            self.told.append((name, str(error or result)))

        work = Work(call=Call.ADOPT, engine=name, folders=(Path("/a"),))
        return self.workers.want(work, done, self.now)

    def actions(self) -> list[Any]:
        """Return what is to be done, jobs as the names of their engines."""
        plain: list[Any] = []
        for action in self.workers.actions(self.now):
            match action:
                case Give(name, job):
                    plain.append(("give", name, job.work.engine))
                case Tell(name, job):
                    plain.append(("tell", name, job.work.engine))
                case Start(name):
                    self.workers.started(name, self.now)
                    plain.append(action)
                case _:
                    plain.append(action)
        return plain

    def up(self, name: str) -> list[Any]:
        self.workers.ready(name)
        return self.actions()

    def answer(self, name: str) -> list[Any]:
        job = self.workers.answered(name)
        assert job is not None
        job.done("done", None)
        return self.actions()


def test_a_work_has_a_process_started_is_given_to_it_and_lets_it_end() -> None:
    scene = Scene()
    assert scene.actions() == []
    scene.want("one")
    assert scene.actions() == [Start("work.1")]
    # Not two, however often it looks, unless it does not come up.
    assert scene.actions() == [Look(NOW + AGAIN_S)]
    assert scene.up("work.1")[0] == ("give", "work.1", "one")
    assert scene.answer("work.1") == [End("work.1")]
    assert scene.told == [("one", "done")]
    assert scene.workers.gone("work.1", scene.now) is None
    assert scene.actions() == []


def test_one_process_does_many_works_in_turn() -> None:
    scene = Scene()
    for name in ("one", "two", "three"):
        scene.want(name)
    assert scene.actions() == [Start("work.1")]
    assert scene.up("work.1")[0] == ("give", "work.1", "one")
    assert scene.answer("work.1")[0] == ("give", "work.1", "two")
    assert scene.answer("work.1")[0] == ("give", "work.1", "three")
    assert scene.answer("work.1") == [End("work.1")]


def test_what_has_waited_for_a_while_has_another_process_started() -> None:
    scene = Scene()
    scene.want("hangs")
    scene.actions()
    scene.want("waits")
    given, look = scene.up("work.1")
    assert given == ("give", "work.1", "hangs")
    assert look == Look(NOW + PATIENCE_S)
    scene.now += PATIENCE_S
    assert scene.actions()[0] == Start("work.2")
    assert scene.up("work.2")[0] == ("give", "work.2", "waits")


def test_processes_are_few_and_a_work_that_comes_late_waits_for_one() -> None:
    scene = Scene()
    for number in range(1, PROCESS_COUNT_MAX + 1):
        scene.want(f"hangs {number}")
        scene.now += PATIENCE_S
        assert Start(f"work.{number}") in scene.actions()
        scene.up(f"work.{number}")
    scene.want("late")
    scene.now += 1.0
    assert not any(isinstance(one, Start) for one in scene.actions())
    assert ("give", "work.2", "late") in scene.answer("work.2")


def test_works_that_hang_keep_no_other_from_being_done() -> None:
    scene = Scene()
    for number in range(1, PROCESS_COUNT_MAX + 1):
        scene.want(f"hang {number}")
        scene.now += PATIENCE_S
        assert Start(f"work.{number}") in scene.actions()
        scene.up(f"work.{number}")
    scene.want("other")
    scene.now += PATIENCE_S
    assert not any(isinstance(one, Start) for one in scene.actions())
    scene.now += ASKED_S
    scene.actions()
    scene.now += TOLD_S - ASKED_S
    # What was told of takes no other's place any more.
    assert scene.actions()[-1] == Look(scene.now)
    name = f"work.{PROCESS_COUNT_MAX + 1}"
    assert Start(name) in scene.actions()
    assert ("give", name, "other") in scene.up(name)


def test_a_process_that_is_ending_is_given_nothing_and_its_name_is_free_when_it_has_gone() -> None:
    scene = Scene()
    scene.want("one")
    scene.actions()
    scene.up("work.1")
    scene.answer("work.1")
    scene.want("two")
    assert scene.actions() == [Start("work.2")]
    scene.workers.gone("work.1", scene.now)
    scene.up("work.2")
    scene.want("three")
    scene.now += PATIENCE_S
    assert Start("work.1") in scene.actions()


def test_a_work_whose_process_has_ended_is_not_done_and_others_go_on() -> None:
    scene = Scene()
    scene.want("crashes")
    scene.want("two")
    scene.actions()
    scene.up("work.1")
    job = scene.workers.gone("work.1", scene.now)
    assert job is not None
    assert (job.work.engine, job.given_up) == ("crashes", None)
    # At once: it had been up.
    assert scene.actions() == [Start("work.1")]


def test_a_process_that_does_not_come_up_is_tried_again_later() -> None:
    scene = Scene()
    scene.want("one")
    scene.actions()
    assert scene.workers.gone("work.1", scene.now) is None
    assert scene.actions() == [Look(NOW + AGAIN_S)]
    scene.now += AGAIN_S
    assert scene.actions() == [Start("work.1")]
    # Where there is nobody to fork it, somebody comes: the next look tries again.
    scene.workers.refused("work.1")
    assert scene.actions() == [Start("work.1")]


def test_a_process_that_never_comes_up_is_not_waited_for() -> None:
    scene = Scene()
    scene.want("one")
    scene.actions()
    scene.now += AGAIN_S
    assert scene.actions()[0] == Start("work.2")
    assert scene.up("work.2")[0] == ("give", "work.2", "one")


def test_a_work_that_is_given_up_before_it_is_begun_is_over_at_once() -> None:
    scene = Scene()
    job = scene.want("one")
    assert scene.workers.give_up(job, GivenUpError("nobody wants it")) == ""
    assert scene.told == [("one", "nobody wants it")]
    assert scene.actions() == []


def test_a_work_that_is_given_up_while_it_is_done_is_over_when_its_process_has_gone() -> None:
    scene = Scene()
    job = scene.want("one")
    scene.actions()
    scene.up("work.1")
    error = GivenUpError("nobody wants it")
    assert scene.workers.give_up(job, error) == "work.1"
    # It is being killed already, and what it still answers counts no more.
    assert scene.workers.give_up(job, error) == ""
    assert scene.workers.answered("work.1") is None
    assert scene.told == []
    gone = scene.workers.gone("work.1", scene.now)
    assert gone is job
    assert gone.given_up is error


def test_a_work_that_takes_long_is_asked_where_it_is_then_told_once() -> None:
    scene = Scene()
    scene.want("hangs")
    scene.actions()
    assert scene.up("work.1") == [("give", "work.1", "hangs"), Look(NOW + ASKED_S)]
    scene.now = NOW + ASKED_S
    assert scene.actions() == [Ask("work.1"), Look(NOW + TOLD_S)]
    scene.now = NOW + TOLD_S
    assert scene.actions() == [("tell", "work.1", "hangs")]
    scene.now += 3600
    assert scene.actions() == []


def test_what_a_former_server_left_is_waited_for_before_anything_is_done() -> None:
    scene = Scene()
    scene.workers.found("work.1")
    scene.want("one")
    assert scene.actions() == []
    scene.workers.ready("work.1")
    assert scene.actions() == []
    assert scene.workers.gone("work.1", scene.now) is None
    assert scene.actions() == [Start("work.1")]


def test_a_process_that_is_retired_is_given_nothing_any_more() -> None:
    scene = Scene()
    scene.want("one")
    scene.actions()
    scene.workers.ready("work.1")
    scene.workers.retire("work.1")
    assert scene.actions() == [Start("work.2")]
    scene.workers.retire("nobody")
    scene.workers.ready("nobody")
