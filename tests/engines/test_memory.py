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


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["write", "discard", "write_zeroes"]),
        st.integers(0, 5 * PAGE_BYTES // 512 - 1),
        st.integers(0, 5 * PAGE_BYTES // 512),
    ),
    max_size=8,
)


@given(CHANGES, st.integers(0, 30), st.integers(1, 40))
def test_what_is_called_a_hole_reads_as_zeroes_and_what_was_never_written_is_one(
    changes: list[tuple[str, int, int]], first: int, count: int
) -> None:
    # The last page is cut by the volume's end.
    size = 5 * PAGE_BYTES - 512
    memory, written = device(size), [False] * 5
    for name, at, length in changes:
        begin, end = at * 512, min(size, (at + length) * 512)
        if begin >= end:
            continue
        if name == "write":
            memory.write(begin, memoryview(b"x" * (end - begin)))
            for page in range(begin // PAGE_BYTES, -(-end // PAGE_BYTES)):
                written[page] = True
        else:
            getattr(memory, name)(begin, end - begin)
            stop = 5 if end == size else end // PAGE_BYTES
            for page in range(-(-begin // PAGE_BYTES), stop):
                written[page] = False
    offset, length = first * 512, min(count * 512, size - first * 512)
    at = offset
    for extent in memory.extents(offset, length):
        assert (extent.offset, extent.length > 0) == (at, True)
        at += extent.length
        pages = written[extent.offset // PAGE_BYTES : -(-at // PAGE_BYTES)]
        assert pages == [not extent.is_hole] * len(pages)
        if extent.is_hole:
            found = bytearray(extent.length)
            memory.read(extent.offset, memoryview(found))
            assert found == bytes(extent.length)
    assert at == offset + length


def test_reading_what_was_never_written_leaves_it_a_hole() -> None:
    memory = device()
    memory.read(0, memoryview(bytearray(SIZE)))
    assert [extent.is_hole for extent in memory.extents(0, SIZE)] == [True]
