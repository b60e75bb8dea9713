"""A replica's folder: made once, locked, refused when it is not what it should be."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierce import ConflictError, FormatError
from tierce_jiva.ballot import Ballot
from tierce_jiva.files import OsFiles
from tierce_jiva.folder import (
    Identity,
    ReplicaFolder,
    create_folder,
    delete_folder,
    read_sealed,
    write_sealed,
)

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


def test_a_record_is_read_back_as_it_was_saved(path: Path) -> None:
    folder = ReplicaFolder(path)
    saved = attrs.evolve(folder.record, promised=Ballot(3, 4), marked=True, suspect=True)
    folder.save(saved)
    folder.close()
    again = ReplicaFolder(path)
    assert again.record == saved
    again.close()


def test_two_processes_on_one_folder_are_refused(path: Path) -> None:
    folder = ReplicaFolder(path)
    with pytest.raises(ConflictError, match="pid"):
        ReplicaFolder(path)
    with pytest.raises(ConflictError, match="pid"):
        delete_folder(path, IDENTITY.uuid)
    folder.close()
    assert (path / "volume.json").exists()


@pytest.mark.parametrize("name", ["volume.json", "record.json"])
def test_a_newer_format_is_refused(path: Path, name: str) -> None:
    file = path / name
    line, _, rest = file.read_bytes().partition(b"\n")
    words = line.split(b" ")
    words[2] = b"2"
    file.write_bytes(b" ".join(words) + b"\n" + rest)
    with pytest.raises(FormatError, match="upgrade Tierce"):
        ReplicaFolder(path)


def test_a_missing_or_empty_folder_is_no_replica(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is missing"):
        ReplicaFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError):
        ReplicaFolder(tmp_path / "empty")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(st.binary(max_size=80), st.integers(0, 400), st.booleans())
def test_a_damaged_record_is_named_and_nothing_else_happens(
    tmp_path: Path, noise: bytes, at: int, whole: bool
) -> None:
    file = tmp_path / "record.json"
    write_sealed(OsFiles(), file, "record", {"a": 1})
    data = file.read_bytes()
    damaged = noise if whole else data[:at] + noise + data[at + len(noise) :]
    file.write_bytes(damaged)
    if damaged != data:
        with pytest.raises(FormatError):
            read_sealed(file, "record")


def test_a_version_of_thousands_of_digits_is_a_format_error(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(b"tierce-jiva record " + b"9" * 5000 + b" 00000000\n{}")
    with pytest.raises(FormatError):
        read_sealed(file, "record")


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
