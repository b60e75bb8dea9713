"""Engine `memory`: a volume that lives as long as its target process. The least an engine is."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from tierce import Extent, OpenContext, SimpleDevice

_PAGE = mmap.PAGESIZE
_MAPPED = b"\1"


class MemoryDevice(SimpleDevice):
    """Bytes in anonymous memory, which costs nothing until it is written.

    A second map has one byte for each page, 1 where something was written: which pages are there
    can be asked of the kernel too, but it counts those that were only read.
    """

    def __init__(self, context: OpenContext) -> None:
        size_bytes = context.volume.size_bytes
        self._pages = _anonymous(size_bytes)
        self._bytes = memoryview(self._pages)
        self._map = _anonymous(-(-size_bytes // _PAGE))
        self._marks = memoryview(self._map)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        buffer[:] = self._bytes[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`."""
        end = offset + len(data)
        self._bytes[offset:end] = data
        first, last = offset // _PAGE, (end - 1) // _PAGE
        if first == last:
            # Most writes; 0.1 us less than a slice.
            self._marks[first] = 1
        else:
            self._marks[first : last + 1] = _MAPPED * (last + 1 - first)

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes: whole pages go back to the kernel."""
        first, end = _zero(self._pages, self._bytes, offset, offset + length)
        if offset + length == len(self._bytes):
            # The last page may be cut by the volume's end.
            end = len(self._map)
        if end > first:
            _zero(self._map, self._marks, first, end)

    write_zeroes = discard

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """Yield which parts hold data, by pages."""
        end = offset + length
        pages_end = -(-end // _PAGE)
        while offset < end:
            first = offset // _PAGE
            is_hole = self._map[first] == 0
            stop = self._map.find(_MAPPED if is_hole else b"\0", first, pages_end)
            found = end if stop < 0 else min(stop * _PAGE, end)
            yield Extent(offset, found - offset, is_hole)
            offset = found


def _anonymous(size_bytes: int) -> mmap.mmap:
    return mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _zero(memory: mmap.mmap, view: memoryview, begin: int, end: int) -> tuple[int, int]:
    """Zero some bytes, giving whole pages back; return the pages that are zero whole, as first and
    one past the last."""
    first_page = min(-(-begin // _PAGE) * _PAGE, end)
    end_page = max(end // _PAGE * _PAGE, first_page)
    if end_page > first_page:
        memory.madvise(mmap.MADV_DONTNEED, first_page, end_page - first_page)
    view[begin:first_page] = bytes(first_page - begin)
    view[end_page:end] = bytes(end - end_page)
    return -(-begin // _PAGE), end // _PAGE
