"""Reading a replica's head file in the target's process: real files, and what becomes of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.fake_reactor import FakeReactor
from tierce import Code, Op, Request
from tierce_jiva.links import Head
from tierce_jiva.local_reader import LocalFiles

SIZE = 64 << 10


class Site:
    """A head file, and a target that may read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_bytes(b"a" * SIZE)
        self.reactor = FakeReactor(by_hand=True)
        self.notes: list[str] = []
        self.files = LocalFiles(self.reactor, SIZE)

    def head(self, connection: int = 1, **changes: Any) -> Head:
        """Return what the replica tells of the file that it has open now."""
        status = self.path.stat()
        facts: dict[str, Any] = {
            "path": str(self.path),
            "device": status.st_dev,
            "inode": status.st_ino,
            "incarnation": 7,
            "connection": connection,
        }
        return Head(**facts | changes)

    def read(self, head: Head, *requests: Request) -> list[Request] | None:
        """Read what is cached at once, and let a worker read the rest; return that."""
        missed = self.files.read_cached(head, list(requests))
        if missed:
            self.files.read(head, missed, lambda: self.notes.append(f"{len(missed)} done"))
        return missed


def request(offset: int, length: int = 512) -> Request:
    return Request(Op.READ, offset, length, memoryview(bytearray(length)))


def filled(found: Request) -> bytes:
    return bytes(found.buffer or b"")


def descriptors(path: Path) -> int:
    """Return how many descriptors of this process name a file, removed or not."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += os.readlink(link).removesuffix(" (deleted)") == str(path)
        except FileNotFoundError:
            continue  # The one that the folder was read by.
    return count


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "head")
    yield site
    while site.reactor.work:
        site.reactor.work_off()
    site.files.close()
    assert descriptors(site.path) == 0
    site.reactor.close()


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in the page cache: what does not wait reads nothing."""
    preadv = os.preadv

    def waits(descriptor: int, buffers: Sequence[Any], offset: int, flags: int = 0) -> int:
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError
        return preadv(descriptor, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", waits)


def test_what_is_in_the_page_cache_is_read_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at, _flags=0: preadv(fd, buffers, at))
    head, first = site.head(), request(0)
    assert site.read(head, first) == []
    assert filled(first) == b"a" * 512
    site.read(head, request(512))
    assert descriptors(site.path) == 1, "it is opened once"
    assert site.notes == []


@pytest.mark.usefixtures("cold")
def test_what_is_not_is_read_by_a_worker_and_passed_on(site: Site) -> None:
    first, second = request(0), request(SIZE - 1024, 1024)
    assert site.read(site.head(), first, second) == [first, second]
    assert site.notes == []
    site.reactor.work_off()
    assert filled(first) + filled(second) == b"a" * 1536
    assert (first.status, second.status) == (None, None)
    assert site.notes == ["2 done"]


@pytest.mark.usefixtures("cold")
def test_a_file_that_was_cut_fails_what_it_lacks_and_nothing_else(site: Site) -> None:
    head = site.head()
    site.read(head, request(0))
    os.truncate(site.path, 1000)
    whole, half, beyond = request(0), request(512, 1024), request(4096)
    site.read(head, whole, half, beyond)
    site.reactor.work_off(2)
    assert whole.status is None
    for lacking in (half, beyond):
        assert lacking.status is not None
        assert lacking.status.code is Code.READ_ERROR
        assert "its file ends before byte" in lacking.status.reason


def test_a_short_read_of_a_file_that_was_cut_is_no_success(site: Site) -> None:
    head = site.head()
    site.read(head, request(0))
    os.truncate(site.path, 1000)
    half = request(512, 1024)
    assert site.read(head, half) == [half]


@pytest.mark.usefixtures("cold")
def test_a_medium_that_fails_is_told_with_the_place(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = request(512)
    site.read(site.head(), failing)

    def fail(*_arguments: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    site.reactor.work_off()
    assert failing.status is not None
    assert failing.status.reason == "its file can't be read at byte 512: Input/output error"
    assert failing.status.offset == 512


@pytest.mark.parametrize("how", ["swapped", "inode", "device", "length", "missing"])
def test_only_the_very_file_that_the_replica_has_open_is_read(site: Site, how: str) -> None:
    head = site.head()
    if how == "swapped":
        # A copy of the folder was put in its place; the replica still has the old file.
        copy = site.path.with_name("copy")
        shutil.copy2(site.path, copy)
        copy.replace(site.path)
    elif how == "inode":
        head = site.head(inode=head.inode + 1)
    elif how == "device":
        head = site.head(device=head.device + 1)
    elif how == "length":
        os.truncate(site.path, SIZE + 512)
    else:
        site.path.unlink()
    assert site.read(head, request(0)) is None
    assert descriptors(site.path) == 0


def test_a_file_that_was_swapped_is_read_as_the_new_connection_tells_of_it(site: Site) -> None:
    old = site.head()
    site.read(old, request(0))
    copy = site.path.with_name("copy")
    copy.write_bytes(b"b" * SIZE)
    copy.replace(site.path)
    site.files.forget(old)
    found = request(0)
    site.read(site.head(connection=2), found)
    while site.reactor.work:
        site.reactor.work_off()
    assert filled(found) == b"b" * 512


def test_what_a_connection_told_of_is_closed_with_it(site: Site) -> None:
    first, second = site.head(1), site.head(2)
    for head in (first, second):
        site.read(head, request(0))
    while site.reactor.work:
        site.reactor.work_off()
    assert descriptors(site.path) == 2
    site.files.forget(first)
    site.files.forget(first)
    assert descriptors(site.path) == 1


@pytest.mark.usefixtures("cold")
def test_a_file_that_is_forgotten_while_it_is_read_is_closed_by_its_last_reader(
    site: Site,
) -> None:
    head = site.head()
    first, second = request(0), request(512)
    site.read(head, first)
    site.read(head, second)
    site.files.forget(head)
    assert descriptors(site.path) == 1
    site.reactor.work_off()
    assert filled(first) == b"a" * 512, "not of whatever has its number by now"
    assert descriptors(site.path) == 1
    site.reactor.work_off()
    assert filled(second) == b"a" * 512
    assert descriptors(site.path) == 0


@pytest.mark.usefixtures("cold")
def test_after_the_end_nothing_is_passed_on(site: Site) -> None:
    site.read(site.head(), request(0))
    site.files.close()
    site.reactor.work_off()
    assert site.notes == []
    assert descriptors(site.path) == 0


@pytest.mark.usefixtures("cold")
def test_a_mistake_of_ours_on_a_worker_is_not_taken_for_a_bad_disk(site: Site) -> None:
    site.read(site.head(), Request(Op.READ, -1 << 70, 512, memoryview(bytearray(512))))
    with pytest.raises(OverflowError):
        site.reactor.work_off()


@pytest.mark.parametrize("path", ["/a\0b", "/a\ud800"], ids=["a NUL", "half a surrogate pair"])
def test_a_path_that_is_none_is_a_file_that_is_not_here(site: Site, path: str) -> None:
    """A replica may tell any string; no system call is made for these, and no OSError comes."""
    assert site.read(site.head(path=path), request(0)) is None
    assert site.notes == []
