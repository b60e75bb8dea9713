"""A volume's file is made once, whole or not at all, and only what was made is removed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

import attrs
import pytest

from core.volume.model import SIZE, volume_spec
from recorded_disk import RecordedDisk
from tierce import ConflictError, FormatError, LocalVolume, TemporaryError, UsageError
from tierce_engines.file_lifecycle import FileLifecycle
from tierce_engines.file_record import TAG, record_of
from tierce_engines.options import FileOptions

LIFECYCLE = FileLifecycle()


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    (tmp_path / "own").mkdir()
    options = FileOptions(path=str(tmp_path / "deep" / "bytes" / "x.img"))
    return volume_spec(tmp_path / "own", "file", options)


def path_of(volume: LocalVolume) -> Path:
    return Path(volume.engine_options.path)


def at(volume: LocalVolume, path: Path) -> LocalVolume:
    return attrs.evolve(volume, engine_options=FileOptions(path=str(path)))


def delete(volume: LocalVolume, *without: str) -> None:
    LIFECYCLE.condemn(volume, without)
    LIFECYCLE.empty(volume, without)
    LIFECYCLE.tidy(volume, without)


def put(volume: LocalVolume, data: bytes) -> None:
    """An operator has put a file there."""
    path_of(volume).parent.mkdir(parents=True)
    path_of(volume).write_bytes(data)


def test_a_volumes_file_is_made_sparse_and_goes_with_it_in_steps_that_can_be_repeated(
    volume: LocalVolume, tmp_path: Path
) -> None:
    for _ in range(2):
        LIFECYCLE.create(volume)
    found = path_of(volume).stat()
    assert (found.st_size, found.st_blocks) == (SIZE, 0)
    assert os.getxattr(path_of(volume), TAG) == volume.uuid.encode()
    path_of(volume).write_bytes(b"x" * SIZE)
    for _ in range(2):
        LIFECYCLE.condemn(volume, ())
    assert path_of(volume).stat().st_size == SIZE
    for _ in range(2):
        LIFECYCLE.empty(volume, ())
    for _ in range(2):
        LIFECYCLE.tidy(volume, ())
    assert [one.name for one in tmp_path.rglob("*")] == ["own"], "its folders and notes go too"


def test_a_file_that_was_there_is_used_as_it_is_and_never_removed(volume: LocalVolume) -> None:
    put(volume, b"x" * SIZE)
    LIFECYCLE.create(volume)
    delete(volume)
    assert path_of(volume).read_bytes() == b"x" * SIZE
    assert os.listxattr(path_of(volume)) == []
    LIFECYCLE.create(volume)
    LIFECYCLE.delete(volume)
    assert path_of(volume).read_bytes() == b"x" * SIZE


def test_a_file_of_another_size_is_left_alone(volume: LocalVolume) -> None:
    put(volume, b"precious")
    with pytest.raises(ConflictError, match="8 bytes already"):
        LIFECYCLE.create(volume)
    assert path_of(volume).read_bytes() == b"precious"
    assert list(volume.folder.iterdir()) == []


def test_a_deletion_takes_what_was_made_not_what_the_options_name_now(
    volume: LocalVolume, tmp_path: Path
) -> None:
    LIFECYCLE.create(volume)
    stranger = tmp_path / "stranger.img"
    stranger.write_bytes(b"s" * SIZE)
    delete(at(volume, stranger))
    assert stranger.read_bytes() == b"s" * SIZE
    assert not path_of(volume).exists()


def test_a_misspelt_device_is_an_error_and_nothing_is_made(
    volume: LocalVolume, tmp_path: Path
) -> None:
    for path in (Path("/dev/no-such-disk"), Path("/dev/deep/no-such-disk"), tmp_path / "link"):
        if path.parent == tmp_path:
            path.symlink_to("/dev/no-such-disk")
        with pytest.raises(UsageError, match="there is no device"):
            LIFECYCLE.create(at(volume, path))
    assert not Path("/dev/no-such-disk").exists()
    assert not Path("/dev/deep").exists()
    assert list(volume.folder.iterdir()) == []


def test_what_is_no_file_can_not_be_a_volume(volume: LocalVolume) -> None:
    path_of(volume).mkdir(parents=True)
    with pytest.raises(UsageError, match="is neither a file nor a block device"):
        LIFECYCLE.create(volume)
    with pytest.raises(UsageError, match="is neither a file nor a block device"):
        LIFECYCLE.create(at(volume, Path("/dev/null")))


@pytest.mark.parametrize("call", ["ftruncate", "fsync", "setxattr", "replace"])
def test_a_creation_that_fails_leaves_nothing_behind(
    volume: LocalVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    whole, path = getattr(os, call), path_of(volume)

    def fail(target: int | Path, *arguments: object) -> object:
        is_ours = isinstance(target, int) and os.readlink(f"/proc/self/fd/{target}") == str(path)
        if is_ours or call == "replace":
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return whole(target, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="too large"):
            LIFECYCLE.create(volume)
    left = [one.name for one in tmp_path.rglob("*") if one.is_file() or one.name == "x.img"]
    assert [name for name in left if not name.endswith(".new")] == []
    LIFECYCLE.create(volume)


def test_an_undone_creation_takes_no_file_that_was_written_to(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    path_of(volume).write_bytes(b"x" * SIZE)
    with pytest.raises(ConflictError, match="has been written to: left alone"):
        LIFECYCLE.delete(volume)
    assert path_of(volume).read_bytes() == b"x" * SIZE


def test_a_volume_of_a_lost_state_keeps_what_is_known_of_its_file(volume: LocalVolume) -> None:
    """It is made again over its file: that it was made, and what is in doubt, are remembered."""
    LIFECYCLE.create(volume)
    path_of(volume).write_bytes(b"x" * SIZE)
    (volume.folder / "doubt").write_bytes(b"damaged")
    again = attrs.evolve(volume, uuid="11" * 16)
    LIFECYCLE.create(again)
    assert path_of(volume).read_bytes() == b"x" * SIZE
    assert record_of(again).is_made
    assert "can't be read" in LIFECYCLE.loss(again, "")
    with pytest.raises(FormatError, match="is of a volume 1111"):
        record_of(volume)


def test_another_volumes_file_is_not_taken_for_ones_own(
    volume: LocalVolume, tmp_path: Path
) -> None:
    LIFECYCLE.create(volume)
    path_of(volume).write_bytes(b"x" * SIZE)
    (tmp_path / "second").mkdir()
    second = attrs.evolve(volume, uuid="11" * 16, folder=tmp_path / "second")
    with pytest.raises(
        ConflictError, match=r"another volume \(0000.*setfattr --remove user\.tierce"
    ):
        LIFECYCLE.create(second)
    assert os.getxattr(path_of(volume), TAG) == volume.uuid.encode()
    assert list((tmp_path / "second").iterdir()) == []
    os.removexattr(path_of(volume), TAG)
    LIFECYCLE.create(second)
    assert not record_of(second).is_made


def test_a_file_whose_disk_is_not_mounted_is_waited_for(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    away = path_of(volume).with_name("away")
    path_of(volume).rename(away)
    for step in (LIFECYCLE.condemn, LIFECYCLE.empty):
        with pytest.raises(TemporaryError, match=r"nothing is found of .*x\.img: mount its disk"):
            step(volume, ())
        away.rename(path_of(volume))
        step(volume, ())
        path_of(volume).rename(away)
    away.rename(path_of(volume))
    LIFECYCLE.tidy(volume, ())
    assert not path_of(volume).exists()


def test_a_file_that_is_lost_or_anothers_is_left_out_by_name(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    os.setxattr(path_of(volume), TAG, b"22" * 16)
    with pytest.raises(ConflictError, match=r"another volume's file.*--without file"):
        LIFECYCLE.condemn(volume, ())
    assert LIFECYCLE.parts(volume) == ("file",)
    delete(volume, "file")
    assert path_of(volume).stat().st_size == SIZE
    assert list(volume.folder.iterdir()) == []


def test_without_a_record_of_its_making_nothing_is_removed(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    (volume.folder / "file.json").write_bytes(b"damaged")
    with pytest.raises(ConflictError, match="nothing says whether the file was made"):
        LIFECYCLE.condemn(volume, ())
    delete(volume, "file")
    assert path_of(volume).stat().st_size == SIZE
    assert list(volume.folder.iterdir()) == []


def test_a_deletion_is_taken_back(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    LIFECYCLE.spare(volume)
    LIFECYCLE.condemn(volume, ())
    assert record_of(volume).is_deleted
    LIFECYCLE.spare(volume)
    assert not record_of(volume).is_deleted


def test_an_edited_path_must_name_the_same_file(volume: LocalVolume, tmp_path: Path) -> None:
    LIFECYCLE.create(volume)
    other = tmp_path / "other.img"
    with pytest.raises(ConflictError, match=r"other\.img can't be opened \(No such file"):
        LIFECYCLE.check_change(volume, at(volume, other))
    other.write_bytes(b"o" * SIZE)
    with pytest.raises(ConflictError, match=r"nothing says that .*other\.img is the same"):
        LIFECYCLE.check_change(volume, at(volume, other))
    os.setxattr(other, TAG, b"22" * 16)
    with pytest.raises(ConflictError, match="it says 2222"):
        LIFECYCLE.check_change(volume, at(volume, other))
    os.replace(path_of(volume), other)
    LIFECYCLE.check_change(volume, at(volume, other))


def test_a_raw_file_can_not_be_adopted_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="create the volume again"):
        LIFECYCLE.adopt((tmp_path,))


def test_there_is_one_copy_to_go_on_with(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    with pytest.raises(UsageError, match="has one copy: leave --keep replica-1 out"):
        LIFECYCLE.loss(volume, "replica-1")


# -- power is lost at every point ------------------------------------------------------------------

KEEPS = (0.0, 1.0, 0.5, 0.5)


def live(volume: LocalVolume, disk: RecordedDisk) -> None:
    LIFECYCLE.create(volume)
    disk.note("done", "create")
    for step in (LIFECYCLE.condemn, LIFECYCLE.empty, LIFECYCLE.tidy):
        step(volume, ())
        disk.note("done", step.__name__)


def judge(volume: LocalVolume, done: set[str], *, is_kept: bool) -> None:
    """Go on after a loss of power as the server would; the phase says which steps were done."""
    if "create" not in done:
        if is_kept:
            LIFECYCLE.create(volume)
            assert path_of(volume).stat().st_size == SIZE, "half made"
        else:
            LIFECYCLE.delete(volume)
            assert not path_of(volume).exists(), "half undone"
        return
    if "condemn" not in done:
        assert path_of(volume).stat().st_size == SIZE, "its bytes went before it was to go"
        LIFECYCLE.spare(volume)
        assert not record_of(volume).is_deleted
        if is_kept:
            return
        LIFECYCLE.condemn(volume, ())
    if "empty" not in done:
        assert record_of(volume).is_deleted, "it came back to life"
        LIFECYCLE.empty(volume, ())
    LIFECYCLE.tidy(volume, ())
    assert not path_of(volume).exists(), "it is left"
    assert list(volume.folder.iterdir()) == [], "notes are left"


def explore(root: Path, ignored: tuple[str, ...] = ()) -> int:
    (root / "own").mkdir(parents=True)
    options = FileOptions(path=str(root / "deep" / "x.img"))
    volume = volume_spec(root / "own", "file", options)
    disk = RecordedDisk(root, ignored)
    with disk:
        live(volume, disk)
    tried = 0
    for is_kept in (True, False):
        for count in disk.states(KEEPS, Random(3)):
            done = {arguments[0] for what, arguments in disk.log[:count] if what == "done"}
            judge(volume, done, is_kept=is_kept)
            tried += 1
    return tried


def test_power_may_be_lost_at_every_point_of_making_and_deleting(tmp_path: Path) -> None:
    tried = explore(tmp_path / "disk")
    print(f"{tried} crash states explored")
    assert tried > 200


@pytest.mark.parametrize(
    ("call", "loss"),
    [
        ("fsync", "is no file file|its bytes went"),
        ("sync_folder", "can't be read|its bytes went|is left|No such file|came back|are left"),
    ],
)
def test_leaving_a_sync_out_is_found_out(tmp_path: Path, call: str, loss: str) -> None:
    with pytest.raises((AssertionError, FormatError, OSError, ConflictError), match=loss):
        explore(tmp_path / "disk", ignored=(call,))
