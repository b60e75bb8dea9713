"""What a device does not answer in time is told by where it lies."""

from __future__ import annotations

from core.fake_reactor import FakeReactor
from core.volume.model import blame
from tierce import Event, Op, Request
from tierce.volume.stalls import STALL_S, Stalls


def test_what_waits_too_long_is_told_with_its_age_unless_that_is_known() -> None:
    reactor, events = FakeReactor(), list[Event]()
    began = {Request(Op.WRITE, 512, 512): 1_000}
    is_known = True
    stalls = Stalls(
        *(began, blame(reactor, events), reactor),
        lambda: 5_000_001_000,
        lambda: is_known,
    )
    stalls.watch()
    reactor.advance(STALL_S)
    assert (events, stalls.is_watching) == ([], True)
    is_known = False
    reactor.advance(STALL_S)
    assert "WRITE of 512 bytes at 512 waits for 5 s, 1 requests" in events[0].message
    began.clear()
    reactor.advance(STALL_S)
    assert not stalls.is_watching
    assert reactor.timers != [], "the mistake is told again each minute"
