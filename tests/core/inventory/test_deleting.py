"""A volume goes in steps, each durable in the state before it begins; until the last of it says so,
nothing is gone and it can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.in_place import advance, begin_delete, cancel_delete, create, loss
from core.scenes import Crash, FolderLifecycle, Scene, note, volume
from tierce import ConflictError, TemporaryError, UsageError
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.state import Owner, Phase


def folder(scene: Scene) -> Path:
    return scene.folder / "demo-folder"


def names(scene: Scene) -> list[str]:
    return sorted(one.name for one in folder(scene).iterdir()) if folder(scene).exists() else []


@pytest.fixture
def inventory(scene: Scene) -> VolumeInventory:
    """One with a volume that the state owns."""
    scene.write()
    inventory = scene.start()
    create(inventory, volume(), base=scene.folder)
    scene.codes()
    return inventory


def test_a_volume_that_is_to_go_is_not_served_and_goes_when_nothing_of_it_runs(
    scene: Scene, inventory: VolumeInventory
) -> None:
    begin_delete(inventory, "demo")
    assert (list(inventory.served), list(inventory.due)) == ([], ["demo"])
    assert names(scene) == ["bytes", "note"]
    assert inventory.find("demo").phase is Phase.DELETING
    outcome = advance(inventory, "demo")
    assert (outcome.error, outcome.waits_for) == (None, "")
    assert (inventory.records(), inventory.due) == ({}, frozenset())
    assert names(scene) == []
    assert [one.fields["took_ns"] >= 0 for one in scene.events] == [True]
    assert scene.codes() == ["volume.deleted"]


@pytest.mark.parametrize(
    ("step", "phase", "left"),
    [
        ("condemn", Phase.DELETING, ["bytes", "deleted"]),
        ("empty", Phase.EMPTYING, ["deleted"]),
        ("tidy", Phase.CLEARING, []),
    ],
)
def test_a_crash_in_any_step_is_gone_on_with(
    scene: Scene, inventory: VolumeInventory, step: str, phase: Phase, left: list[str]
) -> None:
    begin_delete(inventory, "demo")
    FolderLifecycle.faults[step] = Crash()
    with pytest.raises(Crash):
        advance(inventory, "demo")
    FolderLifecycle.faults.clear()
    assert names(scene) == left
    inventory = scene.start()
    assert inventory.find("demo").phase is phase
    # Not before its processes have gone.
    assert (list(inventory.served), list(inventory.due)) == ([], ["demo"])
    assert advance(inventory, "demo").waits_for == ""
    assert (inventory.records(), names(scene)) == ({}, [])


def test_what_becomes_of_a_volume_while_a_step_is_under_way_is_kept_by_the_next(
    scene: Scene, inventory: VolumeInventory
) -> None:
    begin_delete(inventory, "demo")
    scene.worker.waits = True
    inventory.advance("demo", lambda *_told: None)
    inventory.fence("demo", "another writer has it")
    scene.worker.work_off()
    record = inventory.find("demo")
    assert (record.phase, record.fenced) == (Phase.EMPTYING, "another writer has it")


def test_what_is_out_of_reach_is_waited_for_and_said_once(
    scene: Scene, inventory: VolumeInventory
) -> None:
    away = folder(scene).with_name("unmounted")
    folder(scene).rename(away)
    begin_delete(inventory, "demo")
    for _ in range(2):
        waits_for = advance(inventory, "demo").waits_for
        assert waits_for.startswith(f"nothing is found of {folder(scene)}. Nothing of it is gone")
        assert "`tierce volume delete demo --cancel` keeps it" in waits_for
    assert scene.codes() == ["volume.delete-waits"]
    assert inventory.deletions.waits_for("demo") == waits_for
    assert (list(inventory.due), list(inventory.deletions.pending)) == ([], ["demo"])
    # The next server waits as well, and goes on when the disk is back.
    inventory = scene.start()
    advance(inventory, "demo")
    away.rename(folder(scene))
    inventory.deletions.look_again()
    assert inventory.due == {"demo"}
    advance(inventory, "demo")
    assert (inventory.records(), names(scene)) == ({}, [])


def test_a_part_that_is_lost_is_left_out_of_a_deletion_that_waits_and_of_the_next_servers(
    scene: Scene, inventory: VolumeInventory
) -> None:
    folder(scene).rename(folder(scene).with_name("lost"))
    begin_delete(inventory, "demo")
    advance(inventory, "demo")
    begin_delete(inventory, "demo", ("two",))
    inventory = scene.start()
    assert inventory.find("demo").without == ("two",)
    assert advance(inventory, "demo").waits_for == ""
    assert scene.events[-1].message == "volume demo was deleted, but for two"


def test_what_is_no_part_of_a_volume_can_not_be_left_out_and_nothing_begins(
    scene: Scene, inventory: VolumeInventory
) -> None:
    with pytest.raises(UsageError, match="demo has no three; its parts are: one, two"):
        begin_delete(inventory, "demo", ("three",))
    assert "demo" in inventory.served
    FolderLifecycle.faults["empty"] = TemporaryError("the disk sleeps")
    begin_delete(inventory, "demo")
    advance(inventory, "demo")
    with pytest.raises(UsageError, match="its parts are: one, two"):
        begin_delete(inventory, "demo", ("three",))
    FolderLifecycle.faults.clear()
    assert advance(inventory, "demo").waits_for == ""
    assert names(scene) == []


def test_a_deletion_that_can_not_be_done_is_over_and_the_volume_is_as_it_was(
    scene: Scene, inventory: VolumeInventory
) -> None:
    FolderLifecycle.faults["condemn"] = ConflictError("the folder holds something else")
    before = inventory.served["demo"]
    begin_delete(inventory, "demo", ("two",))
    outcome = advance(inventory, "demo")
    assert str(outcome.error) == "the folder holds something else"
    FolderLifecycle.faults.clear()
    assert names(scene) == ["bytes", "note"]
    assert dict(inventory.served) == {"demo": before}
    assert inventory.deletions.pending == frozenset()
    # Put into the file, it is the volume that it was.
    scene.reload(inventory, volume())
    assert inventory.served["demo"].volume == before.volume
    assert inventory.find("demo").owner is Owner.FILE


@pytest.mark.parametrize(
    "fault", [OSError(30, "Read-only file system", "/disk"), RuntimeError("a bug")]
)
def test_what_can_not_be_marked_as_staying_is_told(
    scene: Scene, inventory: VolumeInventory, fault: Exception
) -> None:
    FolderLifecycle.faults["condemn"] = ConflictError("no")
    FolderLifecycle.faults["spare"] = fault
    begin_delete(inventory, "demo")
    advance(inventory, "demo")
    assert scene.codes() == ["volume.not-spared"]
    assert "demo" in inventory.served


def test_a_deletion_that_waits_is_taken_back(scene: Scene, inventory: VolumeInventory) -> None:
    before = inventory.served["demo"]
    begin_delete(inventory, "demo")
    FolderLifecycle.faults["condemn"] = TemporaryError("the disk sleeps")
    advance(inventory, "demo")
    assert names(scene) == ["bytes", "deleted"]
    cancel_delete(inventory, "demo")
    assert names(scene) == ["bytes", "note"]
    assert dict(inventory.served) == {"demo": before}
    assert (inventory.due, scene.start().served["demo"]) == (frozenset(), before)


def test_what_is_gone_can_not_be_taken_back(scene: Scene, inventory: VolumeInventory) -> None:
    with pytest.raises(UsageError, match="is not being deleted"):
        cancel_delete(inventory, "demo")
    begin_delete(inventory, "demo")
    FolderLifecycle.faults["empty"] = OSError(5, "Input/output error", "/disk")
    assert advance(inventory, "demo").waits_for == (
        "/disk: Input/output error. Its other bytes are gone or go"
    )
    with pytest.raises(UsageError, match="bytes of it are gone already"):
        cancel_delete(inventory, "demo")
    with pytest.raises(UsageError, match="there is a volume demo already"):
        create(inventory, volume(), base=scene.folder)


def test_a_file_that_names_a_volume_that_waits_to_go_keeps_it(
    scene: Scene, inventory: VolumeInventory
) -> None:
    before = inventory.served["demo"].volume
    FolderLifecycle.faults["condemn"] = TemporaryError("the disk sleeps")
    begin_delete(inventory, "demo")
    advance(inventory, "demo")
    scene.codes()
    scene.reload(inventory, volume())
    assert inventory.served["demo"].volume == before
    assert (inventory.due, names(scene)) == (frozenset(), ["bytes", "note"])
    assert scene.codes() == ["volume.kept", "volume.owner-changed"]


@pytest.mark.parametrize("is_reload", [True, False])
def test_a_file_that_names_a_volume_of_which_bytes_are_gone_gets_none_until_it_has_gone(
    scene: Scene, inventory: VolumeInventory, is_reload: bool
) -> None:
    FolderLifecycle.faults["empty"] = TemporaryError("the disk sleeps")
    begin_delete(inventory, "demo")
    advance(inventory, "demo")
    scene.codes()
    scene.write(volume(), volume("other"))
    if is_reload:
        scene.reload(inventory, volume(), volume("other"))
    else:
        inventory = scene.start()
    assert list(inventory.served) == ["other"]
    assert "it is being deleted and bytes of it are gone" in scene.events[0].message
    FolderLifecycle.faults.clear()
    inventory.deletions.look_again()
    advance(inventory, "demo")
    assert names(scene) == []
    scene.reload(inventory, volume(), volume("other"))
    assert list(inventory.served) == ["demo", "other"]


def test_a_creation_that_did_not_end_is_deleted_at_once(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    FolderLifecycle.faults["create"] = Crash()
    with pytest.raises(Crash):
        create(inventory, volume(), base=scene.folder)
    FolderLifecycle.faults["create"] = ConflictError("not now")
    FolderLifecycle.faults["delete"] = OSError(5, "Input/output error", "/disk")
    scene.codes()
    inventory = scene.start()
    # What is left of it is told; it is not tried again and again.
    assert scene.codes() == ["volume.left-over", "volume.refused"]
    assert inventory.records() == {}
    FolderLifecycle.faults.clear()


def test_an_engine_of_few_words_deletes_in_one_step(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    bare = {"name": "demo", "size": "1 MiB", "engine": "bare", "frontend": "names"}
    create(inventory, bare, base=scene.folder)
    begin_delete(inventory, "demo")
    assert advance(inventory, "demo").waits_for == ""
    assert inventory.records() == {}


def test_a_loss_is_accepted_while_nothing_of_the_volume_runs(
    scene: Scene, inventory: VolumeInventory
) -> None:
    with pytest.raises(UsageError, match="nothing is in doubt"):
        loss(inventory, "demo", "")
    (folder(scene) / "doubt").touch()
    assert loss(inventory, "demo", "one") == "all but one may be lost"
    before = inventory.served["demo"]
    inventory.begin_accept("demo", "one")
    assert (list(inventory.served), list(inventory.due)) == ([], ["demo"])
    scene.reload(inventory)
    assert dict(inventory.served) == {}
    assert advance(inventory, "demo").error is None
    assert (dict(inventory.served), inventory.due) == ({"demo": before}, frozenset())
    assert not (folder(scene) / "doubt").exists()
    inventory.begin_accept("demo", "one")
    assert "nothing is in doubt" in str(advance(inventory, "demo").error)
    assert dict(inventory.served) == {"demo": before}
    assert note(scene).exists()
