"""Whom a device waits for is its own to say."""

from __future__ import annotations

from collections.abc import Callable

from tierce import BaseDevice, Completed, Geometry, Request, Status
from tierce.block.waiting import waits_for


class Bare:
    """A device that has what `Device` names and no more."""

    def __init__(self) -> None:
        self.geometry = Geometry(1 << 20, 512)
        self.capabilities = BaseDevice.capabilities

    def submit(self, batch: list[Request], completed: Completed) -> None: ...

    def close(self, closed: Callable[[Status], None]) -> None: ...


class Split(Bare):
    def waits_for(self) -> list[str]:
        return ["replica-2"]


def test_a_device_without_parts_names_none() -> None:
    assert waits_for(Bare()) == ()
    assert list(BaseDevice().waits_for()) == []


def test_a_device_names_the_parts_that_it_waits_for() -> None:
    assert waits_for(Split()) == ("replica-2",)
