"""What a unit says of itself, and that what it says agrees with what it does."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from iscsi.bench import Bench, Disk
from iscsi.standalone import MemoryDevice
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.scsi.vpd import PAGES
from tierce_iscsi.text import RECV_SEGMENT_BYTES

UUID = "0123456789abcdef0123456789abcdef"
NAA, RELATIVE_PORT, PORT_GROUP, NAME = 3, 4, 5, 8


def page(disk: Disk, code: int, length: int = 512) -> bytes:
    return disk.do(struct.pack(">BBBHB", 0x12, 1, code, length, 0), read=length).data


def designators(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (association, type, value) of a Device Identification page."""
    at = 4
    while at < len(data):
        length = data[at + 3]
        yield data[at + 1] >> 4 & 3, data[at + 1] & 0x0F, data[at + 4 : at + 4 + length]
        at += 4 + length


def block_limits(block_size: int) -> tuple[int, ...]:
    """The fields of the Block Limits page of a volume with such blocks."""
    unit = LogicalUnit(MemoryDevice(1 << 20, block_size), iqn="iqn.x:t", serial=UUID)
    return struct.unpack(">BBHIIIIIIIQ20x", PAGES[0xB0](unit))


@pytest.mark.parametrize("code", sorted(PAGES))
def test_every_listed_page_states_its_own_length(disk: Disk, code: int) -> None:
    data = page(disk, code)
    assert data[1] == code
    assert len(data) == 4 + int.from_bytes(data[2:4], "big")


def test_the_list_of_pages_is_in_order_and_whole(disk: Disk) -> None:
    assert list(page(disk, 0)[4:]) == sorted(PAGES)


def test_an_unknown_page_is_refused(disk: Disk) -> None:
    assert disk.do(bytes((0x12, 1, 0xC0, 0, 96, 0)), read=96).sense == (5, 0x2400)


def test_the_name_is_a_local_naa_6_made_of_the_volumes_uuid(disk: Disk) -> None:
    names = [value for _, kind, value in designators(page(disk, 0x83)) if kind == NAA]
    assert [name.hex() for name in names] == ["6025443" + UUID[:25]]
    assert names[0][0] & 0x0F == 0, "the first byte of the company identifier begins here"
    assert int(names[0].hex()[1:3], 16) & 0x02, "and is one assigned locally"


def test_two_volumes_have_two_names() -> None:
    made = [
        PAGES[0x83](LogicalUnit(MemoryDevice(4096), iqn="iqn.x:t", serial=uuid))
        for uuid in (UUID, UUID[::-1])
    ]
    assert made[0] != made[1]


def test_the_port_group_that_is_named_is_the_one_that_is_reported(disk: Disk) -> None:
    named = {kind: value for place, kind, value in designators(page(disk, 0x83)) if place == 1}
    groups = disk.do(b"\xa3\x0a\0\0\0\0\0\0\0\xff\0\0", read=255).data
    assert int.from_bytes(groups[:4], "big") == len(groups) - 4
    state, support, group, port_count, port = struct.unpack(">BBHxxxBxxH", groups[4:])
    assert (state, support, port_count) == (0, 0x01, 1), "active and optimized, and nothing else"
    assert group.to_bytes(4, "big") == named[PORT_GROUP]
    assert port.to_bytes(4, "big") == named[RELATIVE_PORT]
    assert disk.do(bytes((0x12, 0, 0, 0, 96, 0)), read=96).data[5] & 0x30 == 0x10, "TPGS"


def test_the_ports_page_names_the_same_port(disk: Disk) -> None:
    (name,) = [value for place, kind, value in designators(page(disk, 0x83)) if place == 1][:1]
    ports = page(disk, 0x88)[4:]
    assert struct.unpack_from(">HHHHHH", ports) == (0, 1, 0, 0, 0, len(name) + 4)
    assert ports[16:] == name


def test_mode_pages_are_said_to_be_shared(disk: Disk) -> None:
    assert page(disk, 0x87)[4:] == b"\x3f\xff\0\0"


@pytest.mark.parametrize("block_size", [512, 4096])
def test_what_is_named_as_best_travels_in_one_pdu(
    block_size: int,
) -> None:
    _, _, granularity, largest, best, *_ = block_limits(block_size)
    assert granularity * block_size == 4096
    assert 64 << 10 <= best * block_size <= 1 << 20
    assert best * block_size <= RECV_SEGMENT_BYTES
    assert largest * block_size == limits.TRANSFER_BYTES_MAX


@pytest.mark.parametrize(("block_size", "granularity"), [(512, 8), (4096, 0)])
def test_a_granularity_of_unmap_is_named_only_where_it_is_more_than_a_block(
    block_size: int, granularity: int
) -> None:
    # QEMU 7.2, told that it is one block of 4096 bytes, asks for the status of a part of it.
    *_, named, alignment, _ = block_limits(block_size)
    assert named == granularity
    assert alignment == (0x80000000 if granularity else 0)


def test_a_physical_block_is_a_block_unless_the_options_say_more(
    make_bench: Callable[..., Bench],
) -> None:
    capacity = b"\x9e\x10" + bytes(8) + (32).to_bytes(4, "big") + b"\0\0"
    bench = make_bench()
    disk = Disk(bench.session())
    assert disk.do(capacity, read=32).data[13] == 0
    bench.frontend.unit.physical_bytes = 4096
    assert disk.do(capacity, read=32).data[13] == 3
