"""Which I/Os are to be written down."""

from __future__ import annotations

from tierce import Op, Request
from tierce.trace_limits import TraceLimits


def test_a_flush_is_within_a_range_where_its_place_is() -> None:
    flush = Request(Op.FLUSH, 0, 0)
    assert TraceLimits(first=0, end=512).fits(flush)
    assert not TraceLimits(first=1, end=512).fits(flush)


def test_what_touches_a_range_is_within_it_and_what_ends_before_it_is_not() -> None:
    limits = TraceLimits(first=1024, end=2048)
    inside = [limits.fits(Request(Op.WRITE, offset, 512)) for offset in range(0, 3072, 512)]
    assert inside == [False, False, True, True, False, False]
    assert limits.fits(Request(Op.READ, 0, 1025))
    assert not TraceLimits(op=Op.READ).fits(Request(Op.WRITE, 0, 512))


def test_only_what_asks_for_some_is_a_filter() -> None:
    assert not TraceLimits(every=1, slow_ns=1).has_filter
    for limits in (
        TraceLimits(op=Op.READ),
        TraceLimits(initiator="iqn.a"),
        TraceLimits(first=1),
        TraceLimits(end=1),
    ):
        assert limits.has_filter
