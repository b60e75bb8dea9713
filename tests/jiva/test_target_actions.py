"""What an event leaves to be done."""

from __future__ import annotations

from tierce import Op, Request
from tierce_jiva.target_actions import Agenda, Fence, Restart


def tell_one(_requests: list[Request]) -> None:
    """One client."""


def tell_other(_requests: list[Request]) -> None:
    """Another one."""


def test_each_client_is_told_once_an_event_of_all_that_is_completed() -> None:
    agenda = Agenda()
    first, second, third, last = (Request(Op.FLUSH) for _ in range(4))
    agenda.complete([first], tell_one)
    agenda.complete([second], tell_other)
    agenda.complete([third, last], tell_one)
    assert agenda.take_completed() == {tell_one: [first, third, last], tell_other: [second]}
    assert agenda.take_completed() == {}


def test_what_is_completed_may_let_something_in_that_waits() -> None:
    agenda = Agenda()
    assert not agenda.may_admit
    agenda.complete([Request(Op.FLUSH)], tell_one)
    assert agenda.may_admit


def test_actions_are_taken_once_and_in_order() -> None:
    agenda = Agenda()
    agenda.actions += [Fence("first"), Restart("second")]
    assert agenda.take_actions() == [Fence("first"), Restart("second")]
    assert agenda.take_actions() == []
