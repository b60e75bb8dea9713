"""What is made, replaced or removed durably survives loss of power at every point."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorded_disk import RecordedDisk
from tierce import (
    FormatError,
    make_folder,
    read_sealed,
    remove_file,
    remove_folders,
    replace_durably,
    write_sealed,
)

KEEPS = (0.0, 1.0, 0.5, 0.5)


def work(disk: RecordedDisk) -> None:
    root = disk.root
    made = make_folder(root / "a" / "b" / "c")
    disk.note("made")
    file = root / "a" / "b" / "c" / "file"
    replace_durably(file, b"one")
    disk.note("one")
    replace_durably(file, b"two")
    disk.note("two")
    remove_file(file)
    disk.note("removed")
    remove_folders(made)
    disk.note("gone")


def judge(root: Path, passed: set[str]) -> None:
    folder = root / "a" / "b" / "c"
    file = folder / "file"
    if "gone" in passed:
        assert not (root / "a").exists()
    elif "removed" in passed:
        assert not file.exists(), "it came back"
    elif "two" in passed:
        assert not file.exists() or file.read_bytes() == b"two", "it is torn"
    elif "one" in passed:
        assert file.read_bytes() in (b"one", b"two"), "it is torn"
    elif "made" in passed:
        assert folder.is_dir(), "it is not there"
        assert not file.exists() or file.read_bytes() == b"one", "it is torn"


def explore(root: Path, ignored: tuple[str, ...] = ()) -> int:
    root.mkdir()
    disk = RecordedDisk(root, ignored)
    with disk:
        work(disk)
    tried = 0
    for count in disk.states(KEEPS, Random(1)):
        judge(root, {what for what, _arguments in disk.log[:count]})
        tried += 1
    return tried


def test_what_was_done_survives_loss_of_power_at_every_point(tmp_path: Path) -> None:
    assert explore(tmp_path / "disk") > 100


@pytest.mark.parametrize(
    ("call", "loss"), [("fsync", "torn"), ("sync_folder", "not there|came back")]
)
def test_leaving_a_sync_out_is_found_out(tmp_path: Path, call: str, loss: str) -> None:
    with pytest.raises((AssertionError, FileNotFoundError), match=loss):
        explore(tmp_path / "disk", ignored=(call,))


def test_removing_goes_on_where_a_crash_cut_it_off(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "a" / "b" / "c")
    made[-1].rmdir()
    remove_folders(made)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_there_are_neither_made_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    made = make_folder(tmp_path / "a" / "b" / "c")
    assert made == (tmp_path / "a" / "b", tmp_path / "a" / "b" / "c")
    assert make_folder(tmp_path / "a" / "b") == ()
    (tmp_path / "a" / "b" / "other").touch()
    remove_folders(made)
    assert [one.name for one in (tmp_path / "a" / "b").iterdir()] == ["other"]


def test_a_folder_that_another_process_makes_meanwhile_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.mkdir

    def mkdir(path: Path, mode: int) -> None:
        if path.name == "a":
            made(path, mode)
        made(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert make_folder(tmp_path / "a" / "b") == (tmp_path / "a" / "b",)


@pytest.mark.parametrize("times", [1, 99])
def test_a_folder_that_another_process_removes_meanwhile_is_made_again_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    made, removed = os.mkdir, 0

    def mkdir(path: Path, mode: int) -> None:
        nonlocal removed
        if path.name == "b" and removed < times:
            removed += 1
            path.parent.rmdir()
        made(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    made(tmp_path / "a", 0o700)
    path = tmp_path / "a" / "b"
    if times == 1:
        assert make_folder(path) == (tmp_path / "a", path)
    else:
        with pytest.raises(FileNotFoundError):
            make_folder(path)
        assert list(tmp_path.iterdir()) == []


def test_what_another_process_puts_in_a_folders_place_meanwhile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.mkdir

    def mkdir(path: Path, mode: int) -> None:
        path.touch()
        made(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a" / "b")


def test_a_folder_whose_maker_was_killed_before_it_was_durable_is_so_when_it_is_made_again(
    tmp_path: Path,
) -> None:
    disk = RecordedDisk(tmp_path)
    with disk:
        os.mkdir(tmp_path / "a")
        make_folder(tmp_path / "a" / "b")
        os.mkdir(tmp_path / "whole")
        make_folder(tmp_path / "whole")
    disk.leave(len(disk.log), 0.0, Random(1))
    assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "whole").is_dir()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_folder_below_one_that_is_not_ours_to_read_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    opened = os.open

    def open_it(path: Path, *arguments: int, **more: int) -> int:
        if path == tmp_path.parent:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", open_it)
    if number == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            make_folder(tmp_path / "a")
    else:
        assert make_folder(tmp_path / "a") == (tmp_path / "a",)


def test_a_folder_that_can_not_be_made_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.mkdir

    def mkdir(path: Path, mode: int) -> None:
        if path.name == "c":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        made(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(OSError, match="No space"):
        make_folder(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file'"):
        make_folder(tmp_path / "file" / "b")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(st.binary(max_size=80), st.integers(0, 100), st.booleans())
def test_a_damaged_sealed_file_is_named_and_nothing_else_happens(
    tmp_path: Path, noise: bytes, at: int, whole: bool
) -> None:
    file = tmp_path / "sealed"
    write_sealed(file, "note", 1, {"a": 1})
    assert read_sealed(file, "note", 1) == {"a": 1}
    data = file.read_bytes()
    damaged = noise if whole else data[:at] + noise + data[at + len(noise) :]
    file.write_bytes(damaged)
    if damaged != data:
        with pytest.raises(FormatError, match="sealed: "):
            read_sealed(file, "note", 1)


def test_a_newer_or_other_sealed_file_is_refused(tmp_path: Path) -> None:
    write_sealed(tmp_path / "sealed", "note", 2, {})
    with pytest.raises(FormatError, match="has format 2, this version reads up to 1"):
        read_sealed(tmp_path / "sealed", "note", 1)
    with pytest.raises(FormatError, match="is no letter file"):
        read_sealed(tmp_path / "sealed", "letter", 2)
    with pytest.raises(FormatError, match="No such file"):
        read_sealed(tmp_path / "other", "note", 1)
