"""Actions and jobs, as values."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tierce import Action, ActionCall, Job, PluginError, UsageError


def make() -> tuple[Job, list[tuple[Any, Any]], list[tuple[float, str]], list[str]]:
    answers: list[tuple[Any, Any]] = []
    told: list[tuple[float, str]] = []
    faults: list[str] = []
    job = Job(
        lambda result, error: answers.append((result, error)),
        lambda fraction, text: told.append((fraction, text)),
        faults.append,
    )
    return job, answers, told, faults


def test_a_job_is_answered_once_and_a_second_answer_is_told() -> None:
    job, answers, told, faults = make()
    job.progress(2.0, "much")
    job.done(1)
    job.fail("too late")
    job.progress(0.5)
    assert answers == [(1, None)]
    assert told == [(1.0, "much")]
    assert faults == ["answered twice"]


def test_a_job_is_answered_on_its_own_thread_only() -> None:
    job, answers, _told, faults = make()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            job.done()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised
    assert not answers
    assert "another thread" in faults[0]


def test_who_asks_late_to_hear_of_a_cancellation_hears_of_it_all_the_same() -> None:
    job, answers, _told, _faults = make()
    job.cancel()
    heard: list[str] = []
    job.when_cancelled(lambda: heard.append("cancelled"))
    assert heard == ["cancelled"]
    job.fail("it was cancelled")
    assert len(answers) == 1
    job.when_cancelled(lambda: pytest.fail("it is answered"))


def test_who_carries_out_a_job_hears_that_it_is_cancelled_and_answers_all_the_same() -> None:
    job, answers, _told, faults = make()
    heard: list[str] = []
    job.when_cancelled(lambda: heard.append("cancelled"))
    job.cancel()
    job.cancel()
    assert job.is_cancelled
    assert heard == ["cancelled"]
    job.fail("it was cancelled")
    assert isinstance(answers[0][1], UsageError)
    assert not faults


def test_a_job_that_is_answered_is_not_cancelled_any_more() -> None:
    job, _answers, _told, _faults = make()
    job.when_cancelled(lambda: pytest.fail("it was done"))
    job.done()
    job.cancel()
    assert not job.is_cancelled


@pytest.mark.parametrize("name", ["", "Resize", "re size", "9", 5, None])
def test_an_action_has_a_name_that_can_be_typed(name: Any) -> None:
    with pytest.raises(PluginError, match="small letters"):
        Action(name=name, summary="Any.")


def test_what_an_action_takes_and_answers_are_option_classes() -> None:
    with pytest.raises(PluginError, match="`arguments` is an option class"):
        Action(name="resize", summary="Any.", arguments=dict)
    with pytest.raises(PluginError, match="`result` is an option class"):
        Action(name="resize", summary="Any.", result=int)


def test_an_action_is_asked_of_a_volume_or_of_a_service() -> None:
    with pytest.raises(UsageError, match="name one"):
        ActionCall(action="resize")
    with pytest.raises(UsageError, match="name one"):
        ActionCall(volume="work", service="pool", action="resize")
    assert ActionCall(volume="work", part="engine", action="go").title == "volume work: engine: go"


def test_a_job_of_a_part_on_another_thread_is_carried_to_the_data_thread() -> None:
    carried: list[Callable[[], None]] = []
    answers: list[Any] = []
    told: list[float] = []
    faults: list[str] = []
    job = Job(
        lambda *answer: answers.append(answer),
        lambda fraction, _text: told.append(fraction),
        faults.append,
        carried.append,
    )
    heard: list[str] = []

    def work() -> None:
        job.progress(0.5)
        job.when_cancelled(lambda: heard.append("cancelled"))
        job.done(1)
        job.done(2)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (answers, told, faults) == ([], [], [])
    for call in carried[:2]:
        call()
    job.cancel()
    for call in carried[2:]:
        call()
    assert (answers, told, heard) == ([(1, None)], [0.5], ["cancelled"])
    assert faults == ["answered twice"]
