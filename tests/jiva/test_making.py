"""A replica's folder is made once, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import attrs
import pytest

from tierce import ConflictError
from tierce_jiva.ballot import Ballot
from tierce_jiva.files import OsFiles
from tierce_jiva.folder import Identity, ReplicaFolder
from tierce_jiva.making import create_folder
from tierce_jiva.removing import Place, look

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


class Failing(OsFiles):
    """Fails one of the calls that a creation makes."""

    def __init__(self, call: int, number: int = errno.EFBIG) -> None:
        self.left, self.number = call, number

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))

    def truncate(self, descriptor: int, length: int) -> None:
        self._count()
        OsFiles.truncate(descriptor, length)

    def fsync(self, descriptor: int) -> None:  # type: ignore[override]
        self._count()
        OsFiles.fsync(descriptor)

    def replace(self, source: Path, destination: Path) -> None:  # type: ignore[override]
        self._count()
        OsFiles.replace(source, destination)


def test_creating_twice_is_success_and_keeps_the_bytes(path: Path) -> None:
    (path / "head-000.img").write_bytes(b"x" * 65536)
    create_folder(IDENTITY, path, "boot")
    assert (path / "head-000.img").read_bytes() == b"x" * 65536


def test_a_folder_of_another_volume_is_refused(path: Path) -> None:
    with pytest.raises(ConflictError, match="holds replica"):
        create_folder(attrs.evolve(IDENTITY, uuid="beef"), path, "boot")


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


@pytest.mark.parametrize("gone", ["record.json", "head-000.img", "lock"])
def test_a_creation_that_was_cut_off_is_taken_up_again_by_its_own_volume(
    path: Path, gone: str
) -> None:
    (path / "volume.json").rename(path / "making.json")
    (path / gone).unlink(missing_ok=True)
    with pytest.raises(ConflictError, match="holds replica"):
        create_folder(attrs.evolve(IDENTITY, uuid="beef"), path, "boot")
    create_folder(IDENTITY, path, "boot")
    ReplicaFolder(path).close()
    assert look(path, IDENTITY.uuid, IDENTITY.replica) is Place.WHOLE


def test_the_root_of_a_fresh_file_system_is_taken(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    create_folder(IDENTITY, tmp_path, "boot")
    ReplicaFolder(tmp_path).close()


def test_what_is_left_of_a_deleted_volume_is_not_made_a_replica(path: Path) -> None:
    (path / "volume.json").rename(path / "deleted.json")
    with pytest.raises(ConflictError, match="what is left of volume 'demo'"):
        create_folder(attrs.evolve(IDENTITY, uuid="beef"), path, "boot")
    with pytest.raises(ConflictError, match="what is left of volume 'demo'"):
        create_folder(IDENTITY, path, "boot")


@pytest.mark.parametrize("call", range(7))
def test_a_creation_that_fails_leaves_nothing_behind(tmp_path: Path, call: int) -> None:
    (tmp_path / "disk").mkdir()
    path = tmp_path / "disk" / "deep" / "replica"
    with pytest.raises(OSError, match="too large"):
        create_folder(IDENTITY, path, "boot", Failing(call))
    assert list((tmp_path / "disk").iterdir()) == []
    create_folder(IDENTITY, path, "boot", Failing(8))


def test_a_creation_that_fails_removes_no_folder_that_was_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too large"):
        create_folder(IDENTITY, tmp_path, "boot", Failing(3))
    assert list(tmp_path.iterdir()) == []
