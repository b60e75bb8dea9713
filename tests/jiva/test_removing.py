"""A replica's folder says what it is, and goes in steps that a crash may come between."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tierce import ConflictError, FormatError, TemporaryError
from tierce_jiva.ballot import Ballot
from tierce_jiva.files import OsFiles
from tierce_jiva.folder import Identity, ReplicaFolder
from tierce_jiva.making import create_folder
from tierce_jiva.removing import (
    Place,
    condemn_folder,
    drop_folder,
    empty_folder,
    look,
    spare_folder,
    undo_folder,
)
from tierce_jiva.stored import Stored, sparse_file

MEMBERS = ("replica-1", "replica-2", "replica-3")
IDENTITY = Identity("demo", "00ff", "replica-1", MEMBERS, 65536, 512, 1.0)
FILES = OsFiles()


def stored(path: Path) -> Stored:
    return sparse_file(path, IDENTITY.size_bytes, FILES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_folder(IDENTITY, tmp_path / "deep" / "replica", "boot")
    return tmp_path / "deep" / "replica"


def see(path: Path) -> Place:
    return look(path, IDENTITY.uuid, IDENTITY.replica)


def test_a_folder_goes_in_steps_and_says_at_each_what_it_is(path: Path, tmp_path: Path) -> None:
    assert see(path) is Place.WHOLE
    condemn_folder(path, Place.WHOLE, FILES)
    assert see(path) is Place.DELETED
    spare_folder(path, FILES)
    ReplicaFolder(path).close()
    condemn_folder(path, Place.WHOLE, FILES)
    for _ in range(2):
        empty_folder(path, FILES, stored(path))
        assert see(path) is Place.DELETED
    drop_folder(path, Place.DELETED, FILES)
    assert see(path) is Place.LOST
    assert list(tmp_path.iterdir()) == [], "what the making made goes with it"


def test_a_folder_that_was_there_before_and_what_others_put_into_it_stay(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    create_folder(IDENTITY, tmp_path, "boot")
    (tmp_path / "letter").touch()
    condemn_folder(tmp_path, Place.WHOLE, FILES)
    empty_folder(tmp_path, FILES, stored(tmp_path))
    drop_folder(tmp_path, Place.DELETED, FILES)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["letter", "lost+found"]


def test_a_folder_that_a_process_has_open_is_waited_for(path: Path) -> None:
    folder = ReplicaFolder(path)
    with pytest.raises(TemporaryError, match="pid"):
        condemn_folder(path, Place.WHOLE, FILES)
    with pytest.raises(ConflictError, match="pid"):
        undo_folder(path, IDENTITY.uuid, IDENTITY.replica, FILES, stored(path))
    folder.close()
    assert see(path) is Place.WHOLE


def test_an_empty_folder_may_be_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    assert see(tmp_path / "nowhere") is Place.LOST
    assert see(tmp_path) is Place.LOST
    (tmp_path / "lost+found").mkdir()
    assert see(tmp_path) is Place.LOST


def test_what_is_not_this_replicas_is_named_and_left_alone(path: Path) -> None:
    with pytest.raises(ConflictError, match="left alone"):
        look(path, "beef", IDENTITY.replica)
    with pytest.raises(ConflictError, match="left alone"):
        look(path, IDENTITY.uuid, "replica-2")
    undo_folder(path, "beef", IDENTITY.replica, FILES, stored(path))
    assert see(path) is Place.WHOLE
    (path / "volume.json").write_bytes(b"")
    with pytest.raises(FormatError):
        see(path)
    (path / "volume.json").unlink()
    with pytest.raises(FormatError, match=r"lacks volume\.json"):
        see(path)


def test_a_creation_that_is_given_up_is_undone_unless_it_was_used(
    path: Path, tmp_path: Path
) -> None:
    folder = ReplicaFolder(path)
    unused = folder.record
    folder.save(attrs.evolve(unused, promised=Ballot(1, 1)))
    folder.close()
    with pytest.raises(ConflictError, match="has been used"):
        undo_folder(path, IDENTITY.uuid, IDENTITY.replica, FILES, stored(path))
    folder = ReplicaFolder(path)
    folder.save(unused)
    folder.close()
    for _ in range(2):
        undo_folder(path, IDENTITY.uuid, IDENTITY.replica, FILES, stored(path))
    assert list(tmp_path.iterdir()) == []
