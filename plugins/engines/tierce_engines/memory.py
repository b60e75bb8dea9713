"""Engine `memory`: a volume that lives as long as its target process. The least an engine is."""

from __future__ import annotations

import mmap

from tierce import OpenContext


class MemoryDevice:
    """Bytes in anonymous memory, which costs nothing until it is written."""

    def __init__(self, context: OpenContext) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._pages = mmap.mmap(-1, context.volume.size_bytes, flags=flags)
        self._bytes = memoryview(self._pages)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        buffer[:] = self._bytes[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`."""
        self._bytes[offset : offset + len(data)] = data

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes: whole pages go back to the kernel."""
        end = offset + length
        first_page = min(-(-offset // mmap.PAGESIZE) * mmap.PAGESIZE, end)
        end_page = max(end // mmap.PAGESIZE * mmap.PAGESIZE, first_page)
        if end_page > first_page:
            self._pages.madvise(mmap.MADV_DONTNEED, first_page, end_page - first_page)
        self._bytes[offset:first_page] = bytes(first_page - offset)
        self._bytes[end_page:end] = bytes(end - end_page)

    write_zeroes = discard
