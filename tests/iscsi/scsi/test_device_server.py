"""What a command's end means: GOOD is never said of data that did not come."""

from __future__ import annotations

import struct

import pytest

from iscsi.bench import Bench
from iscsi.initiator import NO_TAG, Answer, command, data_out, only, read_10, write_10
from tierce import Geometry
from tierce_iscsi.scsi import device_server
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.sense import BUS_DEVICE_RESET, CHECK_CONDITION

CONFLICT, GOOD = 0x18, 0
OVERFLOW, UNDERFLOW = 0x04, 0x02
TEST_UNIT_READY = bytes(6)
OTHER = b"\x80\0\0\0\0\2"
#: INVALID FIELD IN COMMAND INFORMATION UNIT.
NOT_WHAT_THE_CDB_SAYS = (5, 0x0E03)
UNMAP = struct.pack(">BB5xHx", 0x42, 0, 24)
UNMAP_LIST = struct.pack(">HH4xQI4x", 22, 16, 0, 8)
WRITE_SAME = struct.pack(">BBIBHB", 0x41, 0, 0, 0, 8, 0)
MODE_SELECT = bytes((0x15, 0x10, 0, 0, 24, 0))
COMPARE_AND_WRITE = b"\x89\0" + bytes(8) + b"\0\0\0\1\0\0"
OR_WRITE = struct.pack(">BBQIBB", 0x8B, 0, 0, 1, 0, 0)
VERIFY = struct.pack(">BBIBHB", 0x2F, 2, 0, 0, 1, 0)
REGISTER = struct.pack(">BBB2xIx", 0x5F, 0, 0, 24)


def reserve_out(action: int, kind: int, key: int, new: int, number: int) -> bytes:
    cdb = struct.pack(">BBB2xIx", 0x5F, action, kind, 24)
    data = struct.pack(">QQ8x", key, new)
    return command(cdb, number, write=24, data=data)


def test_a_write_is_done_though_an_attention_was_pending_when_it_came(bench: Bench) -> None:
    session = bench.session()
    bench.sessions()[0].attend(BUS_DEVICE_RESET)
    assert session.ask(command(write_10(0, 8), 1, write=4096, final=False)) == []
    # Another command of the session takes the attention while the data travel.
    assert only(session.ask(command(TEST_UNIT_READY, 2))).sense == (6, 0x2903)
    answer = only(session.ask(data_out(1, NO_TAG, 0, 0, b"n" * 4096, final=True)))
    assert answer.status == GOOD
    assert bench.device.bytes[:4096] == b"n" * 4096


def test_a_write_that_meets_a_unit_attention_ends_with_it_and_writes_nothing(bench: Bench) -> None:
    session = bench.session()
    bench.sessions()[0].attend(BUS_DEVICE_RESET)
    assert session.ask(command(write_10(0, 8), 1, write=4096, final=False)) == []
    answer = only(session.ask(data_out(1, NO_TAG, 0, 0, b"n" * 4096, final=True)))
    assert answer.sense == (6, 0x2903)
    assert bench.device.bytes[:4096] == bytes(4096)


def test_a_write_is_done_though_it_conflicted_when_it_came(bench: Bench) -> None:
    one, two = bench.session(), bench.session(isid=OTHER)
    assert only(two.ask(reserve_out(0, 0, 0, 7, 1))).status == GOOD
    assert only(two.ask(reserve_out(1, 1, 7, 0, 2))).status == GOOD
    assert one.ask(command(write_10(0, 8), 1, write=4096, final=False)) == []
    assert only(two.ask(reserve_out(2, 1, 7, 0, 3))).status == GOOD
    answer = only(one.ask(data_out(1, NO_TAG, 0, 0, b"n" * 4096, final=True)))
    assert answer.status == GOOD
    assert bench.device.bytes[:4096] == b"n" * 4096


def test_an_attention_is_told_before_what_is_wrong_with_a_command(bench: Bench) -> None:
    session = bench.session()
    bench.sessions()[0].attend(BUS_DEVICE_RESET)
    assert only(session.ask(command(write_10(1 << 30, 8), 1, write=4096))).sense == (6, 0x2903)
    assert only(session.ask(command(write_10(1 << 30, 8), 2, write=4096))).sense == (5, 0x2100)


def test_a_write_whose_data_come_when_another_has_reserved_is_refused(bench: Bench) -> None:
    one, two = bench.session(), bench.session(isid=OTHER)
    assert one.ask(command(write_10(0, 8), 1, write=4096, final=False)) == []
    only(two.ask(reserve_out(0, 0, 0, 7, 1)))
    assert only(two.ask(reserve_out(1, 1, 7, 0, 2))).status == GOOD
    answer = only(one.ask(data_out(1, NO_TAG, 0, 0, b"n" * 4096, final=True)))
    assert answer.status == CONFLICT
    assert bench.device.bytes[:4096] == bytes(4096)


def test_an_attention_that_comes_while_the_data_travel_is_told_by_the_write(bench: Bench) -> None:
    session = bench.session()
    assert session.ask(command(write_10(0, 8), 1, write=4096, final=False)) == []
    bench.sessions()[0].attend(BUS_DEVICE_RESET)
    answer = only(session.ask(data_out(1, NO_TAG, 0, 0, b"n" * 4096, final=True)))
    assert answer.sense == (6, 0x2903)
    assert bench.device.bytes[:4096] == bytes(4096)
    assert only(session.ask(command(TEST_UNIT_READY, 2))).status == GOOD


@pytest.mark.parametrize(
    ("cdb", "data"),
    [
        *((UNMAP, UNMAP_LIST), (WRITE_SAME, b"s" * 512), (MODE_SELECT, bytes(24))),
        *((COMPARE_AND_WRITE, bytes(1024)), (OR_WRITE, b"o" * 512), (VERIFY, bytes(512))),
        (REGISTER, struct.pack(">QQ8x", 0, 7)),
    ],
    ids=["unmap", "write-same", "mode-select", "compare", "or-write", "verify", "register"],
)
@pytest.mark.parametrize("kept", [0, 8], ids=["none", "some"])
def test_less_data_than_the_command_needs_is_an_error_and_changes_nothing(
    bench: Bench, cdb: bytes, data: bytes, kept: int
) -> None:
    bench.device.bytes[:4096] = b"o" * 4096
    answer = only(bench.session().ask(command(cdb, 1, write=kept, data=data[:kept])))
    assert answer.sense == NOT_WHAT_THE_CDB_SAYS
    assert (answer.flags & 6, answer.field(44)) == (OVERFLOW, len(data) - kept)
    assert bench.device.bytes[:4096] == b"o" * 4096
    assert not bench.frontend.unit.reservations.now.keys


@pytest.mark.parametrize(
    "cdb",
    [write_10(0, 1), WRITE_SAME, UNMAP, MODE_SELECT, COMPARE_AND_WRITE, OR_WRITE, VERIFY, REGISTER],
    ids=["write", "same", "unmap", "mode-select", "compare", "or-write", "verify", "register"],
)
def test_a_command_that_takes_data_does_not_end_good_as_a_read(bench: Bench, cdb: bytes) -> None:
    answer = only(bench.session().ask(command(cdb, 1, read=512)))
    assert answer.sense == NOT_WHAT_THE_CDB_SAYS


@pytest.mark.parametrize(
    "cdb", [read_10(0, 1), bytes((0x12, 0, 0, 0, 96, 0))], ids=["read", "inquiry"]
)
def test_data_that_a_command_gives_where_some_are_sent_are_told_as_not_given(
    bench: Bench, cdb: bytes
) -> None:
    # libiscsi's suite (iSCSIResiduals.Read10Invalid) wants the status GOOD.
    answer = only(bench.session().ask(command(cdb, 1, write=512, data=bytes(512))))
    assert (answer.status, answer.flags & 6, answer.field(44)) == (GOOD, UNDERFLOW, 512)
    assert answer.data == b""


def test_a_write_announced_short_is_written_to_the_byte_and_the_rest_is_told(bench: Bench) -> None:
    bench.device.bytes[:1536] = b"o" * 1536
    session = bench.session()
    answer = only(session.ask(command(write_10(0, 3), 1, write=700, data=b"n" * 700)))
    assert (answer.status, answer.flags & 6, answer.field(44)) == (GOOD, OVERFLOW, 836)
    assert bench.device.bytes[:1536] == b"n" * 700 + b"o" * 836
    answer = only(session.ask(command(write_10(2, 1), 2, write=8, data=b"p" * 8)))
    assert (answer.status, answer.flags & 6, answer.field(44)) == (GOOD, OVERFLOW, 504)
    assert bench.device.bytes[:1536] == b"n" * 700 + b"o" * 324 + b"p" * 8 + b"o" * 504


def test_write_and_verify_is_refused_where_what_is_sent_ends_within_a_block(bench: Bench) -> None:
    bench.device.bytes[:1024] = b"o" * 1024
    cdb = struct.pack(">BBIBHB", 0x2E, 0, 0, 0, 2, 0)
    answer = only(bench.session().ask(command(cdb, 1, write=700, data=b"n" * 700)))
    assert answer.sense == NOT_WHAT_THE_CDB_SAYS
    assert (answer.flags & 6, answer.field(44)) == (OVERFLOW, 324)
    assert bench.device.bytes[:1024] == b"o" * 1024


def test_a_write_that_is_sent_without_any_data_says_that_all_of_it_is_missing(
    bench: Bench,
) -> None:
    answer: Answer = only(bench.session().ask(command(write_10(0, 2), 1)))
    assert (answer.status, answer.flags & 6, answer.field(44)) == (GOOD, OVERFLOW, 1024)


def test_a_command_whose_data_got_lost_on_our_side_is_never_good(bench: Bench) -> None:
    bench.session()
    unit, nexus = bench.frontend.unit, bench.sessions()[0]
    admitted = device_server.admit(unit, write_10(0, 1).ljust(16, b"\0"), 0, nexus, write=512)
    assert isinstance(admitted, Command)
    outcome = device_server.execute(unit, admitted)
    assert isinstance(outcome, Reply)
    assert outcome.status == CHECK_CONDITION


def test_a_volume_that_grew_is_told_once_and_then_has_its_new_size(bench: Bench) -> None:
    session = bench.session()
    before = bench.device.geometry.size_bytes // 512
    bench.frontend.resized(Geometry(2 * before * 512, 512))
    answer = only(session.ask(command(read_10(before, 8), 1, read=4096)))
    assert answer.sense == (6, 0x2A09)
    capacity = only(session.ask(command(b"\x25" + bytes(9), 2, read=8)))
    assert capacity.status == GOOD
    assert struct.unpack(">II", capacity.data) == (2 * before - 1, 512)
