"""When a process that fails is started again, and how often that is told."""

from __future__ import annotations

import itertools

from tierce.supervision.failures import REPEAT_S, Failures
from tierce.supervision.reconcile import RECOVERED_S

GONE = "/srv/a: this replica's folder is missing"


def fail(failures: Failures, now: float, reason: str = GONE, lived_s: float = 0.0) -> str | None:
    failures.add(reason, lived_s, now, 30.0)
    return failures.tell(now)


def test_a_failure_that_repeats_is_told_once_and_then_by_count() -> None:
    failures = Failures()
    told = [fail(failures, float(second)) for second in range(700)]
    said = {second: text for second, text in enumerate(told) if text is not None}
    assert said == {0: "", 60: "61 times in 60 s", 660: "661 times in 660 s"}


def test_another_reason_is_told_at_once() -> None:
    failures = Failures()
    assert fail(failures, 0.0) == ""
    assert fail(failures, 1.0) is None
    assert fail(failures, 2.0, "no descriptors are left") == ""
    assert fail(failures, 3.0) == ""


def test_the_wait_doubles_whatever_the_reason() -> None:
    failures = Failures()
    waits = [failures.add(str(number), 0.0, float(number), 30.0) for number in range(10)]
    assert waits == [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_one_that_stayed_up_begins_anew() -> None:
    failures = Failures()
    for second in range(5):
        fail(failures, float(second))
    assert failures.add(GONE, RECOVERED_S, 50.0, 30.0) == 0.125
    assert failures.tell(50.0) == ""


def test_what_lasts_for_days_is_told_once_an_hour() -> None:
    failures = Failures()
    told = [minute for minute in range(60 * 24) if fail(failures, minute * 60.0) is not None]
    later = [minute for minute in told if minute > 11]
    assert {after - before for before, after in itertools.pairwise(later)} == {60}
    assert REPEAT_S[-1] == 3600
