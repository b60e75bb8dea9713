"""The sparse-file store on a real file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierce import EXTENT_COUNT_MAX, Extent, FormatError
from tierce_jiva.files import OsFiles
from tierce_jiva.store import SparseFileStore

SIZE = 4 << 20


class OddFiles(OsFiles):
    """A file system that does less than it should."""

    writes_at_most = SIZE
    has_holes = True
    sync_error: OSError | None = None

    def __init__(self) -> None:
        #: Offset and length of every write.
        self.written: list[tuple[int, int]] = []

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:  # type: ignore[override]
        self.written.append((offset, len(data)))
        return os.pwrite(descriptor, data[: self.writes_at_most], offset)

    def punch_hole(self, descriptor: int, offset: int, length: int) -> None:
        if not self.has_holes:
            raise OSError(errno.EOPNOTSUPP, "no holes here")
        OsFiles.punch_hole(descriptor, offset, length)

    def fdatasync(self, descriptor: int) -> None:  # type: ignore[override]
        if self.sync_error is not None:
            raise self.sync_error
        OsFiles.fdatasync(descriptor)


@pytest.fixture
def files() -> OddFiles:
    return OddFiles()


@pytest.fixture
def store(tmp_path: Path, files: OddFiles) -> Iterator[SparseFileStore]:
    path = tmp_path / "head"
    path.touch()
    os.truncate(path, SIZE)
    opened = SparseFileStore(path, SIZE, files)
    yield opened
    opened.close()


def read(store: SparseFileStore, offset: int, length: int) -> bytes:
    buffer = memoryview(bytearray(length))
    store.read(offset, buffer)
    return bytes(buffer)


def test_what_is_written_is_read_again_cached_or_not(store: SparseFileStore) -> None:
    store.write(8192, memoryview(b"a" * 4096))
    assert read(store, 8192, 4096) == b"a" * 4096
    buffer = memoryview(bytearray(4096))
    assert store.read_cached(8192, buffer)
    assert bytes(buffer) == b"a" * 4096


def test_a_short_write_goes_on_where_it_stopped(store: SparseFileStore, files: OddFiles) -> None:
    files.writes_at_most = 1000
    store._pwrite = files.pwrite
    data = bytes(range(256)) * 16
    store.write(512, memoryview(data))
    assert read(store, 512, 4096) == data


def test_a_write_that_takes_nothing_is_an_error(store: SparseFileStore, files: OddFiles) -> None:
    files.writes_at_most = 0
    store._pwrite = files.pwrite
    with pytest.raises(OSError, match="no bytes"):
        store.write(0, memoryview(b"x" * 512))


@pytest.mark.parametrize("has_holes", [True, False])
def test_what_is_discarded_reads_as_zeroes(
    store: SparseFileStore, files: OddFiles, has_holes: bool
) -> None:
    files.has_holes = has_holes
    store.write(0, memoryview(b"x" * (3 << 20)))
    store.discard(4096, (2 << 20) + 4096)
    assert read(store, 0, 4096) == b"x" * 4096
    assert not any(read(store, 4096, (2 << 20) + 4096))
    assert read(store, (2 << 20) + 8192, 4096) == b"x" * 4096


def test_where_no_holes_can_be_made_a_discard_takes_no_space_for_what_was_never_written(
    store: SparseFileStore, files: OddFiles
) -> None:
    files.has_holes = False
    store.write(1 << 20, memoryview(b"x" * 4096))
    before = store.path.stat().st_blocks
    store.discard(0, SIZE)
    assert not any(read(store, 0, SIZE))
    assert store.path.stat().st_blocks == before


def test_zeroes_that_a_failed_flush_may_have_lost_are_written_again_where_no_hole_can_be_made(
    store: SparseFileStore, files: OddFiles
) -> None:
    files.has_holes = False
    store.write(0, memoryview(b"x" * 8192))
    store.discard(0, 8192)
    files.sync_error = OSError(errno.EIO, "lost")
    with pytest.raises(OSError, match="lost"):
        store.flush()
    files.sync_error = None
    store.reopen()
    # They read as zeroes: from the cache, not from the disk.
    files.written.clear()
    store.discard(0, 1 << 20)
    assert files.written == [(0, 4096), (4096, 4096)]


def test_equal_bytes_digest_alike_and_others_do_not(store: SparseFileStore) -> None:
    zeroes = store.digest(0, 1 << 20)
    assert store.digest(1 << 20, 1 << 20) == zeroes
    store.write((1 << 20) + 4096, memoryview(b"x"))
    assert store.digest(1 << 20, 1 << 20) != zeroes
    assert len(zeroes) == 16


def test_a_failed_flush_fails_until_the_file_is_opened_anew(
    store: SparseFileStore, files: OddFiles
) -> None:
    files.sync_error = OSError(errno.EIO, "lost")
    with pytest.raises(OSError, match="lost"):
        store.flush()
    files.sync_error = None
    with pytest.raises(OSError, match="lost"):
        store.flush()
    store.reopen()
    store.flush()


def test_a_file_of_another_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 512)
    with pytest.raises(FormatError, match="512 bytes"):
        SparseFileStore(path, SIZE)


def test_reading_past_a_file_that_was_cut_is_an_error_not_zeroes(store: SparseFileStore) -> None:
    os.truncate(store.path, 4096)
    with pytest.raises(OSError, match="ends before"):
        read(store, 0, 8192)
    assert not store.read_cached(0, memoryview(bytearray(8192)))


def test_where_it_can_not_be_told_what_is_cached_nothing_is(
    store: SparseFileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def preadv(*_arguments: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(store._files, "preadv", preadv)
    assert not store.read_cached(0, memoryview(bytearray(512)))


# -- holes -----------------------------------------------------------------------------------------


def parts(found: list[Extent]) -> list[tuple[int, int, bool]]:
    return [(extent.offset, extent.length, extent.is_hole) for extent in found]


def test_what_was_never_written_and_what_was_discarded_is_a_hole(store: SparseFileStore) -> None:
    assert parts(store.find_extents(0, SIZE)) == [(0, SIZE, True)]
    store.write(8192, memoryview(b"x" * 8192))
    assert parts(store.find_extents(0, SIZE)) == [
        (0, 8192, True),
        (8192, 8192, False),
        (16384, SIZE - 16384, True),
    ]
    assert parts(store.find_extents(12288, 512)) == [(12288, 512, False)]
    store.discard(8192, 8192)
    assert all(extent.is_hole for extent in store.find_extents(0, SIZE))


def test_a_full_file_is_all_data(store: SparseFileStore) -> None:
    store.write(0, memoryview(b"x" * SIZE))
    assert parts(store.find_extents(512, SIZE - 512)) == [(512, SIZE - 512, False)]


def test_of_a_fragmented_file_no_more_is_found_than_may_be_told(tmp_path: Path) -> None:
    path, size = tmp_path / "head", EXTENT_COUNT_MAX * 8192
    path.touch()
    os.truncate(path, size)
    store = SparseFileStore(path, size)
    for at in range(4096, size, 8192):
        store.write(at, memoryview(b"x" * 4096))
    found = store.find_extents(0, size)
    assert parts(found) == [
        (at, 4096, not at % 8192) for at in range(0, EXTENT_COUNT_MAX * 4096, 4096)
    ]
    store.close()


def test_a_file_that_was_cut_short_has_no_holes(store: SparseFileStore) -> None:
    os.truncate(store.path, 8192)
    with pytest.raises(OSError, match="8192 bytes long"):
        store.find_extents(0, SIZE)
    with pytest.raises(OSError, match="8192 bytes long"):
        store.find_extents(8192, 4096)


def test_what_is_punched_while_it_is_looked_at_is_data_for_once(
    store: SparseFileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(0, memoryview(b"x" * 8192))
    seek = os.lseek

    def punch(descriptor: int, offset: int, whence: int) -> int:
        if whence == os.SEEK_HOLE:
            store.discard(0, 8192)
        return seek(descriptor, offset, whence)

    monkeypatch.setattr(os, "lseek", punch)
    found = store.find_extents(0, SIZE)
    assert parts(found) == [(0, 4096, False), (4096, SIZE - 4096, True)]


def test_a_disk_that_can_not_tell_is_an_error(
    store: SparseFileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int, _offset: int, _whence: int) -> int:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "lseek", fail)
    with pytest.raises(OSError, match="bad sector"):
        store.find_extents(0, SIZE)
