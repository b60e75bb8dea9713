"""Reading command descriptor blocks (SPC-4 section 4.3)."""

from __future__ import annotations

import struct

from tierce_iscsi.scsi.sense import LBA_OUT_OF_RANGE, CheckConditionError, invalid_field

COMPARE_AND_WRITE = 0x89

_10 = struct.Struct(">xxIxH")
_12 = struct.Struct(">xxII")
_16 = struct.Struct(">xxQI")


def extent(cdb: bytes) -> tuple[int, int]:
    """Return (LBA, block count) of a command whose CDB has them where READ has them."""
    group = cdb[0] >> 5
    if group == 0:
        # READ(6): 21 bits of LBA; 0 blocks mean 256 (SBC-3 section 5.7).
        return int.from_bytes(cdb[1:4], "big") & 0x1FFFFF, cdb[4] or 256
    layout = _16 if group == 4 else _12 if group == 5 else _10
    lba, count = layout.unpack_from(cdb)
    return lba, count


def extent_index(cdb: bytes) -> int:
    """Return the byte at which the block count begins, to blame it in sense data."""
    if cdb[0] == COMPARE_AND_WRITE:
        return 13
    return {0: 4, 4: 10, 5: 6}.get(cdb[0] >> 5, 7)


def checked_extent(cdb: bytes, block_count: int) -> tuple[int, int]:
    """Return (LBA, block count) within a device of `block_count` blocks.

    Raises:
        CheckConditionError: LBA OUT OF RANGE. An LBA just behind the end is out of range even
            for 0 blocks.
    """
    lba, count = extent(cdb)
    if lba + count > block_count or lba >= block_count:
        raise CheckConditionError(LBA_OUT_OF_RANGE)
    return lba, count


def refuse_protection(cdb: bytes) -> None:
    """Refuse RDPROTECT, WRPROTECT or VRPROTECT other than 0: no protection information here.

    Raises:
        CheckConditionError: INVALID FIELD IN CDB.
    """
    if cdb[1] & 0xE0:
        raise invalid_field(1)


def be16(data: bytes | memoryview, offset: int) -> int:
    """Return 2 bytes as a number."""
    return int.from_bytes(data[offset : offset + 2], "big")


def be32(data: bytes | memoryview, offset: int) -> int:
    """Return 4 bytes as a number."""
    return int.from_bytes(data[offset : offset + 4], "big")


def be64(data: bytes | memoryview, offset: int) -> int:
    """Return 8 bytes as a number."""
    return int.from_bytes(data[offset : offset + 8], "big")
