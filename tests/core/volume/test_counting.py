"""What is counted of a batch."""

from __future__ import annotations

from core.volume.model import Tally
from tierce import GOOD, Code, Op, Request, Status
from tierce.volume.counting import count


def asked(op: Op, status: Status | None = GOOD) -> Request:
    request = Request(op, 0, 512)
    request.status = status
    return request


def test_runs_of_one_kind_are_counted_in_one_go() -> None:
    tally = Tally()
    count(tally, [asked(Op.READ), asked(Op.READ), asked(Op.WRITE), asked(Op.READ)], 7)
    assert tally.added == [(Op.READ, 2, 1024), (Op.WRITE, 1, 512), (Op.READ, 1, 512)]


def test_what_is_pending_is_not_counted_and_what_failed_is_counted_twice_over() -> None:
    tally, bad = Tally(), Status(Code.READ_ERROR, "lost")
    count(tally, [asked(Op.READ, None), asked(Op.READ, bad)], 7)
    assert (tally.added, tally.failed) == ([(Op.READ, 1, 512)], [Op.READ])
    assert tally.codes == [Code.READ_ERROR]


def test_a_batch_of_which_nothing_is_answered_is_not_counted() -> None:
    tally = Tally()
    count(tally, [asked(Op.READ, None)], 7)
    assert tally.added == []
