"""What a store need not write itself."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from tierce import Extent, Store, StoreContext, StoreOpenContext

SIZE = 1 << 20


class Plain(Store):
    """Bytes in memory, and no more than a store must have."""

    def __init__(self) -> None:
        self.data = bytearray(b"x" * SIZE)

    @classmethod
    def create(cls, context: StoreContext) -> None:
        """There is nothing to be made."""

    @classmethod
    def destroy(cls, context: StoreContext) -> None:
        """There is nothing to be removed."""

    @classmethod
    def open(cls, context: StoreOpenContext) -> Plain:
        return cls()

    def write(self, offset: int, data: memoryview) -> None:
        self.data[offset : offset + len(data)] = data

    def read(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.data[offset : offset + len(buffer)]

    def flush(self) -> None:
        """Nothing lasts."""

    def reopen(self) -> None:
        """Nothing fails."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def store() -> Plain:
    return Plain()


@pytest.mark.parametrize(("offset", "length"), [(0, 512), (512, SIZE - 1024), (4096, 300 << 10)])
def test_a_discard_without_a_method_writes_zeroes_there_and_nowhere_else(
    store: Plain, offset: int, length: int
) -> None:
    store.discard(offset, length)
    rest = SIZE - offset - length
    assert store.data == b"x" * offset + bytes(length) + b"x" * rest


def test_a_digest_without_a_method_is_that_of_the_bytes_however_many(store: Plain) -> None:
    store.write(0, memoryview(bytes(range(256)) * 4096))
    for offset, length in [(0, SIZE), (512, 512), (512, 300 << 10)]:
        part = store.data[offset : offset + length]
        assert store.digest(offset, length) == blake2b(part, digest_size=16).digest()


def test_a_store_that_can_not_tell_tells_what_is_never_wrong(store: Plain) -> None:
    assert store.find_extents(512, 4096) == [Extent(512, 4096, is_hole=False)]
    assert not store.read_cached(0, memoryview(bytearray(512)))
    assert store.local_path() is None
    store.check()


def test_checksums_that_come_with_bytes_are_let_go_without_a_method(store: Plain) -> None:
    store.write_checked(512, memoryview(b"y" * 512), memoryview(bytes(4)))
    assert store.data[:1024] == b"x" * 512 + b"y" * 512
