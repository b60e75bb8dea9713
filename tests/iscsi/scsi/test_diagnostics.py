"""Self-test, log pages, lists of defects, and stopping a unit."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from iscsi.bench import Bench, Disk
from iscsi.initiator import command, only
from iscsi.standalone import MemoryDevice
from tierce import Code, Completed, Op, Request, Status


class BrokenDevice(MemoryDevice):
    """Its first block can't be read."""

    def submit(self, batch: list[Request], completed: Completed) -> None:
        super().submit(batch, completed)
        for request in batch:
            if request.op is Op.READ and request.offset == 0:
                request.status = Status(Code.READ_ERROR, "gone", 0)


def log_sense(page: int, subpage: int = 0, allocation: int = 255) -> bytes:
    return struct.pack(">BBBBBHHB", 0x4D, 0, 0x40 | page, subpage, 0, 0, allocation, 0)


def test_the_self_test_reads_and_flushes(pending: Bench) -> None:
    session = pending.session()
    assert session.ask(command(bytes((0x1D, 4, 0, 0, 0, 0)), 1)) == []
    pending.complete()
    assert only(session.hear()).status == 0


def test_the_self_test_of_a_broken_medium_fails(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.frontend.unit.device = BrokenDevice(1 << 20)
    disk = Disk(bench.session())
    assert disk.do(bytes((0x1D, 4, 0, 0, 0, 0))).sense == (3, 0x1100)


def test_other_self_tests_and_diagnostic_pages_are_refused(disk: Disk) -> None:
    assert disk.do(bytes((0x1D, 0x20, 0, 0, 0, 0))).sense == (5, 0x2400)
    assert disk.do(bytes((0x1D, 0x10, 0, 0, 4, 0)), data=bytes(4)).sense == (5, 0x2400)
    assert disk.do(bytes((0x1D, 0x10, 0, 0, 0, 0))).status == 0


def test_every_log_page_that_is_listed_is_there(disk: Disk) -> None:
    data = disk.do(log_sense(0), read=255).data
    assert list(data[4:]) == [0x00, 0x2F]
    for page in data[4:]:
        found = disk.do(log_sense(page), read=255).data
        assert found[0] & 0x3F == page
        assert len(found) == 4 + int.from_bytes(found[2:4], "big")
    subpages = disk.do(log_sense(0, 0xFF), read=255).data
    assert subpages[:2] == b"\x40\xff"
    assert subpages[4:] == b"\x00\x00\x00\xff\x2f\x00"


def test_no_exception_is_reported_and_unknown_pages_are_refused(disk: Disk) -> None:
    data = disk.do(log_sense(0x2F), read=255).data
    assert data[8:10] == b"\0\0", "ASC, ASCQ"
    assert disk.do(log_sense(0x02), read=255).sense == (5, 0x2400)
    assert disk.do(log_sense(0x2F, 1), read=255).sense == (5, 0x2400)


def test_there_are_no_defects(disk: Disk) -> None:
    answer = disk.do(struct.pack(">BBBxxxxHB", 0x37, 0, 0x1D, 8, 0), read=8)
    assert answer.data == b"\0\x1d\0\0"
    answer = disk.do(struct.pack(">BBxxxxIxB", 0xB7, 0x1D, 16, 0), read=16)
    assert answer.data == b"\0\x1d\0\0\0\0\0\0"


def test_who_stops_the_unit_has_its_cache_on_the_medium_first(pending: Bench) -> None:
    session = pending.session()
    assert session.ask(command(bytes((0x1B, 0, 0, 0, 0, 0)), 1)) == []
    pending.complete()
    assert only(session.hear()).status == 0
    assert only(session.ask(command(bytes((0x1B, 0, 0, 0, 4, 0)), 2))).status == 0, "NO_FLUSH"
    assert only(session.ask(command(bytes((0x1B, 0, 0, 0, 1, 0)), 3))).status == 0, "started"


@pytest.mark.parametrize("flags", [0x02, 0x20, 0x30])
def test_ejecting_and_power_conditions_are_refused(disk: Disk, flags: int) -> None:
    assert disk.do(bytes((0x1B, 0, 0, 0, flags, 0))).sense == (5, 0x2400)
