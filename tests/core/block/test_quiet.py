"""What was given up and may still be applied: asked through everything that lies between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, blame
from tierce import (
    GOOD,
    Capabilities,
    Code,
    Completed,
    Device,
    Flag,
    Geometry,
    Op,
    Request,
    Status,
    when_quiet,
)
from tierce.volume.boundary import Boundary
from tierce.volume.emulate import Emulator


class Plain:
    """A device that answers at once and gives nothing up."""

    def __init__(self) -> None:
        self.geometry = Geometry(1 << 20)
        self.capabilities = Capabilities()

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch:
            request.status = GOOD

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(GOOD)


class GivesUp(Plain):
    """A device that answers writes NOT READY, and applies them when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up: list[Request] = []
        self._asked: list[Callable[[], None]] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch:
            request.status = Status(Code.NOT_READY, "no majority")
            self.given_up.append(request)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        if self.given_up:
            self._asked.append(quiet)
        else:
            quiet()

    def apply(self) -> None:
        self.given_up.clear()
        asked, self._asked = self._asked, []
        for quiet in asked:
            quiet()


def pipeline(engine: Device, own_filter: Device) -> Device:
    """As core puts them on one another."""
    reactor = FakeReactor(by_hand=True)
    below = Boundary(engine, Tally(), blame(reactor), reactor)
    return Emulator(Boundary(own_filter, Tally(), blame(reactor), reactor, below=below))


def write(*, fua: bool = False) -> Request:
    return Request(Op.WRITE, 0, 512, memoryview(bytes(512)), flags=Flag(fua))


def test_a_device_that_says_nothing_of_it_is_quiet() -> None:
    heard: list[bool] = []
    when_quiet(Plain(), lambda: heard.append(True))
    assert heard == [True]


@pytest.mark.parametrize("fua", [False, True], ids=["plain", "emulated"])
def test_a_write_that_was_given_up_is_waited_for_through_the_whole_pipeline(*, fua: bool) -> None:
    engine, heard = GivesUp(), list[bool]()
    device = Emulator(
        Boundary(engine, Tally(), blame(FakeReactor(by_hand=True)), FakeReactor(by_hand=True))
    )
    request = write(fua=fua)
    device.submit([request], lambda _requests: None)
    assert request.status is not None
    assert request.status.code is Code.NOT_READY
    when_quiet(device, lambda: heard.append(True))
    assert heard == []
    engine.apply()
    assert heard == [True]


def test_a_filter_without_a_word_of_it_does_not_hide_what_is_below_it() -> None:
    engine, heard = GivesUp(), list[bool]()
    engine.submit([write()], lambda _requests: None)
    when_quiet(pipeline(engine, Plain()), lambda: heard.append(True))
    assert heard == []
    engine.apply()
    assert heard == [True]


def test_a_filter_that_gives_up_itself_is_asked_itself() -> None:
    own, heard = GivesUp(), list[bool]()
    own.submit([write()], lambda _requests: None)
    when_quiet(pipeline(Plain(), own), lambda: heard.append(True))
    assert heard == []
    own.apply()
    assert heard == [True]
