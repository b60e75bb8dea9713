"""Every operation is counted once, whenever it is answered: by a meter, and by a boundary, which
counts as well."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from core.volume.model import Tally
from core.volume.scripted import Scripted, bounded, requests
from tierce import GOOD, Code, Device, Op, Request, Status, Tracer
from tierce.tracing import TracedIo
from tierce.volume.meter import Meter

Counting = Callable[[Device, Tally], Device]

counted = pytest.mark.parametrize("counting", [Meter, bounded])


@counted
def test_a_batch_of_one_kind_is_counted_in_one_go(counting: Counting) -> None:
    tally = Tally()
    counting(Scripted(), tally).submit(requests(Op.WRITE, 5), lambda _requests: None)
    assert tally.added == [(Op.WRITE, 5, 2560)]


@counted
def test_what_is_pending_is_counted_when_it_completes_and_passed_up(counting: Counting) -> None:
    tally, below, answered = Tally(), Scripted(), list[Request]()
    batch = [*requests(Op.READ, 2), *requests(Op.WRITE, 1), *requests(Op.READ, 1)]
    counting(below, tally).submit(batch, answered.extend)
    assert tally.added == [(Op.WRITE, 1, 512)]
    for request in below.pending:
        request.status = GOOD
    below.completed[0](below.pending)
    assert tally.added == [(Op.WRITE, 1, 512), (Op.READ, 3, 1536)]
    assert answered == below.pending


@counted
def test_pending_requests_of_two_batches_may_complete_together(counting: Counting) -> None:
    tally, below, answered = Tally(), Scripted(), list[Request]()
    meter = counting(below, tally)
    meter.submit(requests(Op.READ, 2), answered.extend)
    meter.submit(requests(Op.READ, 3), answered.extend)
    for request in below.pending:
        request.status = GOOD
    below.completed[0](below.pending)
    assert sum(count for _, count, _ in tally.added) == 5
    assert len(answered) == 5


@counted
def test_each_submitter_is_answered_by_its_own_way(counting: Counting) -> None:
    below, first, second = Scripted(), list[Request](), list[Request]()
    meter = counting(below, Tally())
    meter.submit(requests(Op.READ, 1), first.extend)
    meter.submit(requests(Op.READ, 1), second.extend)
    for request, completed in zip(below.pending, below.completed, strict=True):
        request.status = GOOD
        completed([request])
    assert (first, second) == ([below.pending[0]], [below.pending[1]])


@counted
@pytest.mark.parametrize("is_pending", [False, True])
def test_failures_are_counted(counting: Counting, is_pending: bool) -> None:
    bad = Status(Code.WRITE_ERROR, "lost")
    tally, below = Tally(), Scripted(bad)
    op = Op.READ if is_pending else Op.WRITE
    counting(below, tally).submit(requests(op, 2), lambda _requests: None)
    for request in below.pending:
        request.status = bad
    below.completed[0](below.pending)
    assert tally.failed == [op, op]


@counted
def test_what_is_pending_shows_with_the_age_of_the_oldest(counting: Counting) -> None:
    tally, below = Tally(), Scripted()
    device = counting(below, tally)
    before_ns = time.perf_counter_ns()
    device.submit(requests(Op.READ, 2), lambda _requests: None)
    between_ns = time.perf_counter_ns()
    device.submit(requests(Op.READ, 1), lambda _requests: None)
    assert tally.is_told
    assert tally.pending[0] == 3
    assert before_ns <= tally.pending[1] <= between_ns
    first, second = below.pending[:2], below.pending[2:]
    for request in first:
        request.status = GOOD
    below.completed[0](first)
    assert tally.pending[0] == 1
    assert tally.pending[1] >= between_ns
    second[0].status = GOOD
    below.completed[1](second)
    assert tally.pending == (0, 0)


def test_a_meter_counts_sizes_for_the_front_end() -> None:
    tally = Tally()
    Meter(Scripted(), tally).submit(requests(Op.WRITE, 5), lambda _requests: None)
    assert tally.sizes == [(Op.WRITE, 5, 512)]


def test_a_meter_follows_for_the_front_end_one_in_so_many_and_what_is_slow() -> None:
    written: list[TracedIo] = []
    tracer, below = Tracer(written.append, every=3, slow_ns=0), Scripted()
    meter = Meter(below, Tally(), tracer)
    meter.submit(requests(Op.WRITE, 2), lambda _requests: None)
    meter.submit(requests(Op.READ, 2), lambda _requests: None)
    assert (tracer.live, len(written)) == (1, 2)
    for request in below.pending:
        request.status = GOOD
    below.completed[-1](below.pending)
    assert tracer.live == 0
    assert [(io.op, io.is_sampled, io.is_slow) for io in written] == [
        *[(Op.WRITE, False, True)] * 2,
        *((Op.READ, True, True), (Op.READ, False, True)),
    ]


@counted
def test_closing_and_shape_are_those_below(counting: Counting) -> None:
    below, closed = Scripted(), list[Status]()
    meter = counting(below, Tally())
    meter.close(closed.append)
    assert closed == [GOOD]
    assert meter.geometry is below.geometry
    assert meter.capabilities == below.capabilities


def test_a_meter_can_do_what_is_below_can_and_nothing_is_copied_for_it() -> None:
    below = Scripted()
    assert Meter(below, Tally()).capabilities is below.capabilities
