"""FORMAT UNIT: everything reads as zeroes when it is answered, and nobody is served meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iscsi.bench import Bench, Disk
from iscsi.initiator import (
    NO_TAG,
    command,
    data_out,
    only,
    read_10,
    task_management,
    write_10,
)
from iscsi.standalone import MemoryDevice
from tierce import Code, Completed, Op, Request, Status

FORMAT = bytes((0x04, 0, 0, 0, 0, 0))
WITH_DATA = bytes((0x04, 0x10, 0, 0, 0, 0))
LONG = bytes((0x04, 0x30, 0, 0, 0, 0))
FORMATTING = (2, 0x0404)
OTHER = b"\x80\0\0\0\0\2"


class BrokenDevice(MemoryDevice):
    """Nothing in it can be discarded."""

    def submit(self, batch: list[Request], completed: Completed) -> None:
        super().submit(batch, completed)
        for request in batch:
            if request.op is Op.DISCARD:
                request.status = Status(Code.WRITE_ERROR, "gone", 512)


@pytest.mark.parametrize("can_discard", [True, False])
def test_every_block_reads_as_zeroes_afterwards(bench: Bench, *, can_discard: bool) -> None:
    bench.device.bytes[:] = b"o" * len(bench.device.bytes)
    bench.frontend.unit.can_discard = can_discard
    assert Disk(bench.session()).do(FORMAT).status == 0
    assert bench.device.bytes == bytes(len(bench.device.bytes))


def test_nobody_is_served_until_it_is_durable_and_everyone_hears_how_far_it_is(
    pending: Bench,
) -> None:
    one, two = pending.session(), Disk(pending.session(isid=OTHER))
    # The last step, a flush, is pending.
    assert one.ask(command(FORMAT, 1)) == []
    assert two.do(bytes(6)).sense == FORMATTING
    assert two.do(read_10(0, 1), read=512).sense == FORMATTING
    assert two.do(write_10(0, 1), data=bytes(512)).sense == FORMATTING
    assert two.do(FORMAT).sense == FORMATTING
    assert two.do(bytes((0x12, 0, 0, 0, 5, 0)), read=5).status == 0
    sense = two.do(bytes((0x03, 0, 0, 0, 18, 0)), read=18).data
    assert (sense[2], sense[12:14], sense[15]) == (2, b"\x04\x04", 0x80)
    assert int.from_bytes(sense[16:18], "big") == 0xFFFF, "as far as can be without being done"
    pending.complete()
    assert only(one.hear()).status == 0
    assert two.do(read_10(0, 1), read=512).status == 0


def test_a_write_whose_data_come_during_a_format_is_not_written(pending: Bench) -> None:
    one, two = pending.session(), pending.session(isid=OTHER)
    assert two.ask(command(write_10(0, 1), 1, write=512, final=False)) == []
    assert one.ask(command(FORMAT, 1)) == []
    answer = only(two.ask(data_out(1, NO_TAG, 0, 0, b"n" * 512, final=True)))
    assert answer.sense == FORMATTING
    pending.complete()
    assert pending.device.bytes[:512] == bytes(512)


def test_who_aborts_it_gets_a_ready_unit_back(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(leaves_pending=True)
    session = bench.session()
    assert session.ask(command(FORMAT, 1)) == []
    assert session.ask(task_management(1, 2, task=1)) == []
    bench.complete()
    assert only(session.hear()).response == 0
    assert only(session.ask(command(bytes(6), 2))).status == 0


def test_a_session_that_is_gone_stops_its_format(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(leaves_pending=True)
    one, two = bench.session(), bench.session(isid=OTHER)
    one.ask(command(FORMAT, 1))
    one.close()
    bench.loop.turn()
    bench.complete()
    assert only(two.ask(command(bytes(6), 1))).status == 0


@pytest.mark.parametrize(
    ("cdb", "data", "sense"),
    [
        (bytes((0x04, 0x80, 0, 0, 0, 0)), b"", (5, 0x2400)),
        (bytes((0x04, 0x20, 0, 0, 0, 0)), b"", (5, 0x2400)),
        (WITH_DATA, b"\1\0\0\0", (5, 0x2600)),
        (WITH_DATA, b"\0\x88\0\0", (5, 0x2600)),
        (WITH_DATA, b"\0\x20\0\0", (5, 0x2600)),
        (WITH_DATA, b"\0\0\0\x08", (5, 0x2600)),
        (LONG, b"\0\0\0\x10\0\0\0\0", (5, 0x2600)),
        (LONG, b"\0\0\0\0\0\0\0\x08", (5, 0x2600)),
        (LONG, b"\0\0\0\0", (5, 0x0E03)),
    ],
)
def test_what_is_more_than_zeroes_is_refused_and_changes_nothing(
    bench: Bench, cdb: bytes, data: bytes, sense: tuple[int, int]
) -> None:
    bench.device.bytes[:] = b"o" * len(bench.device.bytes)
    assert Disk(bench.session()).do(cdb, data=data).sense == sense
    assert bench.device.bytes[:4096] == b"o" * 4096


@pytest.mark.parametrize(("cdb", "data"), [(WITH_DATA, b"\0\x82\0\0"), (LONG, bytes(8))])
def test_a_header_that_asks_for_no_more_is_taken(bench: Bench, cdb: bytes, data: bytes) -> None:
    bench.device.bytes[:] = b"o" * len(bench.device.bytes)
    assert Disk(bench.session()).do(cdb, data=data).status == 0
    assert bench.device.bytes == bytes(len(bench.device.bytes))


def test_a_read_only_unit_is_not_formatted(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.frontend.unit.is_read_only = True
    assert Disk(bench.session()).do(FORMAT).sense == (7, 0x2700)


def test_a_medium_that_fails_ends_the_format_and_the_unit_is_ready(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    bench.frontend.unit.device = BrokenDevice(1 << 20)
    disk = Disk(bench.session())
    assert disk.do(FORMAT).sense == (3, 0x0C00)
    assert disk.do(bytes(6)).status == 0
