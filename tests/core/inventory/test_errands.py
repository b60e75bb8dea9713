"""Errands of one volume go one after the other, of several beside each other; each knows what comes
of its works, whatever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierce import ConflictError
from tierce.inventory.errands import (
    Answer,
    Done,
    Errand,
    Errands,
    GivenUpError,
    Together,
    run_here,
)
from tierce.process.works import Call, Work


def work(name: str) -> Work:
    return Work(call=Call.ADOPT, engine=name, folders=(Path("/a"),))


class ByHand:
    """Does works when the test says so; notes those that are given up."""

    def __init__(self) -> None:
        self.under_way: dict[str, Done] = {}
        self.given_up: list[str] = []

    def do(self, work: Work, done: Done) -> Callable[[GivenUpError], None]:
        self.under_way[work.engine] = done

        def give_up(error: GivenUpError) -> None:
            self.given_up.append(work.engine)
            self.settle(work.engine, error=error)

        return give_up

    def settle(self, name: str, result: Any = None, error: Exception | None = None) -> None:
        self.under_way.pop(name)(result, error)


@pytest.fixture
def worker() -> ByHand:
    return ByHand()


@pytest.fixture
def errands(worker: ByHand) -> Errands:
    return Errands(worker)


def test_an_errand_that_needs_no_work_is_over_at_once(errands: Errands) -> None:
    def nothing() -> Errand[str]:
        yield from ()
        return "done"

    told: list[Any] = []
    errands.begin("demo", nothing(), lambda *what: told.append(what))
    assert told == [("done", None)]
    assert not errands.busy


def test_an_errand_goes_on_with_what_comes_of_its_work_and_answers_once(
    errands: Errands, worker: ByHand
) -> None:
    def both() -> Errand[list[str]]:
        first = yield work("one")
        second = yield work("two")
        return [first, second]

    told: list[Any] = []
    errands.begin("demo", both(), lambda *what: told.append(what))
    worker.settle("one", "a")
    assert not told
    assert errands.busy == {"demo"}
    assert errands.under_way("demo") == work("two")
    worker.settle("two", "b")
    assert told == [(["a", "b"], None)]
    assert not errands.busy
    assert errands.under_way("demo") is None


def test_a_work_that_fails_is_raised_where_it_was_asked_for(
    errands: Errands, worker: ByHand
) -> None:
    def undo() -> Errand[str]:
        try:
            yield work("make")
        except ConflictError as error:
            yield work("undo")
            return f"undone: {error}"
        return "made"

    told: list[Any] = []
    errands.begin("demo", undo(), lambda *what: told.append(what))
    worker.settle("make", error=ConflictError("taken"))
    worker.settle("undo")
    assert told == [("undone: taken", None)]


def test_what_an_errand_raises_is_told_and_the_next_one_goes_on(
    errands: Errands, worker: ByHand
) -> None:
    def fail() -> Errand[None]:
        yield work("one")
        raise ConflictError("no")

    def go_on() -> Errand[str]:
        answer: str = yield work("two")
        return answer

    told: list[str] = []
    errands.begin("demo", fail(), lambda _answer, error: told.append(str(error)))
    errands.begin("demo", go_on(), lambda answer, _error: told.append(answer))
    worker.settle("one")
    worker.settle("two", "yes")
    assert told == ["no", "yes"]


def test_any_number_of_errands_that_need_no_work_may_wait_for_one_that_does(
    errands: Errands, worker: ByHand
) -> None:
    def one(name: str) -> Errand[None]:
        yield work(name)

    def nothing() -> Errand[None]:
        yield from ()

    errands.begin("demo", one("hangs"), lambda *_what: None)
    over: list[int] = []
    for number in range(2000):
        errands.begin("demo", nothing(), lambda *_what, number=number: over.append(number))
    worker.settle("hangs")
    assert over == list(range(2000))
    assert not errands.busy


def test_who_fails_on_being_told_keeps_nobody_behind_from_his_turn(
    errands: Errands, worker: ByHand
) -> None:
    def one(name: str) -> Errand[None]:
        yield work(name)

    def fails(*_what: Any) -> None:
        raise ZeroDivisionError

    for name in ("first", "second"):
        errands.begin("demo", one(name), fails)
    with pytest.raises(ZeroDivisionError):
        worker.settle("first")
    assert list(worker.under_way) == ["second"]


def test_one_volumes_errands_wait_for_each_other_and_for_no_other_volumes(
    errands: Errands, worker: ByHand
) -> None:
    def one(name: str) -> Errand[None]:
        yield work(name)

    for name in ("delete", "create"):
        errands.begin("demo", one(name), lambda *_what: None)
    errands.begin("other", one("other"), lambda *_what: None)
    assert list(worker.under_way) == ["delete", "other"]
    worker.settle("delete")
    assert list(worker.under_way) == ["other", "create"]


def test_what_who_is_told_begins_comes_after_what_waits_already(
    errands: Errands, worker: ByHand
) -> None:
    def one(name: str) -> Errand[None]:
        yield work(name)

    def again(*_what: Any) -> None:
        errands.begin("demo", one("third"), lambda *_what: None)

    errands.begin("demo", one("first"), again)
    errands.begin("demo", one("second"), lambda *_what: None)
    worker.settle("first")
    assert list(worker.under_way) == ["second"]
    worker.settle("second")
    assert list(worker.under_way) == ["third"]


def test_a_work_that_is_given_up_fails_with_the_reason_and_the_errand_goes_on(
    errands: Errands, worker: ByHand
) -> None:
    def undo() -> Errand[str]:
        try:
            yield work("make")
        except GivenUpError as error:
            yield work("undo")
            return str(error)
        return "made"

    told: list[Any] = []
    errands.interrupt("demo", "nobody is there")
    errands.begin("demo", undo(), lambda *what: told.append(what))
    errands.interrupt("demo", "deleted")
    assert (worker.given_up, list(worker.under_way)) == (["make"], ["undo"])
    worker.settle("undo")
    assert told == [("deleted", None)]


def test_without_a_server_an_errand_is_gone_about_in_place() -> None:
    def both() -> Errand[str]:
        try:
            yield work("one")
        except ValueError as error:
            second: str = yield work("two")
            return str(error) + second
        return ""

    def do(work: Work) -> str:
        if work.engine == "one":
            raise ValueError("1")
        return "2"

    assert run_here(both(), do) == "12"


def together(told: list[Any]) -> Errand[str]:
    answers = yield Together((work("one"), work("two"), work("three")))
    told.append(answers)
    yield work("last")
    return "done"


def test_works_that_are_wanted_together_wait_for_none_and_the_errand_for_all(
    errands: Errands, worker: ByHand
) -> None:
    seen: list[Any] = []
    told: list[Any] = []
    errands.begin("demo", together(seen), lambda *what: told.append(what))
    assert list(worker.under_way) == ["one", "two", "three"]
    failure = ConflictError("no")
    worker.settle("three", "c")
    worker.settle("one", error=failure)
    assert (errands.under_way("demo"), seen) == (work("two"), [])
    worker.settle("two", "b")
    assert seen == [(Answer(error=failure), Answer("b"), Answer("c"))]
    assert errands.under_way("demo") == work("last")
    worker.settle("last")
    assert told == [("done", None)]


def test_of_works_that_are_wanted_together_all_that_are_under_way_are_given_up(
    errands: Errands, worker: ByHand
) -> None:
    seen: list[Any] = []
    errands.begin("demo", together(seen), lambda *_what: None)
    worker.settle("two", "b")
    errands.interrupt("demo", "deleted")
    assert worker.given_up == ["one", "three"]
    ((one, two, three),) = seen
    assert (str(one.error), two.result, str(three.error)) == ("deleted", "b", "deleted")
    # The next work is not: who gives up has not seen it.
    assert list(worker.under_way) == ["last"]


def test_works_that_are_wanted_together_are_done_in_turn_where_there_is_no_server() -> None:
    done: list[str] = []
    seen: list[Any] = []

    def do(one: Work) -> str:
        done.append(one.engine)
        if one.engine == "two":
            raise ConflictError("no")
        return one.engine.upper()

    assert run_here(together(seen), do) == "done"
    assert done == ["one", "two", "three", "last"]
    ((one, two, three),) = seen
    assert (one.result, str(two.error), three.result) == ("ONE", "no", "THREE")
