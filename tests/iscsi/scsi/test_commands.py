"""SCSI commands of a disk, as an initiator sees them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from iscsi.bench import Bench, Disk
from iscsi.initiator import command, only, write_10
from tierce import Code, Status
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.sense import Key, Sense, sense_of
from tierce_iscsi.scsi.table import COMMANDS


def cdb_10(opcode: int, lba: int, count: int, flags: int = 0) -> bytes:
    return struct.pack(">BBIBHB", opcode, flags, lba, 0, count, 0)


def cdb_16(opcode: int, lba: int, count: int, flags: int = 0) -> bytes:
    return struct.pack(">BBQIBB", opcode, flags, lba, count, 0, 0)


# -- blocks ----------------------------------------------------------------------------------------


def test_verify_compares_and_says_where_it_differs(bench: Bench, disk: Disk) -> None:
    bench.device.bytes[:512] = b"v" * 512
    assert disk.do(cdb_10(0x2F, 0, 1, 0x02), data=b"v" * 512).status == 0
    answer = disk.do(cdb_10(0x2F, 0, 1, 0x02), data=b"v" * 500 + b"x" * 12)
    assert answer.sense == (0xE, 0x1D00)
    assert int.from_bytes(answer.data[5:9], "big") == 500, "information"


def test_compare_and_write_writes_only_over_what_it_expects(bench: Bench, disk: Disk) -> None:
    cdb = b"\x89\0" + bytes(8) + b"\0\0\0\1\0\0"
    assert disk.do(cdb, data=bytes(512) + b"n" * 512).status == 0
    assert bench.device.bytes[:512] == b"n" * 512
    assert disk.do(cdb, data=bytes(512) + b"m" * 512).sense == (0xE, 0x1D00)
    assert bench.device.bytes[:512] == b"n" * 512


def test_orwrite_sets_bits(bench: Bench, disk: Disk) -> None:
    bench.device.bytes[:512] = b"\x0f" * 512
    assert disk.do(cdb_16(0x8B, 0, 1), data=b"\xf0" * 512).status == 0
    assert bench.device.bytes[:512] == b"\xff" * 512


@pytest.mark.parametrize("opcode", [0x28, 0x2A, 0x2F, 0x34, 0x41])
def test_beyond_the_end_is_out_of_range(disk: Disk, opcode: int) -> None:
    assert disk.do(cdb_10(opcode, 2048, 1)).sense == (5, 0x2100)


def test_protection_information_is_refused(disk: Disk) -> None:
    assert disk.do(cdb_10(0x28, 0, 1, 0x20), read=512).sense == (5, 0x2400)


def test_orwrite_of_more_than_is_done_at_a_time_sets_every_bit(bench: Bench, disk: Disk) -> None:
    size = limits.OR_BYTES + 4096
    bench.device.bytes[: size + 512] = b"\x0f" * (size + 512)
    data = bytes(range(256)) * (size // 256)
    assert disk.do(cdb_16(0x8B, 0, size // 512), data=data).status == 0
    assert bench.device.bytes[:size] == bytes(one | 0x0F for one in range(256)) * (size // 256)
    assert bench.device.bytes[size : size + 512] == b"\x0f" * 512


def test_synchronize_cache_flushes(pending: Bench) -> None:
    session = pending.session()
    assert session.ask(command(cdb_10(0x35, 0, 0), 1)) == []
    pending.complete()
    assert only(session.hear()).status == 0


# -- thin provisioning -----------------------------------------------------------------------------


def test_unmap_discards_and_the_status_shows_it(bench: Bench, disk: Disk) -> None:
    disk.do(write_10(0, 32), data=b"u" * 16384)
    parameters = struct.pack(">HH4xQI4x", 22, 16, 8, 8)
    assert disk.do(bytes((0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0)), data=parameters).status == 0
    assert bench.device.bytes[4096:8192] == bytes(4096)
    answer = disk.do(b"\x9e\x12" + bytes(8) + (56).to_bytes(4, "big") + b"\0\0", read=56)
    found = [struct.unpack_from(">QIB", answer.data, at) for at in (8, 24, 40)]
    assert found == [(0, 8, 0), (8, 8, 1), (16, 16, 0)]


def test_unmap_with_one_extent_out_of_range_discards_nothing(bench: Bench, disk: Disk) -> None:
    disk.do(write_10(0, 8), data=b"u" * 4096)
    parameters = struct.pack(">HH4xQI4xQI4x", 38, 32, 0, 8, 4000, 8)
    assert disk.do(bytes((0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0)), data=parameters).sense == (5, 0x2100)
    assert bench.device.bytes[:4096] == b"u" * 4096


@pytest.mark.parametrize("block", [b"\0", b"s"])
def test_write_same_repeats_a_block_to_the_end(bench: Bench, disk: Disk, block: bytes) -> None:
    disk.do(write_10(0, 8), data=b"o" * 4096)
    assert disk.do(cdb_16(0x93, 4, 0), data=block * 512).status == 0
    assert bench.device.bytes[:2048] == b"o" * 2048
    assert bench.device.bytes[2048:] == block * ((1 << 20) - 2048)


def test_write_same_wants_exactly_one_block(disk: Disk) -> None:
    assert disk.do(cdb_10(0x41, 0, 1), data=bytes(1024)).sense == (5, 0x2400)


# -- inquiry, modes, catalogue ---------------------------------------------------------------------


def test_the_capacity_is_that_of_the_device(disk: Disk) -> None:
    assert struct.unpack(">II", disk.do(bytes((0x25,) + (0,) * 9), read=8).data) == (2047, 512)


def test_the_write_cache_is_announced_and_can_not_be_changed(disk: Disk) -> None:
    caching = disk.do(bytes((0x1A, 8, 0x08, 0, 64, 0)), read=64).data[4:]
    assert caching[2] & 0x04
    same = bytes(4) + caching
    assert disk.do(bytes((0x15, 0x10, 0, 0, len(same), 0)), data=same).status == 0
    other = bytearray(same)
    other[6] = 0
    assert disk.do(bytes((0x15, 0x10, 0, 0, len(same), 0)), data=bytes(other)).sense == (5, 0x2600)


def test_the_catalogue_lists_exactly_the_table(disk: Disk) -> None:
    data = disk.do(bytes((0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0)), read=4096).data
    listed = {data[at] for at in range(4, len(data), 8)}
    assert listed == set(COMMANDS)


def test_every_usage_starts_with_its_opcode_and_is_as_long_as_its_cdb() -> None:
    lengths = {0: 6, 1: 10, 2: 10, 4: 16, 5: 12}
    for opcode, entry in COMMANDS.items():
        parts = [entry] if entry.actions is None else list(entry.actions.values())
        for part in parts:
            assert part.usage[0] == opcode
            assert len(part.usage) == lengths[opcode >> 5]
        for action, part in (entry.actions or {}).items():
            assert part.usage[1] & 0x1F == action


def every_command() -> Iterator[tuple[str, bytes]]:
    """Yield each command's name and a CDB of zeroes with its opcode and service action."""
    for opcode, entry in COMMANDS.items():
        if entry.actions is None:
            yield f"{opcode:02x}", bytes((opcode,)).ljust(len(entry.usage), b"\0")
        for action, part in (entry.actions or {}).items():
            yield (
                f"{opcode:02x}-{action:02x}",
                bytes((opcode, action)).ljust(len(part.usage), b"\0"),
            )


@pytest.mark.parametrize("cdb", [pytest.param(cdb, id=name) for name, cdb in every_command()])
def test_naca_is_refused_by_every_command(disk: Disk, cdb: bytes) -> None:
    answer = disk.do(cdb[:-1] + b"\x04")
    assert answer.sense == (5, 0x2400)
    assert answer.data[2 + 15] == 0xC0, "a field of the CDB"
    assert int.from_bytes(answer.data[2 + 16 : 2 + 18], "big") == len(cdb) - 1, "the control byte"


@pytest.mark.parametrize(("opcode", "data"), [(0x28, b""), (0x2A, bytes(512))])
def test_naca_is_refused_where_reads_and_writes_are_fast_too(
    disk: Disk, opcode: int, data: bytes
) -> None:
    cdb = cdb_10(opcode, 0, 1)[:-1] + b"\x04"
    assert disk.do(cdb, read=0 if data else 512, data=data).sense == (5, 0x2400)


def test_a_mode_select_that_asks_for_another_size_is_refused(disk: Disk) -> None:
    for blocks, size, status in (
        *((0, 0, 0), (2048, 512, 0), (0xFFFFFFFF, 512, 0)),
        *((1024, 512, 2), (2048, 4096, 2)),
    ):
        data = bytes((0, 0, 0, 8)) + struct.pack(">II", blocks, size)
        answer = disk.do(bytes((0x15, 0x10, 0, 0, len(data), 0)), data=data)
        assert answer.status == status


def test_all_mode_pages_come_in_order(disk: Disk) -> None:
    data = disk.do(bytes((0x1A, 8, 0x3F, 0, 255, 0)), read=255).data
    assert data[0] == len(data) - 1
    at, codes = 4, []
    while at < len(data):
        codes.append(data[at])
        at += 2 + data[at + 1]
    assert codes == [0x01, 0x08, 0x0A, 0x1C]


def test_an_unknown_opcode_is_an_illegal_request(disk: Disk) -> None:
    assert disk.do(b"\xc1").sense == (5, 0x2000)


# -- statuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.GOOD])
def test_every_status_has_its_sense(code: Code) -> None:
    assert len(sense_of(Status(code, "why", 4096), 512).encode()) == 18


def test_a_medium_error_names_its_block() -> None:
    assert sense_of(Status(Code.READ_ERROR, "gone", 4096), 512) == Sense(
        Key.MEDIUM_ERROR, 0x1100, information=8
    )


def test_a_read_only_volume_refuses_writes_and_says_so(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.frontend.unit.is_read_only = True
    disk = Disk(bench.session())
    assert disk.do(write_10(0, 1), data=bytes(512)).sense == (7, 0x2700)
    assert disk.do(bytes((0x1A, 8, 0x08, 0, 64, 0)), read=64).data[2] & 0x80
