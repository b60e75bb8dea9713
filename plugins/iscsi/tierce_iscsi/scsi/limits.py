"""What the logical unit takes at once, as the Block Limits page says (SBC-3 section 6.5.3)."""

from __future__ import annotations

#: READ, WRITE, VERIFY: MAXIMUM TRANSFER LENGTH, in bytes. A session's memory holds several
#: (tierce_iscsi.buffers), so that none waits for ever.
TRANSFER_BYTES_MAX = 8 << 20
#: OPTIMAL TRANSFER LENGTH, in bytes: what travels in one PDU and is sent from where it was read.
#: Linux reads ahead twice as much, and mkfs makes stripes of it. Measured with benchmarks/load on
#: 2 cores, sequential, depth 1, three replicas on one machine, MB/s read and written: 64 KiB 1065
#: and 132, 128 KiB 1342 and 201, 256 KiB 2630 and 278, 512 KiB 1980 and 362, 1 MiB 1910 and 447,
#: 8 MiB 1803 and 344; at depth 4 256 KiB was first in reads (2829) and level in writes.
OPTIMAL_BYTES = 256 << 10
#: What page cache and file systems below keep together, in bytes. Less than that is read before it
#: is written, and gives no space back when it is unmapped. It is named as the granularity of
#: transfers and of UNMAP; as a physical block only where the volume's options say so, because
#: libiscsi's test GetLBAStatus.UnmapSingle expects wrong LBAs of such a unit.
PHYSICAL_BYTES = 4096
#: WRITE SAME: MAXIMUM WRITE SAME LENGTH, in blocks; also where 0 blocks mean "to the end". As many
#: as the 10-byte command can name, in whole physical blocks.
WRITE_SAME_BLOCK_COUNT_MAX = 0xFFF8
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
#: ORWRITE is done so many bytes at a time: Python computes them on the data thread.
OR_BYTES = 128 << 10
#: GET LBA STATUS looks no further than this from where it was asked, in bytes.
STATUS_BYTES_MAX = 1 << 30
#: EXTENDED COPY: target and segment descriptors, bytes of one segment, and how much is read, then
#: written, at a time.
COPY_TARGET_COUNT_MAX = 4
COPY_SEGMENT_COUNT_MAX = 16
COPY_SEGMENT_BYTES_MAX = 64 << 20
COPY_BYTES = 4 << 20

#: Longest data-out of any command.
DATA_OUT_BYTES_MAX = TRANSFER_BYTES_MAX

assert PATTERN_BYTES % 4096 == 0, "a pattern holds whole blocks"
assert OR_BYTES % 4096 == COPY_BYTES % 4096 == 0, "what is done at a time is whole blocks"
assert COPY_BYTES <= TRANSFER_BYTES_MAX, "a copy takes no more memory than a read"
assert 64 << 10 <= OPTIMAL_BYTES <= 1 << 20
assert OPTIMAL_BYTES % PHYSICAL_BYTES == 0
assert OPTIMAL_BYTES <= TRANSFER_BYTES_MAX
assert WRITE_SAME_BLOCK_COUNT_MAX * 512 % PHYSICAL_BYTES == 0
assert COMPARE_BLOCK_COUNT_MAX <= 255, "one byte in the Block Limits page"
assert 2 * COMPARE_BLOCK_COUNT_MAX * 4096 <= DATA_OUT_BYTES_MAX
assert 8 + 16 * UNMAP_DESCRIPTOR_COUNT_MAX <= DATA_OUT_BYTES_MAX
