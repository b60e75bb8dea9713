"""The file engine: its file, and what it says when the medium fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import attrs
import pytest

from core.volume.model import SIZE, Run, open_context, volume_spec
from tierce import (
    EXTENT_COUNT_MAX,
    Code,
    ConflictError,
    Event,
    FormatError,
    LocalVolume,
    Op,
    Request,
)
from tierce.process.epoll import EpollReactor
from tierce.volume.statistics import StatisticsPage
from tierce_engines.extents import find_extents
from tierce_engines.file import FileDevice
from tierce_engines.file_lifecycle import FileLifecycle
from tierce_engines.options import FileOptions


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    path = tmp_path / "bytes" / "x.img"
    return volume_spec(tmp_path, "file", FileOptions(path=str(path)))


@pytest.fixture
def run(volume: LocalVolume, tmp_path: Path) -> Iterator[Run]:
    FileLifecycle().create(volume)
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    yield Run(FileDevice(open_context(volume, reactor, page)), reactor)
    page.close()
    reactor.close()


def path_of(volume: LocalVolume) -> Path:
    return Path(volume.engine_options.path)


def write(offset: int, data: bytes) -> Request:
    return Request(Op.WRITE, offset, len(data), memoryview(data))


def test_a_missing_or_short_file_is_one_clear_error(volume: LocalVolume, tmp_path: Path) -> None:
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    FileLifecycle().create(volume)
    path_of(volume).write_bytes(b"short")
    with pytest.raises(FormatError, match="has 5 bytes"):
        FileDevice(open_context(volume, reactor, page))
    path_of(volume).unlink()
    with pytest.raises(FormatError, match=r"x\.img: can't be opened: No such file"):
        FileDevice(open_context(volume, reactor, page))
    path_of(volume).mkdir()
    with pytest.raises(FormatError, match="is neither a file nor a block device"):
        FileDevice(open_context(volume, reactor, page))
    page.close()
    reactor.close()


def test_what_nobody_knows_the_making_of_is_not_opened(volume: LocalVolume, tmp_path: Path) -> None:
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    FileLifecycle().create(volume)
    (volume.folder / "file.json").unlink()
    with pytest.raises(FormatError, match=r"file\.json: can't be read"):
        FileDevice(open_context(volume, reactor, page))
    page.close()
    reactor.close()


def test_another_path_under_a_volume_is_not_served(volume: LocalVolume, tmp_path: Path) -> None:
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    FileLifecycle().create(volume)
    other = tmp_path / "other.img"
    other.write_bytes(b"o" * SIZE)
    edited = attrs.evolve(volume, engine_options=FileOptions(path=str(other)))
    with pytest.raises(ConflictError, match=r"was made on .*x\.img, and nothing says that .*other"):
        FileDevice(open_context(edited, reactor, page))
    # The very file, moved there, is known by what it carries.
    os.replace(path_of(volume), other)
    for spec in (edited, edited):
        Run(FileDevice(open_context(spec, reactor, page)), reactor).close()
    assert not path_of(volume).exists()
    with pytest.raises(FormatError, match="No such file"):
        FileDevice(open_context(volume, reactor, page))
    page.close()
    reactor.close()


def test_a_copy_put_back_in_the_files_place_is_served_and_told(
    volume: LocalVolume, tmp_path: Path
) -> None:
    FileLifecycle().create(volume)
    path_of(volume).unlink()
    path_of(volume).write_bytes(b"r" * SIZE)
    events: list[Event] = []
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    context = attrs.evolve(open_context(volume, reactor, page), emit=events.append)
    for _ in range(2):
        Run(FileDevice(context), reactor).close()
    assert [event.code for event in events] == ["file.replaced"]
    page.close()
    reactor.close()


def test_a_file_that_is_cut_short_while_it_is_served_is_not_read_or_written_any_more(
    volume: LocalVolume, run: Run
) -> None:
    run.submit(write(0, b"a" * SIZE))
    os.truncate(path_of(volume), 8192)
    assert code_of(run, Request(Op.READ, 8192, 4096, memoryview(bytearray(4096)))) is (
        Code.READ_ERROR
    )
    # A write further back would make it long enough again, with zeroes where bytes were.
    for request in (write(SIZE - 4096, b"b" * 4096), Request(Op.FLUSH)):
        assert code_of(run, request) is Code.READ_ERROR
    assert path_of(volume).stat().st_size == 8192
    read = Request(Op.READ, 0, 4096, memoryview(bytearray(4096)))
    assert code_of(run, read) is Code.READ_ERROR
    assert read.status is not None
    assert "x.img ends at 8192: it was cut short while it was served" in read.status.reason
    run.close()


def code_of(run: Run, request: Request) -> Code:
    status = run.submit(request)[0].status
    assert status is not None
    return status.code


def test_bytes_survive_closing_and_opening(volume: LocalVolume, run: Run, tmp_path: Path) -> None:
    run.submit(write(4096, b"kept" * 128))
    run.close()
    page = StatisticsPage.create(tmp_path / "page2")
    again = Run(FileDevice(open_context(volume, run.reactor, page)), run.reactor)
    read = Request(Op.READ, 4096, 512, memoryview(bytearray(512)))
    again.submit(read)
    assert read.buffer is not None
    assert bytes(read.buffer) == b"kept" * 128
    again.close()
    page.close()


def test_holes_are_told_from_data(run: Run) -> None:
    run.submit(write(8192, b"d" * 4096))
    status = run.submit(Request(Op.BLOCK_STATUS, 0, SIZE))[0]
    data = [(e.offset, e.length) for e in status.extents if not e.is_hole]
    assert data == [(8192, 4096)]
    run.submit(Request(Op.DISCARD, 8192, 4096))
    status = run.submit(Request(Op.BLOCK_STATUS, 0, SIZE))[0]
    assert all(extent.is_hole for extent in status.extents)
    run.close()


def test_a_fragmented_file_is_told_of_in_parts(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        for number in range(EXTENT_COUNT_MAX):
            file.seek(number * 8192)
            file.write(b"d" * 4096)
        file.truncate(EXTENT_COUNT_MAX * 8192)
        found = find_extents(file.fileno(), 0, EXTENT_COUNT_MAX * 8192)
        first = list(islice(found, EXTENT_COUNT_MAX))
    assert sum(extent.length for extent in first) == EXTENT_COUNT_MAX * 4096
    assert [extent.is_hole for extent in first[:4]] == [False, True, False, True]


def test_what_is_not_in_the_page_cache_is_read_all_the_same(volume: LocalVolume, run: Run) -> None:
    run.submit(write(0, b"c" * SIZE), Request(Op.FLUSH))
    run.submit(Request(Op.FLUSH))
    descriptor = os.open(path_of(volume), os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    reads = [Request(Op.READ, i * 4096, 4096, memoryview(bytearray(4096))) for i in range(8)]
    run.submit(*reads)
    for read in reads:
        assert read.status is not None
        assert read.status.is_good
        assert read.buffer is not None
        assert bytes(read.buffer) == b"c" * 4096
    run.close()


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, Code.NO_SPACE), (errno.EIO, Code.WRITE_ERROR)]
)
def test_a_failed_write_says_what_where_and_why(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: int, code: Code
) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        failed = run.submit(write(512, b"x" * 512))[0]
    assert failed.status is not None
    assert failed.status.code is code
    assert "512 bytes at 512" in failed.status.reason
    run.close()


def test_the_device_takes_the_geometry_of_its_volume(volume: LocalVolume, tmp_path: Path) -> None:
    large = attrs.evolve(volume, block_size=4096)
    FileLifecycle().create(large)
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    device = FileDevice(open_context(large, reactor, page))
    assert (device.geometry.size_bytes, device.geometry.block_size) == (SIZE, 4096)
    Run(device, reactor).close()
    page.close()
    reactor.close()


def test_a_file_system_that_can_not_tell_what_is_cached_is_read_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.preadv

    def preadv(descriptor: int, buffers: tuple[memoryview], offset: int, flags: int = 0) -> int:
        if flags & os.RWF_NOWAIT:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return whole(descriptor, buffers, offset)

    run.submit(write(0, b"t" * 4096))
    monkeypatch.setattr(os, "preadv", preadv)
    read = run.submit(Request(Op.READ, 0, 4096, memoryview(bytearray(4096))))[0]
    assert read.status is not None
    assert read.status.is_good
    assert read.buffer is not None
    assert bytes(read.buffer) == b"t" * 4096
    run.close()


def test_a_second_volume_on_the_same_file_is_refused(
    volume: LocalVolume, run: Run, tmp_path: Path
) -> None:
    page = StatisticsPage.create(tmp_path / "page2")
    with pytest.raises(ConflictError, match="open for another volume"):
        FileDevice(open_context(volume, run.reactor, page))
    run.close()
    page.close()


def test_a_failing_medium_is_an_event_but_not_each_time(
    volume: LocalVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileLifecycle().create(volume)
    events: list[Event] = []
    reactor, page = EpollReactor(), StatisticsPage.create(tmp_path / "page")
    context = attrs.evolve(open_context(volume, reactor, page), emit=events.append)
    run = Run(FileDevice(context), reactor)

    def fail(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        run.submit(write(0, b"x" * 512), write(512, b"x" * 512))
    assert [event.code for event in events] == ["file.full"]
    assert "512 bytes at 0" in events[0].message
    run.close()
    page.close()
    reactor.close()
