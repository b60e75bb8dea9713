"""Which blocks are mapped, and long WRITE SAMEs that let others pass."""

from __future__ import annotations

import struct
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from iscsi.bench import Bench
from iscsi.initiator import command, only, read_10
from tierce import Extent
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.thin import block_runs

LENGTHS = st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=12)


@given(st.sampled_from([512, 4096]), st.integers(0, 3), LENGTHS)
def test_a_block_is_a_hole_only_if_no_byte_of_it_holds_data(
    block_size: int, first: int, lengths: list[tuple[int, bool]]
) -> None:
    unit = 512
    at, extents, holes = first * block_size, list[Extent](), dict[int, bool]()
    for count, is_hole in lengths:
        extents.append(Extent(at, count * unit, is_hole))
        holes |= {(at + step * unit) // unit: is_hole for step in range(count)}
        at += count * unit
    # What is behind the last extent is not known, and so not called a hole.
    per_block = block_size // unit
    expected = {
        lba: all(holes.get(lba * per_block + part, False) for part in range(per_block))
        for lba in range(first, at // block_size)
    }
    found: dict[int, bool] = {}
    before = first
    for lba, count, is_hole in block_runs(tuple(extents), block_size):
        assert (lba, count > 0) == (before, True), "in order, without gaps"
        before = lba + count
        found |= dict.fromkeys(range(lba, before), is_hole)
    assert {lba: found[lba] for lba in expected} == expected
    assert not any(found[lba] for lba in found.keys() - expected.keys())


def test_a_long_write_same_lets_others_pass_between_its_steps(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(48 << 20)
    pauses: list[Callable[[], None]] = []
    bench.frontend.unit.soon = pauses.append
    one, two = bench.session(), bench.session(isid=b"\x80\0\0\0\0\2")
    count = limits.WRITE_SAME_BLOCK_COUNT_MAX
    cdb = struct.pack(">BBQIBB", 0x93, 0, 0, count, 0, 0)
    assert one.ask(command(cdb, 1, write=512, data=b"s" * 512)) == []
    assert only(two.ask(command(read_10(0, 1), 1, read=512))).data == b"s" * 512
    assert only(two.ask(command(read_10(count - 1, 1), 2, read=512))).data == bytes(512)
    while pauses:
        pauses.pop()()
    assert only(one.hear()).status == 0
    assert bench.device.bytes[: count * 512] == b"s" * (count * 512)
    assert bench.device.bytes[count * 512] == 0
