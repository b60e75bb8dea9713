"""Requests that wait: their order, what waits behind them, and who has waited too long."""

from __future__ import annotations

import pytest

from tierce import Op, Request
from tierce_jiva.pending import Pending


def ignore(_requests: list[Request]) -> None:
    """Tell nobody."""


@pytest.fixture
def pending() -> Pending:
    return Pending()


def test_what_is_parked_is_taken_in_the_order_in_which_it_came(pending: Pending) -> None:
    assert not pending
    requests = [Request(Op.READ, at, 512) for at in (0, 512)]
    for number, request in enumerate(requests):
        pending.add([request], ignore, float(number))
    assert pending
    groups = pending.take_all()
    assert [group.requests for group in groups] == [[request] for request in requests]
    assert [group.since for group in groups] == [0.0, 1.0]
    assert not pending


def test_what_overlaps_a_change_waits_behind_it(pending: Pending) -> None:
    write = Request(Op.WRITE, 0, 512)
    pending.hold(write)
    pending.add([write], ignore, 0.0)
    assert pending.waiting.overlaps(0, 512)
    assert not pending.waiting.overlaps(1 << 20, 512)
    pending.take_all()
    assert not pending.waiting


def test_nothing_waits_behind_what_has_waited_too_long(pending: Pending) -> None:
    late, early = Request(Op.WRITE, 0, 512), Request(Op.DISCARD, 1 << 20, 512)
    reading, flush = Request(Op.READ, 2 << 20, 512), Request(Op.FLUSH)
    status = Request(Op.BLOCK_STATUS, 2 << 20, 512)
    for request, since in ((late, 1.0), (early, 2.0)):
        pending.hold(request)
        pending.add([request], ignore, since)
    pending.add([reading, flush, status], ignore, 3.0)
    assert pending.take_late(1.0) == []
    (group,) = pending.take_late(2.0)
    assert group.requests == [late]
    assert not pending.waiting.overlaps(0, 512)
    assert pending.waiting.overlaps(1 << 20, 512)
    assert not pending.waiting.overlaps(2 << 20, 512), "nothing waits behind a read, or a question"
    assert [group.requests for group in pending.take_all()] == [[early], [reading, flush, status]]
