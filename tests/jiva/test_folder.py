"""A replica's folder: made once, locked, refused when it is not what it should be."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tierce import ConflictError, FormatError
from tierce_jiva.ballot import Ballot
from tierce_jiva.folder import Identity, ReplicaFolder
from tierce_jiva.making import create_folder

MEMBERS = ("replica-1", "replica-2", "replica-3")
IDENTITY = Identity("demo", "00ff", "replica-1", MEMBERS, 65536, 512, 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_folder(IDENTITY, tmp_path / "replica", "boot")
    return tmp_path / "replica"


def test_a_record_is_read_back_as_it_was_saved(path: Path) -> None:
    folder = ReplicaFolder(path)
    saved = attrs.evolve(folder.record, promised=Ballot(3, 4), marks=frozenset({0}), suspect=True)
    folder.save(saved)
    folder.close()
    again = ReplicaFolder(path)
    assert again.record == saved
    again.close()


def test_two_processes_on_one_folder_are_refused(path: Path) -> None:
    folder = ReplicaFolder(path)
    with pytest.raises(ConflictError, match="pid"):
        ReplicaFolder(path)
    folder.close()
    assert (path / "volume.json").exists()


@pytest.mark.parametrize("name", ["volume.json", "record.json"])
def test_a_newer_format_is_refused(path: Path, name: str) -> None:
    file = path / name
    line, _, rest = file.read_bytes().partition(b"\n")
    words = line.split(b" ")
    words[2] = b"3"
    file.write_bytes(b" ".join(words) + b"\n" + rest)
    with pytest.raises(FormatError, match="upgrade Tierce"):
        ReplicaFolder(path)


def test_a_missing_or_empty_folder_is_no_replica(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is missing"):
        ReplicaFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError):
        ReplicaFolder(tmp_path / "empty")
