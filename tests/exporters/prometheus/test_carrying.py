"""Counters never fall, whoever counted."""

from __future__ import annotations

from tierce_exporters.prometheus.carrying import Carrier

A, B = ("stage", "device", "read"), ("size", "read")
PAGE, PUBLISHED = ("target.db", "page"), ("target.db", "published")


def test_what_begins_at_zero_goes_on_where_it_was_before() -> None:
    carrier = Carrier()
    assert carrier.carry(PAGE, 1, {A: (5, 6)}) == {A: (5, 6)}
    assert carrier.carry(PAGE, 1, {A: (7, 6)}) == {A: (7, 6)}
    assert carrier.carry(PAGE, 2, {A: (1, 1)}) == {A: (8, 7)}
    assert carrier.carry(PAGE, 3, {A: (0, 0)}) == {A: (8, 7)}
    assert carrier.first_ns(PAGE) == 1


def test_what_has_not_been_done_again_yet_is_still_shown() -> None:
    carrier = Carrier()
    carrier.carry(PAGE, 1, {A: (5,), B: (2,)})
    assert carrier.carry(PAGE, 2, {B: (1,)}) == {A: (5,), B: (3,)}


def test_what_goes_on_by_itself_is_not_added_twice() -> None:
    carrier = Carrier()
    carrier.carry(PAGE, 1, {A: (5,)})
    carrier.carry(PUBLISHED, 1, {B: (5,)})
    # A new process: its page goes on, what it publishes begins anew.
    assert carrier.carry(PAGE, 1, {A: (6,)}) == {A: (6,)}
    assert carrier.carry(PUBLISHED, 2, {B: (1,)}) == {B: (6,)}


def test_places_are_kept_apart_and_those_that_are_gone_forgotten() -> None:
    carrier, other = Carrier(), ("target.log", "page")
    carrier.carry(PAGE, 1, {A: (5,)})
    carrier.carry(other, 1, {A: (50,)})
    carrier.forget_others({"target.db"})
    assert carrier.carry(PAGE, 2, {A: (1,)}) == {A: (6,)}
    assert carrier.carry(other, 2, {A: (1,)}) == {A: (1,)}
