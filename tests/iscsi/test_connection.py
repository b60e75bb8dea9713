"""The fast path: batches of READs and WRITEs, answered at once or later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from iscsi.bench import Bench
from iscsi.initiator import command, nop_out, only, read_10, write_10
from iscsi.standalone import MemoryDevice
from tierce import Code, Completed, Request, Status

GOOD, CHECK_CONDITION = 0, 2
DATA_IN, SCSI_RESPONSE, NOP_IN = 0x25, 0x21, 0x20


def test_a_read_is_answered_by_one_data_in_that_carries_its_status(bench: Bench) -> None:
    bench.device.bytes[512:1024] = b"r" * 512
    answer = only(bench.session().ask(command(read_10(1, 1), 1, read=512)))
    assert (answer.opcode, answer.flags, answer.status) == (DATA_IN, 0x81, GOOD)
    assert answer.data == b"r" * 512


def test_a_write_is_stored_and_answered_good(bench: Bench) -> None:
    answer = only(bench.session().ask(command(write_10(2, 1), 1, write=512, data=b"w" * 512)))
    assert (answer.opcode, answer.status, answer.tag) == (SCSI_RESPONSE, GOOD, 1)
    assert bench.device.bytes[1024:1536] == b"w" * 512


def test_a_batch_is_answered_with_status_numbers_in_order_of_sending(bench: Bench) -> None:
    requests = [
        command(write_10(i, 1), i, write=512, data=bytes([i]) * 512)
        if i % 2
        else command(read_10(0, 1), i, read=512)
        for i in range(1, 9)
    ]
    found = bench.session().ask(*requests)
    assert sorted(answer.tag for answer in found) == list(range(1, 9))
    assert [answer.stat_sn for answer in found] == list(range(1, 9))


def test_read_16_and_write_16_take_the_fast_path_too(bench: Bench) -> None:
    session = bench.session()
    write_16 = b"\x8a\0" + (3).to_bytes(8, "big") + (1).to_bytes(4, "big")
    read_16 = b"\x88\0" + (3).to_bytes(8, "big") + (1).to_bytes(4, "big")
    only(session.ask(command(write_16, 1, write=512, data=b"x" * 512)))
    assert only(session.ask(command(read_16, 2, read=512))).data == b"x" * 512


def test_a_command_out_of_range_fails_and_the_rest_of_its_batch_does_not(bench: Bench) -> None:
    found = bench.session().ask(
        command(read_10(0, 1), 1, read=512),
        command(read_10(4096, 1), 2, read=512),
        command(read_10(1, 1), 3, read=512),
    )
    by_tag = {answer.tag: answer for answer in found}
    assert by_tag[1].status == by_tag[3].status == GOOD
    assert by_tag[2].status == CHECK_CONDITION
    assert by_tag[2].sense == (5, 0x2100)


def test_a_pending_write_delays_neither_reads_nor_pings(pending: Bench) -> None:
    session = pending.session()
    found = session.ask(
        command(write_10(0, 1), 1, write=512, data=b"p" * 512),
        command(read_10(1, 1), 2, read=512),
        nop_out(3, b"ping"),
    )
    assert [answer.opcode for answer in found] == [DATA_IN, NOP_IN]
    assert found[1].data == b"ping"
    pending.complete()
    assert only(session.hear()).tag == 1
    assert pending.device.bytes[:512] == b"p" * 512


def test_pending_writes_that_complete_together_are_all_answered(pending: Bench) -> None:
    session = pending.session()
    writes = [command(write_10(i, 1), i, write=512, data=bytes([i]) * 512) for i in range(1, 33)]
    assert session.ask(*writes) == []
    pending.complete()
    found = session.hear()
    assert sorted(answer.tag for answer in found) == list(range(1, 33))
    for i in range(1, 33):
        assert pending.device.bytes[i * 512 : i * 512 + 512] == bytes([i]) * 512


def test_the_buffer_of_a_pending_write_is_not_reused_by_what_comes_after(pending: Bench) -> None:
    session = pending.session()
    size = 128 << 10
    for i in range(8):
        data = bytes([i + 1]) * size
        session.ask(command(write_10(i * 256, 256), i + 1, write=size, data=data))
    for i in range(200):
        session.ask(nop_out(9, bytes([i]) * 4096))
    pending.complete()
    assert len(session.hear()) == 8
    for i in range(8):
        assert pending.device.bytes[i * size : (i + 1) * size] == bytes([i + 1]) * size


def test_more_reads_than_one_region_holds_are_all_answered(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(64 << 20)
    size = 256 << 10
    session = bench.session()
    found = session.ask(*(command(read_10(i * 512, 512), i + 1, read=size) for i in range(100)))
    assert [answer.tag for answer in found] == list(range(1, 101))
    assert {len(answer.data) for answer in found} == {size}


def test_the_window_closes_with_pending_commands_and_opens_when_they_complete(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(leaves_pending=True, queue_depth=4)
    session = bench.session()
    write = [command(write_10(0, 1), i, write=512, data=bytes(512)) for i in range(1, 8)]
    session.ask(*write[:4])
    # Beyond the window: dropped without a word.
    assert session.ask(write[4]) == []
    bench.complete()
    found = session.hear()
    assert {answer.tag for answer in found} == {1, 2, 3, 4}
    assert found[-1].max_cmd_sn == 8
    session.ask(write[4])
    bench.complete()
    assert only(session.hear()).tag == 5


def test_a_gap_in_the_command_numbers_ends_the_connection(bench: Bench) -> None:
    session = bench.session()
    assert session.ask(command(read_10(0, 1), 5, read=512)) == []
    assert session.is_closed


def test_a_command_number_of_the_past_is_dropped(bench: Bench) -> None:
    session = bench.session()
    session.ask(command(read_10(0, 1), 1, read=512))
    assert session.ask(command(read_10(0, 1), 1, read=512)) == []
    assert not session.is_closed


def test_a_data_segment_longer_than_declared_ends_the_connection(bench: Bench) -> None:
    session = bench.session()
    header = bytearray(command(write_10(0, 1), 1, write=512))
    header[4:8] = (0xFFFFFF).to_bytes(4, "big")
    session.ask(bytes(header))
    assert session.is_closed


def test_two_commands_of_one_tag_end_the_connection_once_complete(pending: Bench) -> None:
    session = pending.session()
    write = [command(write_10(i, 1), i + 1, tag=5, write=512, data=b"d" * 512) for i in range(3)]
    session.ask(*write)
    pending.complete()
    session.hear()
    assert session.is_closed


def test_memory_is_given_back_when_nothing_is_under_way(bench: Bench) -> None:
    session = bench.session()
    session.ask(command(read_10(0, 1), 1, read=512))
    connection = only(bench.frontend.connections())
    connection.trim()
    assert only(session.ask(command(read_10(0, 1), 2, read=512))).status == GOOD


# -- a device that answers nothing at once ---------------------------------------------------------


class Slow(MemoryDevice):
    """A device that leaves whatever it is asked pending, and fails what it is told to."""

    def __init__(self, size: int = 8 << 20) -> None:
        super().__init__(size)
        self.pending: list[tuple[Request, Completed]] = []
        self.failing: Status | None = None

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.pending += [(asked, completed) for asked in batch]

    def finish(self, count: int = 1) -> None:
        """Answer the oldest, those of one submitter together."""
        done, self.pending = self.pending[:count], self.pending[count:]
        answers: dict[Completed, list[Request]] = {}
        for asked, completed in done:
            asked.status = self.failing or self._do(asked)
            answers.setdefault(completed, []).append(asked)
        for completed, requests in answers.items():
            completed(requests)


def slow_bench(make_bench: Callable[..., Bench], **options: Any) -> tuple[Bench, Slow]:
    device = Slow()
    return make_bench(device=device, **options), device


@pytest.mark.parametrize("digest", ["None", "CRC32C"])
def test_a_pending_read_is_answered_from_where_it_was_read(
    make_bench: Callable[..., Bench], digest: str
) -> None:
    bench, device = slow_bench(make_bench)
    device.bytes[512:1024] = b"r" * 512
    session = bench.session(keys={"DataDigest": digest})
    session.data_digest = digest == "CRC32C"
    assert session.ask(command(read_10(1, 1), 1, read=512)) == []
    device.finish()
    answer = only(session.hear())
    assert (answer.opcode, answer.flags, answer.data) == (DATA_IN, 0x81, b"r" * 512)


def test_pending_commands_that_fail_say_why_and_the_others_do_not(
    make_bench: Callable[..., Bench],
) -> None:
    bench, device = slow_bench(make_bench)
    session = bench.session()
    session.ask(
        command(read_10(7, 1), 1, read=512),
        command(write_10(8, 1), 2, write=512, data=bytes(512)),
        command(write_10(9, 1), 3, write=512, data=bytes(512)),
    )
    device.failing = Status(Code.WRITE_ERROR, "the medium is gone", 4096)
    device.finish(2)
    device.failing = None
    device.finish()
    found = {answer.tag: answer for answer in session.hear()}
    assert found[1].sense == found[2].sense == (3, 0x0C00)
    assert found[3].status == GOOD


def test_reads_that_find_no_region_wait_for_those_that_have_one(
    make_bench: Callable[..., Bench],
) -> None:
    """A region holds three reads of 256 KiB, and there is memory for a few."""
    bench, device = slow_bench(make_bench, memory_bytes=0)
    session = bench.session()
    size = 256 << 10
    reads = b"".join(command(read_10(n, 512), n + 1, read=size) for n in range(20))
    assert session.ask(reads) == []
    assert 0 < len(device.pending) < 20
    assert not bench.connection().stream.can_receive
    answers = []
    while device.pending:
        device.finish()
        answers += session.hear()
    assert sorted(answer.tag for answer in answers) == list(range(1, 21))
    assert {len(answer.data) for answer in answers} == {size}


def test_writes_that_complete_while_no_region_is_free_are_answered_all_the_same(
    make_bench: Callable[..., Bench],
) -> None:
    bench, device = slow_bench(make_bench, memory_bytes=0)
    session = bench.session()
    size = 256 << 10
    session.ask(
        command(write_10(0, 1), 1, write=512, data=bytes(512)),
        *(command(read_10(n, 512), n + 1, read=size) for n in range(1, 9)),
    )
    held = len(device.pending)
    device.finish()
    assert only(session.hear()).tag == 1
    assert len(device.pending) == held - 1


def test_what_is_pending_when_its_session_goes_ends_without_a_word(
    make_bench: Callable[..., Bench],
) -> None:
    bench, device = slow_bench(make_bench)
    session = bench.session()
    session.ask(
        command(read_10(0, 1), 1, read=512),
        command(write_10(0, 1), 2, write=512, data=bytes(512)),
        command(read_10(0, 4096), 3, read=2 << 20),
    )
    session.close()
    bench.loop.turn()
    assert len(device.pending) == 3
    device.finish(3)
    bench.loop.turn()
    assert bench.frontend.memory.left == bench.frontend.memory.bytes_max
