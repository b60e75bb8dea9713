"""The memory engine."""

from __future__ import annotations

import mmap
import tracemalloc
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tierce import OpenContext, SimpleDevice
from tierce_engines.memory import MemoryDevice

PAGE_BYTES = mmap.PAGESIZE
SIZE = 4 * PAGE_BYTES


def device(size_bytes: int = SIZE) -> MemoryDevice:
    context: Any = SimpleNamespace(volume=SimpleNamespace(size_bytes=size_bytes))
    return MemoryDevice(cast("OpenContext", context))


def test_it_is_a_simple_device_that_reads_zeroes_at_first() -> None:
    memory = device()
    assert isinstance(memory, SimpleDevice)
    found = bytearray(b"x" * SIZE)
    memory.read(0, memoryview(found))
    assert found == bytes(SIZE)


@given(
    extent=st.tuples(st.integers(0, SIZE // 512), st.integers(0, SIZE // 512)).map(sorted),
    name=st.sampled_from(["discard", "write_zeroes"]),
)
def test_exactly_what_was_discarded_reads_as_zeroes(extent: list[int], name: str) -> None:
    memory, (first, last) = device(), (extent[0] * 512, extent[1] * 512)
    memory.write(0, memoryview(b"x" * SIZE))
    getattr(memory, name)(first, last - first)
    found = bytearray(SIZE)
    memory.read(0, memoryview(found))
    assert found == b"x" * first + bytes(last - first) + b"x" * (SIZE - last)


def test_discarding_a_large_volume_whole_takes_no_memory() -> None:
    size_bytes = 1 << 30
    memory = device(size_bytes)
    memory.write(0, memoryview(b"x" * 512))
    tracemalloc.start()
    memory.discard(0, size_bytes)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found = bytearray(512)
    memory.read(0, memoryview(found))
    assert found == bytes(512)
    assert peak_bytes < 1 << 20
