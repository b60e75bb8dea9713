"""Commands of several PDUs: their data, their memory, what the device does. No socket."""

from __future__ import annotations

from collections.abc import Callable

from core.volume.model import Tally
from iscsi.initiator import NO_TAG, command, data_out, only, read_10, write_10
from iscsi.parts import Parts, PendingDevice, make_parts
from tierce import Code, Op, Status, Tracer
from tierce.trace_limits import TraceLimits
from tierce.tracing import TracedIo
from tierce_iscsi.pdu import Opcode, RejectReason
from tierce_iscsi.scsi.sense import CHECK_CONDITION, GOOD
from tierce_iscsi.tasks import Drain

BLOCK = b"n" * 512
READ_FUA = b"\x28\x08" + read_10(0, 1)[2:]
SYNCHRONIZE_CACHE = b"\x35" + bytes(9)


def take(parts: Parts, asked: bytes) -> None:
    """A command as the slow path gets it."""
    parts.commands.command(asked[:48], memoryview(asked)[48:])


def give(parts: Parts, tag: int, transfer_tag: int, offset: int, *, final: bool) -> None:
    asked = data_out(tag, transfer_tag, offset // 512, offset, BLOCK, final=final)
    parts.commands.data_out(asked[:48], memoryview(asked)[48:])


def test_data_are_asked_for_and_the_write_is_answered_when_they_are_here() -> None:
    parts = make_parts()
    take(parts, command(write_10(0, 2), 1, tag=5, write=1024))
    asked = only(parts.sent())
    assert (asked.opcode, asked.field(44)) == (Opcode.READY_TO_TRANSFER, 1024)
    give(parts, 5, asked.transfer_tag, 0, final=False)
    assert not parts.sent()
    give(parts, 5, asked.transfer_tag, 512, final=True)
    answer = only(parts.sent())
    assert (answer.tag, answer.status) == (5, GOOD)
    assert parts.device.bytes[:1024] == 2 * BLOCK
    assert not parts.tasks.by_tag


def test_data_out_of_order_end_the_command_and_write_nothing() -> None:
    parts = make_parts()
    take(parts, command(write_10(0, 2), 1, tag=5, write=1024))
    give(parts, 5, only(parts.sent()).transfer_tag, 512, final=True)
    assert only(parts.sent()).status == CHECK_CONDITION
    assert parts.device.bytes[:1024] == bytes(1024)


def test_data_that_belong_to_no_command_are_dropped() -> None:
    parts = make_parts()
    give(parts, 5, NO_TAG, 0, final=True)
    assert not parts.sent()


def test_a_tag_in_use_is_rejected() -> None:
    parts = make_parts(PendingDevice())
    for _ in range(2):
        take(parts, command(read_10(0, 1), 1, tag=5, read=512))
    assert only(parts.sent()).response == RejectReason.TASK_IN_PROGRESS


def test_a_pending_read_is_answered_when_the_device_has_done_it() -> None:
    device = PendingDevice()
    device.bytes[:512] = BLOCK
    parts = make_parts(device)
    take(parts, command(read_10(0, 1), 1, tag=5, read=512))
    assert not parts.sent()
    device.complete()
    assert only(parts.sent()).data == BLOCK
    assert parts.woken == [True]


def test_a_slow_command_is_written_down() -> None:
    written: list[TracedIo] = []
    device = PendingDevice()
    parts = make_parts(device, clock_ns=lambda: 10**8, tracer=Tracer(written.append))
    take(parts, command(read_10(0, 1), 5, tag=5, read=512))
    device.complete()
    assert [(io.op, io.elapsed_ns) for io in written] == [(Op.READ, 10**8)]


def test_a_command_is_followed_through_all_that_it_makes_the_device_do() -> None:
    written: list[TracedIo] = []
    device, tracer = PendingDevice(), Tracer(written.append, every=2)
    parts = make_parts(device, tracer=tracer)
    take(parts, command(read_10(0, 1), 4, tag=4, read=512))
    assert tracer.live == 0
    take(parts, command(READ_FUA, 5, tag=5, read=512))
    assert (tracer.live, len(device.pending)) == (1, 2)
    device.complete()
    for number, (request, _) in enumerate(device.pending):
        tracer.note([request], "device", number, 1)
    while device.pending:
        device.complete()
    assert tracer.live == 0
    (io,) = written
    assert [stage for stage, *_ in io.stamps] == ["frontend.parse", "device", "frontend.answer"]


def test_only_a_flush_is_followed_if_that_is_wanted() -> None:
    written: list[TracedIo] = []
    tracer = Tracer(written.append)
    tracer.limit(TraceLimits(every=1, op=Op.FLUSH))
    parts = make_parts(tracer=tracer)
    take(parts, command(read_10(0, 1), 4, tag=4, read=512))
    take(parts, command(SYNCHRONIZE_CACHE, 5, tag=5))
    assert [io.op for io in written] == [Op.FLUSH]


def test_one_that_is_followed_and_given_up_is_followed_no_more() -> None:
    device, tracer = PendingDevice(), Tracer(lambda _io: None, every=1)
    parts = make_parts(device, tracer=tracer)
    take(parts, command(read_10(0, 1), 5, tag=5, read=512))
    assert tracer.live == 1
    parts.tasks.give_up_all(Drain(lambda: None, issuer=parts.tasks))
    device.complete()
    assert (tracer.live, parts.sent()) == (0, [])


def test_a_command_that_fails_counts_among_all() -> None:
    device, tally = PendingDevice(), Tally()
    parts = make_parts(device, stage=tally)
    for tag in (5, 6):
        take(parts, command(read_10(0, 1), tag, tag=tag, read=512))
    device.complete(1)
    device.complete(status=Status(Code.READ_ERROR, "worn out", 0))
    assert tally.added == [(Op.READ, 1, 512)] * 2
    assert (tally.failed, tally.codes) == ([Op.READ], [Code.READ_ERROR])


def test_a_command_that_finds_no_memory_waits_until_another_is_over() -> None:
    soon: list[Callable[[], None]] = []
    device = PendingDevice()
    parts = make_parts(device, memory_bytes=0, soon=soon.append)
    for tag in (5, 6):
        take(parts, command(read_10(0, 1), tag, tag=tag, read=512))
    assert [len(device.pending), len(parts.tasks.waiting)] == [1, 1]
    device.complete()
    assert only(parts.sent()).tag == 5
    while soon:
        soon.pop()()
    device.complete()
    assert only(parts.sent()).tag == 6
