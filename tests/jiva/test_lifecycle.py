"""A volume's folders: all of them or none, and nobody else's."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import attrs
import pytest

from jiva.whole import WholeJiva
from recorded_disk import LateFiles, RecordedDisk
from tierce import ConflictError, FormatError, LocalVolume, TemporaryError, UsageError
from tierce_jiva.ballot import Ballot, Membership
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.removing import Place, look

LIFECYCLE = WholeJiva()


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    replicas = tuple(ReplicaOptions(folder=str(tmp_path / f"node-{name}")) for name in "abc")
    return LocalVolume(
        "demo", "00ff", 65536, 512, "jiva", JivaOptions(replicas), (), folder=tmp_path
    )


def folders(volume: LocalVolume) -> tuple[Path, ...]:
    return tuple(member.folder for member in LIFECYCLE.members(volume))


def test_members_are_named_by_their_place_in_the_config(volume: LocalVolume) -> None:
    assert [member.name for member in LIFECYCLE.members(volume)] == [
        "replica-1",
        "replica-2",
        "replica-3",
    ]


def delete(volume: LocalVolume, *without: str) -> None:
    LIFECYCLE.condemn(volume, without)
    LIFECYCLE.empty(volume, without)
    LIFECYCLE.tidy(volume, without)


def places(volume: LocalVolume) -> list[Place]:
    return [look(one.folder, volume.uuid, one.name) for one in LIFECYCLE.members(volume)]


def test_creating_and_every_step_of_deleting_can_be_repeated(volume: LocalVolume) -> None:
    for _ in range(2):
        LIFECYCLE.create(volume)
    assert all((folder / "head-000.img").stat().st_size == 65536 for folder in folders(volume))
    for step in (LIFECYCLE.condemn, LIFECYCLE.empty, LIFECYCLE.tidy):
        for _ in range(2):
            step(volume, ())
    assert not any(folder.exists() for folder in folders(volume))


def test_a_creation_that_is_given_up_leaves_nothing(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    for _ in range(2):
        LIFECYCLE.delete(volume)
    assert not any(folder.exists() for folder in folders(volume))


def test_with_one_disk_not_mounted_nothing_goes_until_it_is_back(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    third = folders(volume)[2]
    away = third.with_name("unmounted")
    third.rename(away)
    for mount_point in (False, True):
        if mount_point:
            third.mkdir()
        with pytest.raises(TemporaryError, match=f"^replica-3: nothing is found in {third}: mount"):
            LIFECYCLE.condemn(volume, ())
        # The others are marked, and have all that they had.
        assert places(volume) == [Place.DELETED, Place.DELETED, Place.LOST]
        LIFECYCLE.spare(volume)
        assert places(volume) == [Place.WHOLE, Place.WHOLE, Place.LOST]
    third.rmdir()
    away.rename(third)
    LIFECYCLE.condemn(volume, ())
    # And gone again when its bytes should go: the others' go, it is waited for.
    third.rename(away)
    with pytest.raises(TemporaryError, match=r"^replica-3: nothing is found"):
        LIFECYCLE.empty(volume, ())
    assert not (folders(volume)[0] / "head-000.img").exists()
    away.rename(third)
    LIFECYCLE.empty(volume, ())
    LIFECYCLE.tidy(volume, ())
    assert not any(folder.exists() for folder in folders(volume))


def test_a_lost_or_damaged_replica_is_left_out_by_name(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    (folders(volume)[1] / "volume.json").write_bytes(b"damaged")
    with pytest.raises(ConflictError, match="delete demo --without replica-2` deletes the rest"):
        LIFECYCLE.condemn(volume, ())
    assert places(
        attrs.evolve(volume, engine_options=JivaOptions(volume.engine_options.replicas[:1]))
    ) == [Place.WHOLE]
    assert LIFECYCLE.parts(volume) == ("replica-1", "replica-2", "replica-3")
    delete(volume, "replica-2")
    assert [folder.exists() for folder in folders(volume)] == [False, True, False]


def test_a_deletion_is_taken_back_while_all_bytes_are_there(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    LIFECYCLE.spare(volume)
    LIFECYCLE.condemn(volume, ())
    assert places(volume) == [Place.DELETED] * 3
    LIFECYCLE.spare(volume)
    assert places(volume) == [Place.WHOLE] * 3
    LIFECYCLE.condemn(volume, ())
    (folders(volume)[0] / "head-000.img").unlink()
    with pytest.raises(UsageError, match="the bytes of replica-1 are gone"):
        LIFECYCLE.spare(volume)


def test_what_says_that_it_is_deleted_is_not_adopted(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    LIFECYCLE.condemn(volume, ())
    with pytest.raises(ConflictError, match="was being deleted"):
        LIFECYCLE.adopt(folders(volume))


def test_if_one_folder_is_foreign_nothing_is_left_of_the_others(volume: LocalVolume) -> None:
    third = folders(volume)[2]
    third.mkdir()
    (third / "letter").write_text("dear")
    with pytest.raises(ConflictError, match="letter"):
        LIFECYCLE.create(volume)
    assert [folder.exists() for folder in folders(volume)] == [False, False, True]
    assert [entry.name for entry in third.iterdir()] == ["letter"]


def test_a_making_that_is_repeated_or_fails_leaves_alone_what_was_there_before_it(
    volume: LocalVolume,
) -> None:
    LIFECYCLE.create(volume)
    first, _, third = folders(volume)
    (first / "head-000.img").write_bytes(b"x" * 65536)
    (third / "volume.json").unlink()
    (third / "letter").write_text("dear")
    one, _, other = LIFECYCLE.members(volume)
    LIFECYCLE.create_member(volume, one)
    before = sorted(entry.name for entry in third.iterdir())
    with pytest.raises(ConflictError):
        LIFECYCLE.create_member(volume, other)
    assert (first / "head-000.img").read_bytes() == b"x" * 65536
    assert sorted(entry.name for entry in third.iterdir()) == before


def test_another_volumes_folders_are_not_deleted(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    stranger = attrs.evolve(volume, uuid="beef")
    LIFECYCLE.delete(stranger)
    with pytest.raises(ConflictError, match="left alone"):
        LIFECYCLE.condemn(stranger, ())
    assert places(volume) == [Place.WHOLE] * 3


def with_folders(volume: LocalVolume, *names: str) -> LocalVolume:
    first = folders(volume)[0]
    replicas = tuple(ReplicaOptions(folder=str(first.parent / name)) for name in names)
    return attrs.evolve(volume, engine_options=JivaOptions(replicas))


def test_edited_replicas_must_be_the_same_ones(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    LIFECYCLE.check_change(volume, volume)
    with pytest.raises(ConflictError, match="made with 3 replicas, `replicas:` names 2"):
        LIFECYCLE.check_change(volume, with_folders(volume, "node-a", "node-b"))
    with pytest.raises(ConflictError, match=r"node-x does not hold it: say .*node-b"):
        LIFECYCLE.check_change(volume, with_folders(volume, "node-a", "node-x", "node-c"))
    with pytest.raises(ConflictError, match="does not hold it"):
        LIFECYCLE.check_change(volume, with_folders(volume, "node-b", "node-a", "node-c"))
    moved = with_folders(volume, "node-a", "node-x", "node-c")
    folders(volume)[1].rename(folders(moved)[1])
    LIFECYCLE.check_change(volume, moved)
    # One that is lost in the old place and in the new: it has no place.
    (folders(moved)[1]).rename(folders(moved)[1].with_name("lost"))
    LIFECYCLE.check_change(volume, moved)


def test_a_volume_is_read_back_from_its_folders_in_any_order(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    for order in (folders(volume), folders(volume)[::-1]):
        found = LIFECYCLE.adopt(order)
        assert (found["name"], found["uuid"], found["size"]) == ("demo", "00ff", 65536)
        assert [one["folder"] for one in found["options"]["replicas"]] == list(
            map(str, folders(volume))
        )


def accept(folder: Path, sequence: int, *in_sync: str) -> None:
    """A target has been there, and this replica has accepted what it proposed."""
    opened = ReplicaFolder(folder)
    ballot = Ballot(7, 7)
    accepted = Membership(ballot, sequence, opened.identity.members, in_sync)
    opened.save(attrs.evolve(opened.record, promised=ballot, accepted=accepted))
    opened.close()


def test_a_volume_is_taken_back_without_a_replica_that_is_lost(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    first, second, third = folders(volume)
    accept(first, 1, "replica-1", "replica-2", "replica-3")
    accept(second, 2, "replica-2", "replica-3")
    found = LIFECYCLE.adopt((second, first), ("replica-3",))
    named = [one["folder"] for one in found["options"]["replicas"]]
    # It stays a member, so that two of three decide, and has a folder that is not there.
    assert named[:2] == [str(first), str(second)]
    assert not Path(named[2]).exists()
    assert "replica-3 is lost" in found["loss"]
    assert "Nothing that was acknowledged is lost" in found["loss"]
    assert "replica-2 held every" in found["loss"]
    again = with_folders(volume, "node-a", "node-b", Path(named[2]).name)
    shutil.rmtree(third)
    LIFECYCLE.check_change(again, volume)


def test_taking_back_without_the_only_one_that_had_everything_says_so(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    first, second, _third = folders(volume)
    accept(first, 1, "replica-1", "replica-3")
    accept(second, 2, "replica-3")
    loss = LIFECYCLE.adopt((first, second), ("replica-3",))["loss"]
    assert "Only replica-3 held every acknowledged write" in loss


def test_taking_back_without_a_majority_is_refused(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    with pytest.raises(ConflictError, match="no majority"):
        LIFECYCLE.adopt(folders(volume)[:1], ("replica-2", "replica-3"))


def test_what_is_said_to_be_lost_must_be_a_replica_and_not_there(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    with pytest.raises(ConflictError, match="has replicas replica-1, replica-2, replica-3, not"):
        LIFECYCLE.adopt(folders(volume), ("replica-4",))
    with pytest.raises(ConflictError, match="holds replica-3, which is said to be lost"):
        LIFECYCLE.adopt(folders(volume), ("replica-3",))


def test_adopting_names_the_folders_that_are_missing(volume: LocalVolume) -> None:
    LIFECYCLE.create(volume)
    with pytest.raises(ConflictError, match="replica-2 too, or say --without replica-2"):
        LIFECYCLE.adopt((folders(volume)[0], folders(volume)[2]))
    with pytest.raises(ConflictError, match="name the folders"):
        LIFECYCLE.adopt(())


def test_adopting_refuses_what_is_no_replica_and_another_volumes_replica(
    volume: LocalVolume, tmp_path: Path
) -> None:
    LIFECYCLE.create(volume)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConflictError, match="is empty: mount its disk"):
        LIFECYCLE.adopt((*folders(volume), tmp_path / "empty"))
    (tmp_path / "empty" / "letter").touch()
    with pytest.raises(FormatError):
        LIFECYCLE.adopt((*folders(volume), tmp_path / "empty"))
    options = JivaOptions((ReplicaOptions(folder=str(tmp_path / "other")),))
    other = attrs.evolve(volume, name="other", uuid="beef", engine_options=options)
    LIFECYCLE.create(other)
    with pytest.raises(ConflictError, match="one volume at a time"):
        LIFECYCLE.adopt((*folders(volume), tmp_path / "other"))


def test_adopting_refuses_two_folders_that_claim_one_replica(
    volume: LocalVolume, tmp_path: Path
) -> None:
    LIFECYCLE.create(volume)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "volume.json").write_bytes((folders(volume)[0] / "volume.json").read_bytes())
    with pytest.raises(ConflictError, match="both hold replica-1"):
        LIFECYCLE.adopt((*folders(volume), copy))


#: Of what was not yet synced: nothing is left, all is, or some of it.
KEEPS = (0.0, 1.0, 0.5, 0.5)


def live(lifecycle: WholeJiva, volume: LocalVolume, disk: RecordedDisk) -> None:
    """Make and delete a volume."""
    lifecycle.create(volume)
    disk.note("done", "create")
    for step in (lifecycle.condemn, lifecycle.empty, lifecycle.tidy):
        step(volume, ())
        disk.note("done", step.__name__)


def judge(volume: LocalVolume, done: set[str], *, is_kept: bool) -> None:
    """Go on after a loss of power as the server would; the phase says which steps were done."""
    if "create" not in done:
        LIFECYCLE.create(volume) if is_kept else LIFECYCLE.delete(volume)
        assert places(volume) == [Place.WHOLE if is_kept else Place.LOST] * 2, "half made"
        return
    if "condemn" not in done:
        if is_kept:
            LIFECYCLE.spare(volume)
            assert places(volume) == [Place.WHOLE] * 2, "bytes went before all said so"
            for folder in folders(volume):
                ReplicaFolder(folder).close()
            return
        LIFECYCLE.condemn(volume, ())
    elif "empty" not in done:
        assert places(volume) == [Place.DELETED] * 2, "it came back to life"
    if "empty" not in done:
        LIFECYCLE.empty(volume, ())
    LIFECYCLE.tidy(volume, ())
    left = [str(path) for path in folders(volume)[0].parent.parent.rglob("*") if path.is_file()]
    assert left == [], "files are left"


def explore(root: Path, volume: LocalVolume, ignored: tuple[str, ...] = ()) -> int:
    root.mkdir()
    disk = RecordedDisk(root, ignored)
    with disk:
        live(WholeJiva(files=LateFiles()), volume, disk)
    random, tried = Random(3), 0
    for is_kept in (True, False):
        for count in disk.states(KEEPS, random):
            done = {arguments[0] for what, arguments in disk.log[:count] if what == "done"}
            judge(volume, done, is_kept=is_kept)
            tried += 1
    return tried


def test_power_may_be_lost_at_every_point_of_making_and_deleting(
    volume: LocalVolume, tmp_path: Path
) -> None:
    small = attrs.evolve(with_folders(volume, "disk/x/a", "disk/y"), size_bytes=4096)
    tried = explore(tmp_path / "disk", small)
    print(f"{tried} crash states explored")
    assert tried > 500


@pytest.mark.parametrize(
    ("call", "loss"),
    [
        ("fsync", "half made|is no|FormatError"),
        (
            "sync_folder",
            "half made|came back|went before|files are left|nothing is found|not empty",
        ),
    ],
)
def test_leaving_a_sync_out_of_making_and_deleting_is_found_out(
    volume: LocalVolume, tmp_path: Path, call: str, loss: str
) -> None:
    small = attrs.evolve(with_folders(volume, "disk/x/a", "disk/y"), size_bytes=4096)
    with pytest.raises((AssertionError, ConflictError, FormatError, TemporaryError), match=loss):
        explore(tmp_path / "disk", small, ignored=(call,))


@pytest.mark.parametrize("is_kept", [True, False])
def test_power_may_be_lost_at_every_point_of_giving_up_what_is_made(
    volume: LocalVolume, tmp_path: Path, is_kept: bool
) -> None:
    """The server goes on as it does with a creation that was cut off: it makes it, or undoes it."""
    small = attrs.evolve(with_folders(volume, "disk/x/a", "disk/y"), size_bytes=4096)
    root = tmp_path / "disk"
    root.mkdir()
    LIFECYCLE.create(small)
    disk = RecordedDisk(root)
    with disk:
        WholeJiva(files=LateFiles()).delete(small)
    for _count in disk.states(KEEPS, Random(3)):
        if is_kept:
            LIFECYCLE.create(small)
            for folder in folders(small):
                ReplicaFolder(folder).close()
                assert (folder / "head-000.img").stat().st_size == 4096
        else:
            LIFECYCLE.delete(small)
            left = [path for path in root.rglob("*") if path.is_file()]
            assert left == [], "files are left"
