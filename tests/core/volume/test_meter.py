"""The meter: every operation is counted once, whenever it is answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierce import GOOD, Capabilities, Code, Completed, Geometry, Op, Request, Status
from tierce.volume.meter import Meter


class Tally:
    """A stage that a test can read."""

    def __init__(self) -> None:
        self.added: list[tuple[int, int, int]] = []
        self.failed: list[int] = []

    def add(self, op: int, count: int, length: int, elapsed_ns: int) -> None:
        assert elapsed_ns >= 0
        self.added.append((op, count, length))

    def fail(self, op: int, count: int = 1) -> None:
        self.failed += [op] * count


class Scripted:
    """Answers writes at once with `status`, parks everything else."""

    def __init__(self, status: Status = GOOD) -> None:
        self.geometry, self.capabilities = Geometry(1 << 20), Capabilities()
        self.status = status
        self.pending: list[Request] = []
        self.completed: list[Completed] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.completed.append(completed)
        for request in batch:
            if request.op is Op.WRITE:
                request.status = self.status
            else:
                self.pending.append(request)

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(self.status)


def requests(op: Op, count: int) -> list[Request]:
    return [Request(op, number * 512, 512) for number in range(count)]


def test_a_batch_of_one_kind_is_counted_in_one_go() -> None:
    tally = Tally()
    Meter(Scripted(), tally).submit(requests(Op.WRITE, 5), lambda _requests: None)
    assert tally.added == [(Op.WRITE, 5, 2560)]


def test_what_is_pending_is_counted_when_it_completes_and_passed_up() -> None:
    tally, below, answered = Tally(), Scripted(), list[Request]()
    batch = [*requests(Op.READ, 2), *requests(Op.WRITE, 1), *requests(Op.READ, 1)]
    Meter(below, tally).submit(batch, answered.extend)
    assert tally.added == [(Op.WRITE, 1, 512)]
    for request in below.pending:
        request.status = GOOD
    below.completed[0](below.pending)
    assert tally.added == [(Op.WRITE, 1, 512), (Op.READ, 3, 1536)]
    assert answered == below.pending


def test_pending_requests_of_two_batches_may_complete_together() -> None:
    tally, below, answered = Tally(), Scripted(), list[Request]()
    meter = Meter(below, tally)
    meter.submit(requests(Op.READ, 2), answered.extend)
    meter.submit(requests(Op.READ, 3), answered.extend)
    for request in below.pending:
        request.status = GOOD
    below.completed[0](below.pending)
    assert sum(count for _, count, _ in tally.added) == 5
    assert len(answered) == 5


def test_each_submitter_is_answered_by_its_own_way() -> None:
    below, first, second = Scripted(), list[Request](), list[Request]()
    meter = Meter(below, Tally())
    meter.submit(requests(Op.READ, 1), first.extend)
    meter.submit(requests(Op.READ, 1), second.extend)
    for request, completed in zip(below.pending, below.completed, strict=True):
        request.status = GOOD
        completed([request])
    assert (first, second) == ([below.pending[0]], [below.pending[1]])


@pytest.mark.parametrize("is_pending", [False, True])
def test_failures_are_counted(is_pending: bool) -> None:
    bad = Status(Code.WRITE_ERROR, "lost")
    tally, below = Tally(), Scripted(bad)
    op = Op.READ if is_pending else Op.WRITE
    Meter(below, tally).submit(requests(op, 2), lambda _requests: None)
    for request in below.pending:
        request.status = bad
    below.completed[0](below.pending)
    assert tally.failed == [op, op]


def test_closing_and_shape_are_those_below() -> None:
    below, closed = Scripted(), list[Status]()
    meter = Meter(below, Tally())
    meter.close(closed.append)
    assert closed == [GOOD]
    assert meter.geometry is below.geometry
    assert meter.capabilities is below.capabilities
