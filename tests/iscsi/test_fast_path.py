"""READs and WRITEs of one PDU: one run for a batch, pending ones later. No socket is in it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from core.volume.model import Tally
from iscsi.bench import Bench
from iscsi.initiator import command, only, read_10
from iscsi.parts import Parts, PendingDevice, make_parts
from iscsi.standalone import MemoryDevice
from tierce import GOOD, READABLE, Code, Completed, Op, Request, Status, Tracer
from tierce.trace_limits import TraceLimits
from tierce.tracing import TracedIo
from tierce_iscsi.buffers import INCOMING, Region
from tierce_iscsi.scsi.sense import CHECK_CONDITION
from tierce_iscsi.tasks import Drain

BLOCK = 512
#: A READ of one block with its header.
STEP = 48 + BLOCK


def submit(parts: Parts, *asked: str, at_ns: int = 0) -> Region:
    """Hand over a batch: "r1" reads a block with tag 1, "w2" writes one. Returns where the data of
    the writes lie."""
    out = parts.stream.take_out()
    assert out is not None
    begin = place = out.end
    region = Region(1 << 16, INCOMING)
    batch = []
    for one in asked:
        tag = int(one[1:])
        if one[0] == "r":
            view = out.view[place + 48 : place + STEP]
            batch.append(Request(Op.READ, 0, BLOCK, view, tag=(tag, place)))
            place += STEP
        else:
            batch.append(Request(Op.WRITE, 0, BLOCK, region.view[:BLOCK], tag=(tag, 0)))
    out.end = place
    parts.fast.submit(batch, region, out, begin, at_ns)
    return region


def test_a_batch_leaves_as_one_run_its_reads_first() -> None:
    parts = make_parts()
    submit(parts, "r1", "w2", "r3", "w4")
    assert len(parts.buffers()) == 1
    found = parts.sent()
    assert [answer.tag for answer in found] == [1, 3, 2, 4]
    assert [answer.stat_sn for answer in found] == [1, 2, 3, 4]
    assert [len(answer.data) for answer in found] == [BLOCK, BLOCK, 0, 0]
    assert not parts.tasks.by_tag


def test_what_is_pending_is_a_task_and_holds_its_data_until_it_is_complete() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    region = submit(parts, "r1", "w2")
    assert list(parts.tasks.by_tag) == [1, 2]
    assert region.holds == 1
    assert not parts.sent()
    device.complete()
    assert [answer.tag for answer in parts.sent()] == [1, 2]
    assert not parts.tasks.by_tag
    assert region.holds == 0
    assert parts.woken == [True]


def test_writes_that_complete_together_are_one_push() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    submit(parts, "w1", "w2", "w3")
    device.complete()
    assert len(parts.buffers()) == 1
    assert [answer.tag for answer in parts.sent()] == [1, 2, 3]


def test_writes_without_a_region_to_be_answered_from_are_answered_one_by_one() -> None:
    device = PendingDevice()
    parts = make_parts(device, memory_bytes=0)
    submit(parts, "w1", "w2")
    # All regions of its own hold what nobody has taken yet, and there is none to borrow.
    while (out := parts.stream.take_out()) is not None:
        out.holds += 1
        out.end = out.size
        parts.stream.next_out(out)
    device.complete()
    assert len(parts.buffers()) == 2
    assert [answer.tag for answer in parts.sent()] == [1, 2]


def test_a_tag_that_is_in_use_ends_the_connection_once_both_are_complete() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    submit(parts, "w1", "w1")
    assert "was in use" in parts.stream.ending
    assert len(parts.tasks.by_tag) == 2
    device.complete()
    assert not parts.tasks.by_tag


def test_what_fails_says_what_was_not_transferred() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    submit(parts, "w2")
    device.complete(status=Status(Code.WRITE_ERROR, "worn out", 0))
    answer = only(parts.sent())
    assert (answer.tag, answer.status, answer.field(44)) == (2, CHECK_CONDITION, BLOCK)


def test_writes_that_complete_together_count_each_with_its_own_age() -> None:
    device, tally = PendingDevice(), Tally()
    parts = make_parts(device, stage=tally, clock_ns=lambda: 5000)
    submit(parts, "w1", "w2", at_ns=1000)
    submit(parts, "w3", at_ns=4990)
    device.complete()
    assert tally.ages == [(4000, 2), (10, 1)]


def test_sizes_count_by_kind_and_size_at_once_late_and_failed() -> None:
    tally = Tally()
    parts = make_parts(stage=tally)
    submit(parts, "r1", "r2", "w3")
    assert tally.sizes == [(Op.READ, 2, BLOCK), (Op.WRITE, 1, BLOCK)]
    device, tally = PendingDevice(), Tally()
    parts = make_parts(device, stage=tally)
    submit(parts, "w1", "r2", "w3", "w4")
    device.pending[2][0].length = 2 * BLOCK
    device.complete(3, status=GOOD)
    device.complete(status=Status(Code.WRITE_ERROR, "worn out", 0))
    assert tally.sizes == [
        *((Op.READ, 1, BLOCK), (Op.WRITE, 1, BLOCK), (Op.WRITE, 1, 2 * BLOCK)),
        (Op.WRITE, 1, BLOCK),
    ]


def test_a_batch_of_mixed_sizes_counts_each() -> None:
    class Mixed(PendingDevice):
        def submit(self, batch: list[Request], completed: Completed) -> None:
            MemoryDevice.submit(self, batch, completed)
            batch[2].length = 0
            batch[4].status = Status(Code.WRITE_ERROR, "worn out", 0)

    tally = Tally()
    submit(make_parts(Mixed(), stage=tally), "r1", "r2", "w3", "r4", "w5")
    good = [(Op.READ, 2, BLOCK), (Op.WRITE, 1, 0), (Op.READ, 1, BLOCK)]
    assert tally.sizes == [*good, (Op.WRITE, 1, BLOCK)]


def test_slow_ones_are_written_down_at_once_late_and_failed() -> None:
    written: list[TracedIo] = []
    device = PendingDevice()
    parts = make_parts(device, clock_ns=lambda: 10**9, tracer=Tracer(written.append))
    submit(parts, "r1", "w2", at_ns=10**9 - 10**8)
    submit(parts, "w3", at_ns=10**9 - 10**6)
    submit(parts, "w4", at_ns=10**9 - 2 * 10**8)
    device.complete(3, status=GOOD)
    device.complete(status=Status(Code.WRITE_ERROR, "worn out", 0))
    assert [(io.op, io.elapsed_ns, io.code) for io in written] == [
        *((Op.READ, 10**8, Code.GOOD), (Op.WRITE, 10**8, Code.GOOD)),
        (Op.WRITE, 2 * 10**8, Code.WRITE_ERROR),
    ]


def test_one_in_so_many_is_followed_until_it_is_answered_or_given_up() -> None:
    written: list[TracedIo] = []
    device, tracer = PendingDevice(), Tracer(written.append, every=1)
    parts = make_parts(device, tracer=tracer)
    submit(parts, "w1")
    assert tracer.live == 1
    device.complete()
    assert (tracer.live, len(written)) == (0, 1)
    submit(parts, "w2")
    parts.tasks.give_up_all(Drain(lambda: None, issuer=parts.tasks))
    device.complete()
    assert (tracer.live, len(written)) == (0, 1), "what is given up has no answer"
    parts = make_parts(tracer=tracer)
    submit(parts, "r1", "r2")
    assert (tracer.live, written[1].batch) == (0, 2)


def test_what_the_front_end_does_is_stamped_before_and_after_all_others() -> None:
    class Stamping(PendingDevice):
        def _do(self, request: Request) -> Status:
            tracer.note([request], "device", 30, 10)
            return super()._do(request)

    written: list[TracedIo] = []
    tracer, now = Tracer(written.append, every=1), iter((20, 70, 21, 71))
    parts = make_parts(Stamping(), clock_ns=lambda: next(now), tracer=tracer)
    for asked in ("w1", "r2"):
        submit(parts, asked, at_ns=5)
        parts.device.complete()  # type: ignore[attr-defined]
    assert [io.stamps for io in written] == [
        (
            ("frontend.parse", "", 0, 15 + late, 0),
            ("device", "", 25, 10, 0),
            ("frontend.answer", "", 35, 30 + late, 0),
        )
        for late in (0, 1)
    ]


def test_only_what_one_initiator_asks_for_is_followed_if_that_is_wanted() -> None:
    written: list[TracedIo] = []
    tracer = Tracer(written.append)
    for initiator in ("iqn.x:other", "iqn.x:parts"):
        tracer.limit(TraceLimits(every=1, initiator=initiator))
        submit(make_parts(tracer=tracer), "r1", "w2")
        assert len(written) == (2 if initiator == "iqn.x:parts" else 0)


def test_what_fails_counts_among_all_at_once_or_late() -> None:
    bad = Status(Code.WRITE_ERROR, "worn out", 0)

    class Broken(PendingDevice):
        is_broken = False

        def submit(self, batch: list[Request], completed: Completed) -> None:
            super().submit([] if self.is_broken else batch, completed)
            for request in batch if self.is_broken else []:
                request.status = bad

    device, tally = Broken(), Tally()
    parts = make_parts(device, stage=tally)
    submit(parts, "w1", "w2", "r3")
    device.complete(1)
    device.complete(status=bad)
    device.is_broken = True
    submit(parts, "r4")
    assert sum(count for _op, count, _length in tally.added) == 4
    assert tally.failed == [Op.READ, Op.WRITE, Op.READ]
    assert tally.codes == [Code.WRITE_ERROR] * 3


def test_what_is_given_up_is_complete_without_an_answer() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    region = submit(parts, "r1", "w2")
    done: list[bool] = []
    drain = Drain(lambda: done.append(True), issuer=parts.tasks)
    parts.tasks.give_up_all(drain)
    drain.start()
    assert not done
    device.complete()
    assert done == [True]
    assert not parts.sent()
    assert region.holds == 0


def test_nothing_may_complete_once_the_path_is_disposed_of() -> None:
    device = PendingDevice()
    parts = make_parts(device)
    parts.fast.dispose()
    submit(parts, "w1")
    with pytest.raises(AssertionError, match="disposed"):
        device.complete()


def test_a_read_costs_no_more_calls_than_it_did(make_bench: Callable[..., Bench]) -> None:
    """From the socket's readiness to its answer: 28 calls in 9 frames before the connection was
    composed of parts."""
    bench = make_bench()
    session = bench.session()
    session.ask(command(read_10(0, 8), 1, read=4096))
    ready = only(list(bench.loop.watched.values()))[1]
    session.say(command(read_10(0, 8), 2, read=4096))
    depths: list[int] = []
    depth = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal depth
        if event == "call":
            depth += 1
            depths.append(depth)
        elif event == "return":
            depth -= 1

    # A collection within would count what others have asked to be called at one.
    gc.disable()
    sys.setprofile(count)
    try:
        ready(READABLE)
    finally:
        sys.setprofile(None)
        gc.enable()
    # One more here: the device of these tests takes a call for each request.
    assert len(depths) <= 26
    assert max(depths) <= 9
    assert len(only(session.hear()).data) == 4096
