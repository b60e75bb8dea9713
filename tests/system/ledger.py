"""What a volume may hold: every write stamped, every acknowledgement written down.

Each 512-byte sector carries (volume, block, generation). After a crash a block may hold the
newest generation that was acknowledged or that has been read, or one submitted later. Nothing
older, nothing of another block, and no bytes that nobody wrote.
"""

from __future__ import annotations

import struct

import attrs

BLOCK = 4096
SECTOR = 512
_STAMP = struct.Struct("<QQQQ")


def stamp(volume: int, block: int, generation: int) -> bytes:
    """Return the bytes of one block; generation 0 is what was never written."""
    if generation == 0:
        return bytes(BLOCK)
    check = volume ^ (block << 20) ^ (generation << 40 & (1 << 64) - 1) ^ 0x5A5A5A5A5A5A5A5A
    return _STAMP.pack(volume, block, generation, check) * (BLOCK // _STAMP.size)


@attrs.define
class Block:
    """One block's history.

    Attributes:
        settled: The oldest generation that the block may still hold.
        submitted: The newest that was sent.
        is_in_flight: Its newest write has not been answered and its session lives.
    """

    settled: int = 0
    submitted: int = 0
    is_in_flight: bool = False


@attrs.define
class Ledger:
    """The blocks of one volume.

    Attributes:
        volume: A number in every stamp.
        blocks: By index.
    """

    volume: int
    blocks: list[Block]

    @classmethod
    def of(cls, volume: int, block_count: int) -> Ledger:
        return cls(volume, [Block() for _ in range(block_count)])

    def is_free(self, first: int, count: int) -> bool:
        """Whether none of these blocks has a write in flight: one at a time has an order."""
        return not any(block.is_in_flight for block in self.blocks[first : first + count])

    def submit(self, first: int, count: int) -> tuple[bytes, list[int]]:
        """Return what to write, and its generations."""
        pieces, generations = [], []
        for index in range(first, first + count):
            block = self.blocks[index]
            assert not block.is_in_flight
            block.submitted += 1
            block.is_in_flight = True
            pieces.append(stamp(self.volume, index, block.submitted))
            generations.append(block.submitted)
        return b"".join(pieces), generations

    def answered(self, first: int, generations: list[int], *, is_good: bool) -> None:
        """Note the answer to a write; one that was not GOOD promises nothing."""
        for index, generation in enumerate(generations, first):
            block = self.blocks[index]
            block.is_in_flight = False
            if is_good:
                block.settled = max(block.settled, generation)

    def check(self, first: int, data: bytes) -> list[str]:
        """Compare what was read; return every difference, and hold the volume to what it showed."""
        wrong: list[str] = []
        for index in range(first, first + len(data) // BLOCK):
            piece = data[(index - first) * BLOCK :][:BLOCK]
            held = [self._generation(index, piece, at) for at in range(0, BLOCK, SECTOR)]
            block = self.blocks[index]
            if any(not block.settled <= one <= block.submitted for one in held):
                wrong.append(
                    f"block {index} holds {held}, {block.settled} is settled and "
                    f"{block.submitted} was submitted last"
                )
            else:
                block.settled = min(held)
        return wrong

    def _generation(self, index: int, piece: bytes, at: int) -> int:
        """Return the generation of one sector; -1 is garbage or another block's."""
        sector = piece[at : at + SECTOR]
        generation = int(_STAMP.unpack_from(sector)[2])
        whole = stamp(self.volume, index, generation)
        return generation if sector == whole[at : at + SECTOR] else -1
