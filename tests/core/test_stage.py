"""Counting by size, as a front end does that counts itself."""

from __future__ import annotations

from core.volume.model import Tally
from tierce import GOOD, Op, Request, Status, count_sizes


def asked(op: Op, status: Status | None = GOOD) -> Request:
    request = Request(op, 0, 512)
    request.status = status
    return request


def test_sizes_are_counted_in_runs_of_one_kind_and_size() -> None:
    tally = Tally()
    large = asked(Op.READ)
    large.length = 4096
    pending = asked(Op.READ, None)
    count_sizes(tally, [asked(Op.READ), asked(Op.READ), pending, large, asked(Op.WRITE)])
    assert tally.sizes == [(Op.READ, 2, 512), (Op.READ, 1, 4096), (Op.WRITE, 1, 512)]
