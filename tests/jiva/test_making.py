"""A replica's folder is made once, and only what was made is removed."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tierce import ConflictError
from tierce_jiva.ballot import Ballot
from tierce_jiva.folder import Identity, ReplicaFolder
from tierce_jiva.making import create_folder, delete_folder

MEMBERS = ("replica-1", "replica-2", "replica-3")
IDENTITY = Identity("demo", "00ff", "replica-1", MEMBERS, 65536, 512, 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_folder(IDENTITY, tmp_path / "replica", "boot")
    return tmp_path / "replica"


def use(path: Path) -> None:
    """A target has been there."""
    folder = ReplicaFolder(path)
    folder.save(attrs.evolve(folder.record, promised=Ballot(1, 1)))
    folder.close()


def test_creating_twice_is_success_and_keeps_the_bytes(path: Path) -> None:
    (path / "head-000.img").write_bytes(b"x" * 65536)
    create_folder(IDENTITY, path, "boot")
    assert (path / "head-000.img").read_bytes() == b"x" * 65536


def test_a_folder_of_another_volume_is_refused(path: Path) -> None:
    with pytest.raises(ConflictError, match="holds replica"):
        create_folder(attrs.evolve(IDENTITY, uuid="beef"), path, "boot")
    with pytest.raises(ConflictError, match="left alone"):
        delete_folder(path, "beef")


def test_a_folder_with_strange_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(ConflictError, match="letter"):
        create_folder(IDENTITY, tmp_path, "boot")
    assert [file.name for file in tmp_path.iterdir()] == ["letter"]


def test_a_used_replica_that_lost_its_identity_is_not_overwritten(path: Path) -> None:
    use(path)
    (path / "head-000.img").write_bytes(b"x" * 65536)
    (path / "volume.json").unlink()
    with pytest.raises(ConflictError, match="has been used"):
        create_folder(IDENTITY, path, "boot")
    assert (path / "head-000.img").read_bytes() == b"x" * 65536


def test_a_creation_that_was_cut_off_is_taken_up_again(path: Path) -> None:
    (path / "volume.json").unlink()
    create_folder(IDENTITY, path, "boot")
    ReplicaFolder(path).close()


def test_deleting_can_be_repeated(path: Path) -> None:
    delete_folder(path, IDENTITY.uuid)
    assert not path.exists()
    delete_folder(path, IDENTITY.uuid)


@pytest.mark.parametrize("gone", ["record.json", "head-000.img"])
def test_a_deletion_that_was_cut_off_is_taken_up_again(path: Path, gone: str) -> None:
    (path / gone).unlink()
    delete_folder(path, IDENTITY.uuid)
    assert not path.exists()
