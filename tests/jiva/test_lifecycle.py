"""A volume's folders: all of them or none, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tierce import ConflictError, FormatError, VolumeSpec
from tierce_jiva.lifecycle import JivaLifecycle
from tierce_jiva.options import JivaOptions, ReplicaOptions

LIFECYCLE = JivaLifecycle()


@pytest.fixture
def volume(tmp_path: Path) -> VolumeSpec:
    replicas = tuple(ReplicaOptions(folder=str(tmp_path / f"node-{name}")) for name in "abc")
    return VolumeSpec(
        "demo", "00ff", 65536, 512, "jiva", JivaOptions(replicas), "iscsi", None, tmp_path
    )


def folders(volume: VolumeSpec) -> tuple[Path, ...]:
    return tuple(member.folder for member in LIFECYCLE.members(volume))


def test_members_are_named_by_their_place_in_the_config(volume: VolumeSpec) -> None:
    assert [member.name for member in LIFECYCLE.members(volume)] == [
        "replica-1",
        "replica-2",
        "replica-3",
    ]


def test_creating_and_deleting_can_be_repeated(volume: VolumeSpec) -> None:
    for _ in range(2):
        LIFECYCLE.create(volume)
    assert all((folder / "head-000.img").stat().st_size == 65536 for folder in folders(volume))
    for _ in range(2):
        LIFECYCLE.delete(volume)
    assert not any(folder.exists() for folder in folders(volume))


def test_if_one_folder_is_foreign_nothing_is_left_of_the_others(volume: VolumeSpec) -> None:
    third = folders(volume)[2]
    third.mkdir()
    (third / "letter").write_text("dear")
    with pytest.raises(ConflictError, match="letter"):
        LIFECYCLE.create(volume)
    assert [folder.exists() for folder in folders(volume)] == [False, False, True]
    assert [entry.name for entry in third.iterdir()] == ["letter"]


def test_a_creation_that_fails_leaves_alone_what_was_there_before_it(volume: VolumeSpec) -> None:
    LIFECYCLE.create(volume)
    first, _, third = folders(volume)
    (first / "head-000.img").write_bytes(b"x" * 65536)
    (third / "volume.json").unlink()
    (third / "letter").write_text("dear")
    with pytest.raises(ConflictError):
        LIFECYCLE.create(volume)
    assert (first / "head-000.img").read_bytes() == b"x" * 65536


def test_another_volumes_folders_are_not_deleted(volume: VolumeSpec) -> None:
    LIFECYCLE.create(volume)
    with pytest.raises(ConflictError, match="left alone"):
        LIFECYCLE.delete(attrs.evolve(volume, uuid="beef"))
    assert all((folder / "volume.json").exists() for folder in folders(volume))


def test_a_volume_is_read_back_from_its_folders_in_any_order(volume: VolumeSpec) -> None:
    LIFECYCLE.create(volume)
    for order in (folders(volume), folders(volume)[::-1]):
        found = LIFECYCLE.adopt(order)
        assert (found["name"], found["uuid"], found["size"]) == ("demo", "00ff", 65536)
        assert [one["folder"] for one in found["options"]["replicas"]] == list(
            map(str, folders(volume))
        )


def test_adopting_names_the_folders_that_are_missing(volume: VolumeSpec) -> None:
    LIFECYCLE.create(volume)
    with pytest.raises(ConflictError, match="replica-2 too"):
        LIFECYCLE.adopt((folders(volume)[0], folders(volume)[2]))
    with pytest.raises(ConflictError, match="name the folders"):
        LIFECYCLE.adopt(())


def test_adopting_refuses_what_is_no_replica_and_another_volumes_replica(
    volume: VolumeSpec, tmp_path: Path
) -> None:
    LIFECYCLE.create(volume)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError):
        LIFECYCLE.adopt((*folders(volume), tmp_path / "empty"))
    options = JivaOptions((ReplicaOptions(folder=str(tmp_path / "other")),))
    other = attrs.evolve(volume, name="other", uuid="beef", engine_options=options)
    LIFECYCLE.create(other)
    with pytest.raises(ConflictError, match="one volume at a time"):
        LIFECYCLE.adopt((*folders(volume), tmp_path / "other"))


def test_adopting_refuses_two_folders_that_claim_one_replica(
    volume: VolumeSpec, tmp_path: Path
) -> None:
    LIFECYCLE.create(volume)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "volume.json").write_bytes((folders(volume)[0] / "volume.json").read_bytes())
    with pytest.raises(ConflictError, match="both hold replica-1"):
        LIFECYCLE.adopt((*folders(volume), copy))
