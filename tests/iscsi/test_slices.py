"""Calls that let others have their turn."""

from __future__ import annotations

import itertools

from core.fake_reactor import FakeReactor
from iscsi.bench import Bench
from tierce_iscsi.slices import SLICE_NS, Slices


def test_calls_are_made_in_their_order_some_in_each_turn() -> None:
    loop, made = FakeReactor(), list[int]()
    # Whoever looks at the clock finds that a third of a slice has passed.
    slices = Slices(loop.call_soon, itertools.count(0, SLICE_NS // 3).__next__)
    for number in range(10):
        slices(lambda number=number: made.append(number))  # type: ignore[misc]
    counts = []
    while loop.turn_once():
        counts.append(len(made))
    assert made == list(range(10))
    assert counts == [4, 8, 10]


def test_what_a_call_asks_for_comes_behind_those_that_wait() -> None:
    loop, made = FakeReactor(), list[str]()
    slices = Slices(loop.call_soon, lambda: 0)

    def first() -> None:
        made.append("first")
        slices(lambda: made.append("asked for"))

    slices(first)
    slices(lambda: made.append("second"))
    loop.turn()
    assert made == ["first", "second", "asked for"]
    slices(lambda: made.append("later"))
    loop.turn()
    assert made[-1] == "later"


def test_commands_that_pause_wait_in_the_queue_that_all_sessions_share(bench: Bench) -> None:
    assert bench.frontend.unit.soon is bench.frontend.slices
