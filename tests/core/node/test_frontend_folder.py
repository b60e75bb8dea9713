"""A front end's own folder ends with its volume, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tierce import VolumeSpec
from tierce.node.frontend_folder import frontend_folder, remove_frontend_folder


@pytest.fixture
def volume(tmp_path: Path) -> VolumeSpec:
    return VolumeSpec(
        *("demo", "0" * 32, 4096, 512, "memory", None, "iscsi", None, tmp_path / "volumes/demo")
    )


def test_each_front_end_has_its_own(volume: VolumeSpec) -> None:
    other = attrs.evolve(volume, frontend="nbd")
    assert frontend_folder(volume) != frontend_folder(other)
    assert frontend_folder(volume).parent == volume.folder


def test_its_files_go_with_it(volume: VolumeSpec) -> None:
    folder = frontend_folder(volume)
    folder.mkdir(parents=True)
    (folder / "reservations").write_bytes(b"kept")
    remove_frontend_folder(volume)
    assert list(volume.folder.iterdir()) == []


def test_what_is_gone_already_is_gone(volume: VolumeSpec) -> None:
    remove_frontend_folder(volume)


def test_links_are_not_followed(volume: VolumeSpec, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"a stranger's")
    folder = frontend_folder(volume)
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    remove_frontend_folder(volume)
    assert not folder.exists()
    folder.symlink_to(outside)
    remove_frontend_folder(volume)
    assert (outside / "file").read_bytes() == b"a stranger's"


def test_a_folder_in_it_was_made_by_no_front_end_and_stays(volume: VolumeSpec) -> None:
    folder = frontend_folder(volume)
    (folder / "strange").mkdir(parents=True)
    (folder / "reservations").write_bytes(b"kept")
    remove_frontend_folder(volume)
    assert [entry.name for entry in folder.iterdir()] == ["strange"]
