"""What the logical unit takes at once, as the Block Limits page says (SBC-3 section 6.5.3)."""

from __future__ import annotations

#: READ, WRITE, VERIFY, PRE-FETCH: MAXIMUM TRANSFER LENGTH, in bytes.
TRANSFER_BYTES_MAX = 32 << 20
#: WRITE SAME: MAXIMUM WRITE SAME LENGTH, in bytes; also where 0 blocks mean "to the end".
WRITE_SAME_BYTES_MAX = 1 << 30
#: A pattern that is not zero is written so many bytes at a time, so many times at once.
PATTERN_BYTES = 1 << 20
PATTERN_COUNT = 16
#: Zeroes are written, or blocks discarded, so many bytes at a time.
ZERO_BYTES = 64 << 20
#: UNMAP: bytes of all descriptors together, and how many of them.
UNMAP_BYTES_MAX = 512 << 20
UNMAP_DESCRIPTOR_COUNT_MAX = 256
#: COMPARE AND WRITE: blocks. Its field in the page has one byte.
COMPARE_BLOCK_COUNT_MAX = 128
#: GET LBA STATUS looks no further than this from where it was asked, in bytes.
STATUS_BYTES_MAX = 1 << 30

#: Longest data-out of any command.
DATA_OUT_BYTES_MAX = TRANSFER_BYTES_MAX

assert PATTERN_BYTES % 4096 == 0, "a pattern holds whole blocks"
assert COMPARE_BLOCK_COUNT_MAX <= 255, "one byte in the Block Limits page"
assert 2 * COMPARE_BLOCK_COUNT_MAX * 4096 <= DATA_OUT_BYTES_MAX
assert 8 + 16 * UNMAP_DESCRIPTOR_COUNT_MAX <= DATA_OUT_BYTES_MAX
