"""EXTENDED COPY within a unit, and what is told of it afterwards."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iscsi.bench import Bench, Disk
from iscsi.initiator import command, only, task_management
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.copy import Segment, pieces
from tierce_iscsi.scsi.vpd import unit_name

BLOCK = 512
BLOCKS = (1 << 20) // BLOCK
HOLD, DISCARD = 0x00, 0x18
MakeBench = Callable[..., Bench]
COPY_ABORTED = 0xA


def target(bench: Bench, **changes: int) -> bytes:
    """The unit's own identification descriptor; `changes` are bytes by place."""
    name = unit_name(bench.frontend.unit)
    made = bytearray(struct.pack(">BBH", 0xE4, 0, 0))
    made += struct.pack(">BBxB", 1, 3, len(name)) + name.ljust(20, b"\0")
    made += struct.pack(">I", bench.frontend.unit.block_size)
    for place, value in changes.items():
        made[int(place[1:])] = value
    return bytes(made)


def segment(source: int, destination: int, count: int, where: tuple[int, int] = (0, 0)) -> bytes:
    return struct.pack(">BBHHHxxHQQ", 0x02, 0, 24, *where, count, source, destination)


def parameters(
    targets: list[bytes], segments: list[bytes], *, list_id: int = 1, usage: int = HOLD
) -> bytes:
    sizes = sum(map(len, targets)), sum(map(len, segments))
    head = struct.pack(">BBHxxxxII", list_id, usage, *sizes, 0)
    return head + b"".join(targets + segments)


def copy_cdb(length: int) -> bytes:
    return struct.pack(">BB8xIxx", 0x83, 0, length)


def results(action: int, list_id: int = 0) -> bytes:
    return struct.pack(">BBB7xIxx", 0x84, action, list_id, 1024)


def fill(bench: Bench) -> bytes:
    """Give every block other bytes; return them all."""
    data = b"".join(struct.pack(">I", number) * (BLOCK // 4) for number in range(BLOCKS))
    bench.device.bytes[:] = data
    return data


def moved(data: bytes, *segments: tuple[int, int, int]) -> bytes:
    """What is there after these (source, destination, count) were copied one after another."""
    made = bytearray(data)
    for source, destination, count in segments:
        piece = bytes(made[source * BLOCK : (source + count) * BLOCK])
        made[destination * BLOCK : (destination + count) * BLOCK] = piece
    return bytes(made)


def test_blocks_are_copied(bench: Bench, disk: Disk) -> None:
    before = fill(bench)
    data = parameters([target(bench)], [segment(3, 1000, 700)])
    assert disk.do(copy_cdb(len(data)), data=data).status == 0
    assert bench.device.bytes == moved(before, (3, 1000, 700))


#: A small unit, for many copies.
FEW = 96
EXTENTS = st.tuples(st.integers(0, FEW - 32), st.integers(0, FEW - 32), st.integers(0, 32))


@given(st.lists(EXTENTS, max_size=4), st.integers(1, 40))
def test_pieces_copy_segments_one_after_another_overlaps_too(
    extents: list[tuple[int, int, int]], step: int
) -> None:
    before = bytes(number * 31 % 256 for number in range(FEW * BLOCK))
    after = bytearray(before)
    segments = [Segment(*(BLOCK * one for one in extent)) for extent in extents]
    ended = 0
    for source, destination, length, is_last in pieces(segments, step * BLOCK):
        assert 0 < length <= step * BLOCK
        after[destination : destination + length] = bytes(after[source : source + length])
        ended += is_last
    assert after == moved(before, *extents)
    assert ended == sum(one.length > 0 for one in segments)


@pytest.mark.parametrize(("source", "destination"), [(0, 1 << 10), (1 << 10, 0), (0, 20 << 10)])
def test_what_is_longer_than_a_piece_is_copied_whole(
    make_bench: MakeBench, source: int, destination: int
) -> None:
    bench = make_bench(16 << 20)
    count = (limits.COPY_BYTES + (1 << 20)) // BLOCK
    before = bytearray(random.Random(1).randbytes(16 << 20))
    bench.device.bytes[:] = before
    extents = [(source, destination, 1), (source, destination, count)]
    data = parameters([target(bench)], [segment(*one) for one in extents])
    assert Disk(bench.session()).do(copy_cdb(len(data)), data=data).status == 0
    assert bench.device.bytes == moved(bytes(before), *extents)


def test_nothing_to_copy_is_copied(bench: Bench, disk: Disk) -> None:
    before = fill(bench)
    assert disk.do(copy_cdb(0)).status == 0
    for data in (parameters([], []), parameters([target(bench)], [segment(5, 9, 0)])):
        assert disk.do(copy_cdb(len(data)), data=data).status == 0
    assert bench.device.bytes == before


@pytest.mark.parametrize(
    ("changes", "sense"),
    [
        ({"_0": 0xE0}, (5, 0x2607)),
        ({"_1": 0x01}, (COPY_ABORTED, 0x0D02)),
        ({"_12": 0xFF}, (COPY_ABORTED, 0x0D02)),
        ({"_30": 0x10}, (COPY_ABORTED, 0x0D02)),
    ],
    ids=["another kind of descriptor", "a tape", "another unit", "another block size"],
)
def test_what_is_not_this_unit_is_not_copied(
    bench: Bench, disk: Disk, changes: dict[str, int], sense: tuple[int, int]
) -> None:
    before = fill(bench)
    data = parameters([target(bench, **changes)], [segment(0, 8, 8)])
    assert disk.do(copy_cdb(len(data)), data=data).sense == sense
    assert bench.device.bytes == before


def test_one_wrong_segment_keeps_the_right_ones_from_being_copied(bench: Bench, disk: Disk) -> None:
    before = fill(bench)
    good = segment(0, 8, 8)
    for wrong, sense in (
        (segment(0, 8, 8, (0, 1)), (COPY_ABORTED, 0x0804)),
        (segment(0, BLOCKS - 1, 2), (COPY_ABORTED, 0x0000)),
        (segment(2**64 - 1, 8, 8), (COPY_ABORTED, 0x0000)),
        (b"\x03" + good[1:], (5, 0x2609)),
        (good[:3] + b"\x20" + good[4:], (5, 0x2600)),
        (good[:20], (5, 0x1A00)),
    ):
        data = parameters([target(bench)], [good, wrong])
        assert disk.do(copy_cdb(len(data)), data=data).sense == sense
    assert bench.device.bytes == before


def test_lists_are_bounded_and_must_be_whole(bench: Bench, disk: Disk) -> None:
    one = target(bench)
    many = parameters([one] * (limits.COPY_TARGET_COUNT_MAX + 1), [segment(0, 8, 8)])
    assert disk.do(copy_cdb(len(many)), data=many).sense == (5, 0x2606)
    many = parameters([one], [segment(0, 8, 8)] * (limits.COPY_SEGMENT_COUNT_MAX + 1))
    assert disk.do(copy_cdb(len(many)), data=many).sense == (5, 0x2608)
    cut = parameters([one], [segment(0, 8, 8)])[:-1]
    assert disk.do(copy_cdb(len(cut)), data=cut).sense == (5, 0x1A00)
    assert disk.do(copy_cdb(1 << 20)).sense == (5, 0x1A00)
    assert disk.do(copy_cdb(8), data=bytes(8)).sense == (5, 0x1A00)
    inline = bytearray(parameters([one], []))
    inline[15] = 4
    assert disk.do(copy_cdb(len(inline)), data=bytes(inline)).sense == (5, 0x2600)


def test_the_result_is_told_once_to_whoever_made_the_copy(bench: Bench, disk: Disk) -> None:
    assert disk.do(results(0, 7), read=1024).sense == (5, 0x2400)
    data = parameters([target(bench)], [segment(0, 8, 8), segment(0, 16, 8)], list_id=7)
    assert disk.do(copy_cdb(len(data)), data=data).status == 0
    other = Disk(bench.session(isid=b"\x80\0\0\0\0\2"))
    assert other.do(results(0, 7), read=1024).sense == (5, 0x2400)
    told = disk.do(results(0, 7), read=1024).data
    assert struct.unpack(">IBHBI", told) == (8, 1, 2, 0, 2 * 8 * BLOCK)
    assert disk.do(results(0, 7), read=1024).sense == (5, 0x2400)


def test_no_result_is_held_where_none_is_wanted(bench: Bench, disk: Disk) -> None:
    data = parameters([target(bench)], [segment(0, 8, 8)], list_id=7, usage=DISCARD)
    assert disk.do(copy_cdb(len(data)), data=data).status == 0
    assert disk.do(results(0, 7), read=1024).sense == (5, 0x2400)


def test_what_is_told_of_its_limits_is_what_it_keeps(disk: Disk) -> None:
    data = disk.do(results(3), read=1024).data
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert struct.unpack(">HH", data[8:12]) == (
        limits.COPY_TARGET_COUNT_MAX,
        limits.COPY_SEGMENT_COUNT_MAX,
    )
    assert int.from_bytes(data[16:20], "big") == limits.COPY_SEGMENT_BYTES_MAX
    assert 1 << data[37] == BLOCK
    assert data[43] == len(data) - 44
    assert data[44:] == b"\x02\xe4"
    assert disk.do(bytes((0x12, 0, 0, 0, 96, 0)), read=96).data[5] & 0x08, "3PC"


def test_an_aborted_copy_writes_nothing_more(make_bench: MakeBench) -> None:
    bench = make_bench(leaves_pending=True)
    before = fill(bench)
    session = bench.session()
    data = parameters([target(bench)], [segment(0, 8, 8), segment(0, 16, 8)])
    assert session.ask(command(copy_cdb(len(data)), 1, write=len(data), data=data)) == []
    assert session.ask(task_management(1, 2, task=1)) == []
    bench.complete()
    assert only(session.hear()).response == 0
    assert bench.device.bytes == moved(before, (0, 8, 8))


def test_a_read_only_unit_takes_no_copy(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.frontend.unit.is_read_only = True
    data = parameters([target(bench)], [segment(0, 8, 8)])
    answer = Disk(bench.session()).do(copy_cdb(len(data)), data=data)
    assert answer.sense == (7, 0x2700)
