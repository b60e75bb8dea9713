"""Waiting for the end of tasks that are given up. No socket."""

from __future__ import annotations

from tierce_iscsi.tasks import DataIn, Drain, Task


def test_it_is_done_once_when_the_last_task_is_complete() -> None:
    done: list[bool] = []
    drain = Drain(lambda: done.append(True))
    tasks = [Task(1, 0), Task(2, 0)]
    for task in tasks:
        drain.add(task)
    drain.start()
    drain.complete(tasks[0])
    assert (done, drain.is_over) == ([], False)
    drain.complete(tasks[1])
    assert (done, drain.is_over) == ([True], True)


def test_without_tasks_it_is_done_from_within_start() -> None:
    done: list[bool] = []
    Drain(lambda: done.append(True)).start()
    assert done == [True]


def test_a_task_of_two_is_let_go_by_the_one_that_gives_up_waiting() -> None:
    done: list[str] = []
    task = Task(1, 0)
    first, second = Drain(lambda: done.append("first")), Drain(lambda: done.append("second"))
    for drain in (first, second):
        drain.add(task)
        drain.start()
    first.cancel()
    assert task.drains == (second,)
    first.complete(task)
    second.complete(task)
    assert done == ["second"]


def test_data_are_given_when_nothing_of_them_is_left() -> None:
    given = DataIn(1, memoryview(b"abc"), None, 0, 0)
    assert not given.is_given
    given.offset = 3
    assert given.is_given
