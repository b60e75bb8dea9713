"""Counters never fall, whoever counted."""

from __future__ import annotations

from tierce_exporters.prometheus.carrying import Carrier

A, B = ("stage", "device", "read"), ("plugin", "filter slow")


def test_a_process_that_is_started_anew_goes_on_where_the_one_before_was() -> None:
    carrier = Carrier()
    assert carrier.carry("target.db", 1, {A: (5, 6)}).numbers == {A: (5, 6)}
    assert carrier.carry("target.db", 1, {A: (7, 6)}).numbers == {A: (7, 6)}
    second = carrier.carry("target.db", 2, {A: (1, 1)})
    assert (second.numbers, second.first_ns, second.starts) == ({A: (8, 7)}, 1, 2)
    third = carrier.carry("target.db", 3, {A: (0, 0)})
    assert (third.numbers, third.starts) == ({A: (8, 7)}, 3)


def test_what_the_new_process_has_not_done_yet_is_still_shown() -> None:
    carrier = Carrier()
    carrier.carry("target.db", 1, {A: (5,), B: (2,)})
    assert carrier.carry("target.db", 2, {B: (1,)}).numbers == {A: (5,), B: (3,)}


def test_processes_are_kept_apart_and_those_that_are_gone_forgotten() -> None:
    carrier = Carrier()
    carrier.carry("target.db", 1, {A: (5,)})
    carrier.carry("target.log", 1, {A: (50,)})
    carrier.forget_others({"target.db"})
    assert carrier.carry("target.db", 2, {A: (1,)}).numbers == {A: (6,)}
    assert carrier.carry("target.log", 2, {A: (1,)}).numbers == {A: (1,)}
