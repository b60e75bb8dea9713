"""Which file it is, told apart from its copies: on real file systems."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierce_jiva.file_identity import identity_of, is_same


def identity(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return identity_of(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture(params=["disk", "tmpfs"])
def head(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")  # A tmpfs that Linux has everywhere.
    if request.param == "tmpfs" and not os.access(memory, os.W_OK):
        pytest.skip("no tmpfs that can be written")
    with tempfile.TemporaryDirectory(
        dir=memory if request.param == "tmpfs" else tmp_path
    ) as folder:
        path = Path(folder) / "head"
        path.write_bytes(b"bytes")
        yield path


def test_a_file_stays_the_same_when_it_is_written_renamed_moved_and_linked(head: Path) -> None:
    before = identity(head)
    head.write_bytes(b"other bytes")
    os.utime(head, (1, 1))
    assert is_same(before, identity(head))
    other = head.with_name("other")
    other.mkdir()
    moved = head.rename(other / "renamed")
    assert is_same(before, identity(moved))
    os.link(moved, other / "linked")
    assert is_same(before, identity(other / "linked"))


def test_a_copy_of_a_file_is_another(head: Path) -> None:
    copy = head.with_name("copy")
    shutil.copy2(head, copy)
    assert copy.stat().st_mtime == head.stat().st_mtime
    assert not is_same(identity(head), identity(copy))


def test_a_copy_put_in_the_place_of_a_file_is_another(head: Path) -> None:
    before = identity(head)
    copy = head.with_name("copy")
    shutil.copy2(head, copy)
    os.replace(copy, head)
    assert not is_same(before, identity(head))


def test_what_is_restored_under_the_same_inode_number_is_another() -> None:
    assert not is_same("12:100.000000001", "12:200.000000001")


def test_the_time_of_birth_is_part_of_it_where_the_file_system_keeps_one(tmp_path: Path) -> None:
    path = tmp_path / "head"
    path.touch()
    inode, _, birth = identity(path).partition(":")
    assert inode == str(path.stat().st_ino)
    if birth:
        assert abs(float(birth) - path.stat().st_mtime) < 60


@pytest.mark.parametrize(
    ("recorded", "found"),
    [("", "12:1.5"), ("12:1.5", ""), ("12:", "12:1.5"), ("12:1.5", "12:"), ("12:1.5", "12:1.5")],
)
def test_what_is_not_known_is_no_difference(recorded: str, found: str) -> None:
    assert is_same(recorded, found)


class NoLibrary:
    """A C library without statx, or with one that fails, or that tells no time of birth."""

    def __init__(self, answer: int | None) -> None:
        if answer is not None:
            self.statx = lambda *_arguments: answer


@pytest.mark.parametrize("answer", [None, -1, 0], ids=["absent", "fails", "without birth"])
def test_without_a_time_of_birth_the_inode_must_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int | None
) -> None:
    path = tmp_path / "head"
    path.touch()
    whole = identity(path)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: NoLibrary(answer))
    assert identity(path) == f"{path.stat().st_ino}:"
    assert is_same(whole, identity(path))
