"""What is told again and again in the same words."""

from __future__ import annotations

from tierce import Event
from tierce.supervision.repeats import REPEAT_COUNT_MAX, REPEAT_S, Repeats


def event(message: str = "the disk is full", severity: str = "error") -> Event:
    return Event("disk.full", message, "volume/demo", severity)


def test_the_same_words_are_told_once_and_then_by_count() -> None:
    repeats = Repeats()
    told = [repeats.take(event(), float(second)) for second in range(int(REPEAT_S) + 1)]
    assert told[0] == event()
    assert told[1:-1] == [None] * (len(told) - 2)
    assert told[-1] == event(f"the disk is full ({len(told) - 2} more times before)")


def test_other_words_are_told_and_what_is_no_trouble_always() -> None:
    repeats = Repeats()
    for _again in range(3):
        assert repeats.take(event("in sync", "info"), 0.0) == event("in sync", "info")
    assert repeats.take(event("one"), 0.0) is not None
    assert repeats.take(event("two"), 0.0) is not None


def test_what_is_remembered_is_bounded() -> None:
    repeats = Repeats()
    for number in range(3 * REPEAT_COUNT_MAX):
        assert repeats.take(event(str(number)), 0.0) is not None
    assert len(repeats._told) == REPEAT_COUNT_MAX
