"""A front end's own folder ends with its volume, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierce import LocalVolume
from tierce.node.frontend_folder import remove_frontend_folders


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    folder = tmp_path / "volumes" / "demo"
    return LocalVolume(*("demo", "0" * 32, 4096, 512, "memory", None, ()), folder=folder)


def test_each_front_end_has_its_own(volume: LocalVolume) -> None:
    assert volume.frontend_folder("iscsi") != volume.frontend_folder("nbd")
    assert volume.frontend_folder("iscsi").parent == volume.folder


def test_that_of_a_front_end_that_serves_it_no_more_goes_too(volume: LocalVolume) -> None:
    for frontend in ("iscsi", "nbd"):
        volume.frontend_folder(frontend).mkdir(parents=True)
        (volume.frontend_folder(frontend) / "kept").write_bytes(b"kept")
    remove_frontend_folders(volume)
    assert list(volume.folder.iterdir()) == []


def test_its_files_go_with_it(volume: LocalVolume) -> None:
    folder = volume.frontend_folder("iscsi")
    folder.mkdir(parents=True)
    (folder / "reservations").write_bytes(b"kept")
    remove_frontend_folders(volume)
    assert list(volume.folder.iterdir()) == []


def test_what_is_gone_already_is_gone(volume: LocalVolume) -> None:
    remove_frontend_folders(volume)


def test_links_are_not_followed(volume: LocalVolume, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"a stranger's")
    folder = volume.frontend_folder("iscsi")
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    remove_frontend_folders(volume)
    assert not folder.exists()
    folder.symlink_to(outside)
    remove_frontend_folders(volume)
    assert (outside / "file").read_bytes() == b"a stranger's"


def test_a_folder_in_it_was_made_by_no_front_end_and_stays(volume: LocalVolume) -> None:
    folder = volume.frontend_folder("iscsi")
    (folder / "strange").mkdir(parents=True)
    (folder / "reservations").write_bytes(b"kept")
    remove_frontend_folders(volume)
    assert [entry.name for entry in folder.iterdir()] == ["strange"]
