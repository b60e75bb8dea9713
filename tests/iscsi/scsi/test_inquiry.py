"""INQUIRY, of the unit and of LUNs with nothing behind them; REPORT TARGET PORT GROUPS."""

from __future__ import annotations

import struct

import pytest

from iscsi.bench import Bench, Disk
from tierce_iscsi.scsi.sense import BUS_DEVICE_RESET

NO_UNIT = 0x7F


def test_the_standard_data_are_as_long_as_they_say(disk: Disk) -> None:
    data = disk.do(bytes((0x12, 0, 0, 0, 255, 0)), read=255).data
    assert len(data) == 5 + data[4]
    assert data[8:32] == b"TIERCE  " + b"VOLUME".ljust(16)


@pytest.mark.parametrize("allocation", [0, 1, 5, 36])
def test_only_as_much_is_given_as_is_asked_for(disk: Disk, allocation: int) -> None:
    answer = disk.do(struct.pack(">BBBHB", 0x12, 0, 0, allocation, 0), read=96)
    assert (answer.status, len(answer.data)) == (0, allocation)


def test_a_page_without_evpd_and_reserved_bits_are_refused(disk: Disk) -> None:
    assert disk.do(bytes((0x12, 0, 0x80, 0, 96, 0)), read=96).sense == (5, 0x2400)
    assert disk.do(bytes((0x12, 2, 0, 0, 96, 0)), read=96).sense == (5, 0x2400)


def test_of_a_lun_that_is_not_there_it_says_that_no_unit_is(disk: Disk) -> None:
    standard = disk.do(bytes((0x12, 0, 0, 0, 96, 0)), read=96, lun=5 << 48).data
    assert standard[0] == NO_UNIT
    pages = disk.do(bytes((0x12, 1, 0, 0, 96, 0)), read=96, lun=5 << 48).data
    assert pages == bytes((NO_UNIT, 0, 0, 1, 0)), "and that no page is known but this"
    answer = disk.do(bytes((0x12, 1, 0x83, 0, 96, 0)), read=96, lun=5 << 48)
    assert answer.sense == (5, 0x2400)


def test_sense_of_a_lun_that_is_not_there_says_so_in_both_formats(disk: Disk) -> None:
    fixed = disk.do(bytes((0x03, 0, 0, 0, 252, 0)), read=252, lun=5 << 48).data
    assert (fixed[0], fixed[2], fixed[12:14]) == (0x70, 5, b"\x25\x00")
    described = disk.do(bytes((0x03, 1, 0, 0, 252, 0)), read=252, lun=5 << 48).data
    assert described == bytes((0x72, 5, 0x25, 0, 0, 0, 0, 0))


def test_an_attention_is_neither_told_nor_lost_by_asking_another_lun(bench: Bench) -> None:
    disk = Disk(bench.session())
    bench.sessions()[0].attend(BUS_DEVICE_RESET)
    disk.do(bytes((0x03, 0, 0, 0, 252, 0)), read=252, lun=5 << 48)
    assert disk.do(bytes(6), lun=5 << 48).sense == (5, 0x2500)
    assert disk.do(bytes(6)).sense == (6, 0x2903)


def test_sense_takes_a_pending_attention(bench: Bench) -> None:
    disk = Disk(bench.session())
    bench.sessions()[0].attend(BUS_DEVICE_RESET)
    assert disk.do(bytes((0x03, 0, 0, 0, 18, 0)), read=18).data[12:14] == b"\x29\x03"
    assert disk.do(bytes(6)).status == 0


def test_port_groups_come_with_the_longer_header_if_it_is_asked_for(disk: Disk) -> None:
    plain = disk.do(b"\xa3\x0a\0\0\0\0\0\0\0\xff\0\0", read=255).data
    extended = disk.do(b"\xa3\x2a\0\0\0\0\0\0\0\xff\0\0", read=255).data
    assert extended[4:] == b"\x10\0\0\0" + plain[4:]
    assert disk.do(b"\xa3\x4a\0\0\0\0\0\0\0\xff\0\0", read=255).sense == (5, 0x2400)
