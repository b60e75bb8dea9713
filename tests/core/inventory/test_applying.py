"""A config file is applied while engines take their time: each volume is served as it was until
what is to be done for it is done, and no other waits."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from core.in_place import begin_delete, create
from core.scenes import FolderLifecycle, Scene, note, volume
from tierce import ConflictError, TemporaryError
from tierce.config import load_config
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.works import Call
from tierce.state import Phase


def reload(scene: Scene, inventory: VolumeInventory, *volumes: Any) -> list[str]:
    """Apply a file with these volumes; return what is told when all of it is done."""
    settled: list[str] = []
    scene.write(*volumes)
    config = load_config(scene.file, scene.registry, is_lenient=True)
    inventory.apply(config, settled=lambda: settled.append("settled"))
    return settled


def waits(scene: Scene) -> list[Call]:
    return [work.call for work, _done in scene.worker.waiting]


@pytest.fixture
def inventory(scene: Scene) -> VolumeInventory:
    """One that serves a volume; from now on engines take their time."""
    scene.write(volume("other"))
    started = scene.start()
    scene.codes()
    scene.worker.waits = True
    return started


def test_a_volume_that_must_be_made_keeps_no_other_from_being_served(
    scene: Scene, inventory: VolumeInventory
) -> None:
    settled = reload(scene, inventory, volume(), volume("third", folder="./three"), volume("other"))
    assert (list(inventory.served), waits(scene)) == (["other"], [Call.CREATE, Call.CREATE])
    assert inventory.pending == {"demo", "third"}
    assert inventory.unserved_why(inventory.find("demo")) == (
        "it waits for create of the engine folder, which is under way"
    )
    version = inventory.version
    scene.worker.work_off()
    assert sorted(inventory.served) == ["demo", "other"]
    assert inventory.version > version
    assert not settled
    scene.worker.work_off()
    assert (inventory.pending, settled) == (frozenset(), ["settled"])
    assert scene.codes() == ["volume.created", "volume.created"]


def test_one_that_can_not_be_made_is_refused_when_that_is_known(
    scene: Scene, inventory: VolumeInventory
) -> None:
    FolderLifecycle.faults["create"] = ConflictError("the disk is another's")
    settled = reload(scene, inventory, volume(), volume("other"))
    for call in (Call.CREATE, Call.DELETE, Call.IDENTIFY):
        assert waits(scene) == [call]
        assert not settled
        scene.worker.work_off()
    assert "the disk is another's" in inventory.refused["demo"]
    assert (settled, list(inventory.records())) == (["settled"], ["other"])


def test_a_volume_is_served_as_it_was_while_its_new_options_are_looked_at(
    scene: Scene, inventory: VolumeInventory
) -> None:
    before = inventory.served["other"]
    reload(scene, inventory, volume("other", tone="high"))
    assert (inventory.served["other"], waits(scene)) == (before, [Call.CHECK_CHANGE])
    scene.worker.work_off()
    assert inventory.served["other"].volume.engine_options.tone == "high"
    reload(scene, inventory, volume("other", folder="./elsewhere"))
    now = inventory.served["other"]
    scene.worker.work_off()
    assert inventory.served["other"] == now
    assert "volume other lies in" in inventory.refused["other"]


def test_what_has_not_changed_is_not_looked_at(scene: Scene, inventory: VolumeInventory) -> None:
    changed = {**volume("other"), "filters": [{"name": "slow", "delay_ms": 5}]}
    assert reload(scene, inventory, changed) == ["settled"]
    assert waits(scene) == []
    assert inventory.served["other"].volume.filters[0][0] == "slow"


def test_a_newer_file_gives_up_what_makes_a_volume_by_the_one_before(
    scene: Scene, inventory: VolumeInventory
) -> None:
    settled = reload(scene, inventory, volume(), volume("other"))
    assert reload(scene, inventory, volume(size="2 MiB"), volume("other")) == []
    assert settled == ["settled"]
    assert waits(scene) == [Call.DELETE]
    scene.worker.work_off()
    assert waits(scene) == [Call.CREATE]
    scene.worker.work_off()
    assert inventory.served["demo"].volume.size_bytes == 2 << 20
    assert scene.codes() == ["volume.created"]


def test_the_same_file_again_waits_for_what_is_under_way(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory, volume(), volume("other"))
    settled = reload(scene, inventory, volume(), volume("other"))
    assert waits(scene) == [Call.CREATE]
    scene.worker.work_off()
    assert (list(inventory.served), settled) == (["other", "demo"], ["settled"])
    assert scene.codes() == ["volume.created"]


def test_what_left_the_file_while_it_was_made_is_not_served_and_can_be_deleted(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory, volume(), volume("other"))
    reload(scene, inventory, volume("other"))
    scene.worker.work_off()
    assert list(inventory.served) == ["other"]
    assert scene.codes() == ["volume.created", "volume.left-out"]
    begin_delete(inventory, "demo")
    assert inventory.due == {"demo"}


def test_a_file_takes_a_volume_back_whose_deletion_hangs(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory)
    begin_delete(inventory, "other")
    inventory.advance("other", lambda *_told: None)
    assert (waits(scene), inventory.due) == ([Call.CONDEMN], frozenset())
    reload(scene, inventory, volume("other"))
    assert waits(scene) == [Call.SPARE]
    scene.worker.work_off()
    assert list(inventory.served) == ["other"]
    assert note(scene, "other").exists()


def test_a_volume_that_is_deleted_while_its_options_are_looked_at_is_not_served_again(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory, volume("other", tone="high"))
    reload(scene, inventory)
    begin_delete(inventory, "other")
    assert (waits(scene), dict(inventory.served)) == ([], {})
    assert inventory.find("other").phase is Phase.DELETING
    assert inventory.due == {"other"}


def test_what_is_left_alone_while_a_deletion_hangs_is_left_alone_by_the_next_steps(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory)
    begin_delete(inventory, "other")
    inventory.advance("other", lambda *_told: None)
    scene.worker.work_off()
    assert waits(scene) == [Call.EMPTY]
    begin_delete(inventory, "other", ("two",))
    assert (waits(scene), list(inventory.due)) == ([], ["other"])
    inventory.advance("other", lambda *_told: None)
    scene.worker.work_off()
    ((work, _done),) = scene.worker.waiting
    assert (work.call, work.without) == (Call.TIDY, ("two",))


def test_a_deletion_that_is_under_way_is_not_begun_a_second_time(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory)
    begin_delete(inventory, "other")
    inventory.advance("other", lambda *_told: None)
    inventory.deletions.look_again()
    assert inventory.due == frozenset()
    FolderLifecycle.faults["condemn"] = TemporaryError("its disk sleeps")
    scene.worker.work_off()
    assert inventory.due == {"other"}


def test_two_volumes_of_one_identity_are_not_made_beside_each_other(
    scene: Scene, inventory: VolumeInventory
) -> None:
    # The front ends of these tests name a volume by its letters.
    first = inventory.check_new(volume("demo-1"), base=scene.folder)
    inventory.create(first, lambda *_told: None)
    with pytest.raises(Exception, match="volume demo-1 is served as demo already"):
        create(inventory, volume("demo-2"), base=scene.folder)


def test_a_fence_that_comes_while_options_are_looked_at_stays(
    scene: Scene, inventory: VolumeInventory
) -> None:
    reload(scene, inventory, volume("other", tone="high"))
    inventory.fence("other", "ballot 9 is elsewhere")
    scene.worker.work_off()
    assert inventory.find("other").fenced == "ballot 9 is elsewhere"
    assert attrs.evolve(inventory.served["other"].record, fenced="") != inventory.find("other")
