"""Engine `memory`: a volume that lives as long as its target process. The least an engine is."""

from __future__ import annotations

import mmap

from tierce import OpenContext


class MemoryDevice:
    """Bytes in anonymous memory, which costs nothing until it is written."""

    def __init__(self, context: OpenContext) -> None:
        self._bytes = memoryview(mmap.mmap(-1, context.volume.size_bytes))

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        buffer[:] = self._bytes[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`."""
        self._bytes[offset : offset + len(data)] = data

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes."""
        self._bytes[offset : offset + length] = bytes(length)
