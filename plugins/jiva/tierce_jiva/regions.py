"""How a volume is divided: regions, which are marked before they are written, and extents, which
are compared and copied at once.

A region is what a write-intent mark covers: at least 4 MiB, a power of two, and at most 4096 of
them. An extent is 1 MiB: long enough to hash at memory speed, short enough that a write to it
waits a few milliseconds. Both are numbered from 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

REGION_COUNT_MAX = 4096
_REGION_SHIFT_MIN = 22
EXTENT_SHIFT = 20
EXTENT_BYTES = 1 << EXTENT_SHIFT
assert _REGION_SHIFT_MIN >= EXTENT_SHIFT, "a region is a whole number of extents"


class Regions:
    """The regions and extents of a volume.

    Args:
        size_bytes: The volume's size in bytes.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        #: `offset >> shift` is the region of a byte.
        self.shift = max(_REGION_SHIFT_MIN, (-(-size_bytes // REGION_COUNT_MAX) - 1).bit_length())
        self.count = -(-size_bytes // (1 << self.shift))
        self.extent_count = -(-size_bytes // EXTENT_BYTES)
        self._extent_shift = self.shift - EXTENT_SHIFT

    @property
    def region_bytes(self) -> int:
        """The length of every region but the last, in bytes."""
        return 1 << self.shift

    def every(self) -> frozenset[int]:
        """Return all regions."""
        return frozenset(range(self.count))

    def covering(self, offset: int, length: int) -> range:
        """Return the regions that hold any of these bytes."""
        return range(offset >> self.shift, (offset + length - 1 >> self.shift) + 1)

    def region_of(self, extent: int) -> int:
        """Return the region that an extent lies in."""
        return extent >> self._extent_shift

    def extents_of(self, region: int) -> range:
        """Return the extents that a region is made of."""
        first = region << self._extent_shift
        return range(first, min(first + (1 << self._extent_shift), self.extent_count))

    def bounds(self, extent: int) -> tuple[int, int]:
        """Return an extent's (offset, length) in bytes."""
        offset = extent << EXTENT_SHIFT
        return offset, min(EXTENT_BYTES, self.size_bytes - offset)

    def to_hex(self, regions: Iterable[int]) -> str:
        """Return a set of regions as a bitmap in hex: region 0 is bit 0 of the first byte, and
        zeroes at the end are left out."""
        bits = bytearray(-(-self.count // 8))
        for region in regions:
            bits[region >> 3] |= 1 << (region & 7)
        return bits.rstrip(b"\0").hex()

    def from_hex(self, text: str) -> frozenset[int]:
        """Read what `to_hex` wrote.

        Raises:
            ValueError: It is no bitmap of this volume's regions.
        """
        bits = bytes.fromhex(text)
        if len(bits) > -(-self.count // 8):
            raise ValueError(f"{len(bits)} bytes of marks, at most {-(-self.count // 8)} fit")
        found = frozenset(
            number * 8 + bit
            for number, byte in enumerate(bits)
            if byte
            for bit in range(8)
            if byte >> bit & 1
        )
        if found and max(found) >= self.count:
            raise ValueError(f"region {max(found)} is marked, there are {self.count}")
        return found


class Extents:
    """A set of extents. Whole regions take one entry however large they are.

    Args:
        regions: The volume's division.
        whole: Regions that are in it from the beginning.
    """

    def __init__(self, regions: Regions, whole: Iterable[int] = ()) -> None:
        self._regions = regions
        #: Region -> its extents that are in the set; None for all of them.
        self.parts: dict[int, set[int] | None] = dict.fromkeys(sorted(whole))

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __len__(self) -> int:
        return sum(
            len(self._regions.extents_of(region)) if part is None else len(part)
            for region, part in self.parts.items()
        )

    def __contains__(self, extent: int) -> bool:
        part = self.parts.get(self._regions.region_of(extent), ())
        return part is None or extent in part

    def __iter__(self) -> Iterator[int]:
        for region, part in self.parts.items():
            yield from self._regions.extents_of(region) if part is None else sorted(part)

    def first(self, count: int) -> list[int]:
        """Return some of them, at most `count`."""
        return list(itertools.islice(self, count))

    def regions(self) -> frozenset[int]:
        """Return the regions that the extents lie in."""
        return frozenset(self.parts)

    def add(self, extent: int) -> None:
        """Add one."""
        part = self.parts.setdefault(self._regions.region_of(extent), set())
        if part is not None:
            part.add(extent)

    def add_bytes(self, offset: int, length: int) -> None:
        """Add all that hold any of these bytes."""
        for extent in range(offset >> EXTENT_SHIFT, (offset + length - 1 >> EXTENT_SHIFT) + 1):
            self.add(extent)

    def add_regions(self, regions: Iterable[int]) -> None:
        """Add all extents of these regions."""
        self.parts.update(dict.fromkeys(regions))

    def update(self, other: Extents) -> None:
        """Add all of another set."""
        for region, part in other.parts.items():
            if part is None:
                self.parts[region] = None
            else:
                for extent in part:
                    self.add(extent)

    def discard(self, extent: int) -> None:
        """Take one out, if it is there."""
        region = self._regions.region_of(extent)
        part = self.parts.get(region, ())
        if part is None:
            part = self.parts[region] = set(self._regions.extents_of(region))
        if extent in part:
            assert isinstance(part, set)
            part.discard(extent)
            if not part:
                del self.parts[region]

    def overlaps(self, offset: int, length: int) -> bool:
        """True if any of these bytes lie in one of the extents."""
        if not self.parts:
            return False
        first, last = offset >> EXTENT_SHIFT, offset + length - 1 >> EXTENT_SHIFT
        return any(extent in self for extent in range(first, last + 1))

    def spans(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield (first byte, end) of what is in the set in the regions that hold these bytes."""
        shift = self._regions.shift
        for region in self._regions.covering(offset, length) if self.parts else ():
            part = self.parts.get(region, ())
            if part is None:
                yield region << shift, (region + 1) << shift
            else:
                for extent in part:
                    yield extent << EXTENT_SHIFT, (extent + 1) << EXTENT_SHIFT

    def copy(self) -> Extents:
        """Return a set with the same extents."""
        fresh = Extents(self._regions)
        fresh.update(self)
        return fresh

    def clear(self) -> None:
        """Take all out."""
        self.parts.clear()
