"""Block devices and mount points under volumes: known again, never taken over, left as found."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from core.volume.model import Run, open_context, volume_spec
from jiva.whole import WholeJiva
from tierce import ConflictError, FormatError, LocalVolume, UsageError
from tierce.process.epoll import EpollReactor
from tierce.volume.statistics import StatisticsPage
from tierce_engines.file import FileDevice
from tierce_engines.file_lifecycle import FileLifecycle
from tierce_engines.file_record import record_of
from tierce_engines.options import FileOptions
from tierce_jiva.options import JivaOptions, ReplicaOptions

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("root", "/dev/loop-control", "losetup", "mkfs.ext4", "mount"),
]
SIZE = 8 << 20


def run(*words: str | Path) -> str:
    command = [str(word) for word in words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes loop devices of files of that name."""
    made: list[Path] = []

    def make(name: str) -> Path:
        image = tmp_path / name
        image.touch()
        with image.open("r+b") as file:
            file.truncate(SIZE)
        made.append(Path(run("losetup", "--find", "--show", image)))
        return made[-1]

    yield make
    for device in made:
        run("losetup", "--detach", device)


@pytest.fixture
def mount(attach: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a fresh ext4 of that name."""
    made: list[Path] = []

    def make(name: str) -> Path:
        device, folder = attach(f"{name}.img"), tmp_path / name
        run("mkfs.ext4", "-q", device)
        folder.mkdir()
        run("mount", device, folder)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        run("umount", folder)


def on(path: Path, folder: Path) -> LocalVolume:
    folder.mkdir(exist_ok=True)
    spec = volume_spec(folder, "file", FileOptions(path=str(path)))
    return attrs.evolve(spec, size_bytes=SIZE)


def open_and_close(volume: LocalVolume, folder: Path) -> None:
    reactor, page = EpollReactor(), StatisticsPage.create(folder / "page")
    try:
        Run(FileDevice(open_context(volume, reactor, page)), reactor).close()
    finally:
        page.close()
        reactor.close()


def test_a_device_is_known_again_under_another_name_and_another_one_is_not_served(
    attach: Callable[[str], Path], tmp_path: Path
) -> None:
    first, second = attach("first.img"), attach("second.img")
    volume = on(first, tmp_path / "own")
    FileLifecycle().create(volume)
    assert record_of(volume).disk.endswith("first.img")
    assert not record_of(volume).is_made
    open_and_close(volume, tmp_path)
    link = tmp_path / "by-id"
    link.symlink_to(first)
    moved = on(link, tmp_path / "own")
    FileLifecycle().check_change(volume, moved)
    open_and_close(moved, tmp_path)
    edited = on(second, tmp_path / "own")
    with pytest.raises(ConflictError, match=r"second\.img, expected .*first\.img"):
        FileLifecycle().check_change(moved, edited)
    with pytest.raises(ConflictError, match=r"second\.img, expected .*first\.img"):
        open_and_close(edited, tmp_path)


def test_a_device_that_is_mounted_or_too_small_is_left_alone(
    attach: Callable[[str], Path], mount: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = mount("disk")
    device = Path(run("findmnt", "--noheadings", "--output", "SOURCE", folder))
    with pytest.raises(ConflictError, match="is in use: mounted"):
        FileLifecycle().create(on(device, tmp_path / "own"))
    large = attrs.evolve(on(attach("small.img"), tmp_path / "own"), size_bytes=2 * SIZE)
    with pytest.raises(ConflictError, match="has 8388608 bytes, the volume 16777216"):
        FileLifecycle().create(large)
    with pytest.raises(UsageError, match="there is no device"):
        FileLifecycle().create(on(Path("/dev/loop-no-such"), tmp_path / "own"))
    assert list((tmp_path / "own").iterdir()) == []


def test_deleting_a_volume_on_a_device_leaves_the_device_as_it_is(
    attach: Callable[[str], Path], tmp_path: Path
) -> None:
    device = attach("disk.img")
    (tmp_path / "disk.img").write_bytes(b"p" * SIZE)
    volume = on(device, tmp_path / "own")
    lifecycle = FileLifecycle()
    lifecycle.create(volume)
    for step in (lifecycle.condemn, lifecycle.empty, lifecycle.tidy):
        step(volume, ())
    assert device.read_bytes() == b"p" * SIZE
    assert list(volume.folder.iterdir()) == []


def test_the_root_of_a_disk_is_a_replicas_folder_and_is_left_as_it_was_found(
    mount: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = mount("disk")
    options = JivaOptions((ReplicaOptions(folder=str(folder)),))
    volume = attrs.evolve(volume_spec(tmp_path, "jiva"), engine="jiva", engine_options=options)
    lifecycle = WholeJiva()
    lifecycle.create(volume)
    assert (folder / "head-000.img").exists()
    for step in (lifecycle.condemn, lifecycle.empty, lifecycle.tidy):
        step(volume, ())
    assert [one.name for one in folder.iterdir()] == ["lost+found"]


def test_a_volume_too_large_for_the_file_system_leaves_nothing_on_it(
    mount: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = mount("disk")
    options = JivaOptions((ReplicaOptions(folder=str(folder / "deep" / "replica")),))
    huge = attrs.evolve(
        volume_spec(tmp_path, "jiva"), engine="jiva", engine_options=options, size_bytes=1 << 46
    )
    with pytest.raises(OSError, match="too large"):
        WholeJiva().create(huge)
    raw = attrs.evolve(on(folder / "deep" / "x.img", tmp_path / "own"), size_bytes=1 << 46)
    with pytest.raises(OSError, match="too large"):
        FileLifecycle().create(raw)
    assert [one.name for one in folder.iterdir()] == ["lost+found"]
    assert list((tmp_path / "own").iterdir()) == []


def test_a_disk_that_turned_read_only_is_one_clear_error(
    mount: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = mount("disk")
    volume = on(folder / "x.img", tmp_path / "own")
    FileLifecycle().create(volume)
    run("mount", "-o", "remount,ro", folder)
    with pytest.raises(FormatError, match=r"x\.img: can't be opened: Read-only file system"):
        open_and_close(volume, tmp_path)
