"""A volume is made whole, or nothing of it stays, whatever its engine does; others are served."""

from __future__ import annotations

from core.scenes import FolderLifecycle, Scene, note, volume


def test_a_creation_that_ends_in_a_bug_of_its_engine_is_undone_and_costs_no_other_volume(
    scene: Scene,
) -> None:
    scene.write(volume("other"))
    scene.start()
    scene.codes()
    FolderLifecycle.faults["create"] = RuntimeError("a bug")
    scene.write(volume(), volume("other"))
    inventory = scene.start()
    assert list(inventory.served) == ["other"]
    (refused,) = scene.events
    assert (refused.code, refused.subject) == ("volume.refused", "volume/demo")
    assert "volume demo" in refused.message
    assert "RuntimeError: a bug" in refused.message
    # Nothing of it is left: the next try begins anew.
    assert list(inventory.records()) == ["other"]
    assert not note(scene).parent.exists()
    assert not (scene.paths.data / "volumes" / "demo").exists()
    FolderLifecycle.faults.clear()
    assert list(scene.start().served) == ["demo", "other"]


def test_a_creation_that_can_be_neither_done_nor_undone_is_told_and_forgotten(
    scene: Scene,
) -> None:
    FolderLifecycle.faults["create"] = RuntimeError("a bug")
    FolderLifecycle.faults["delete"] = RuntimeError("another bug")
    scene.write(volume())
    inventory = scene.start()
    assert (dict(inventory.served), inventory.records()) == ({}, {})
    codes = [event.code for event in scene.events]
    assert codes == ["volume.left-over", "volume.refused"]
    assert "RuntimeError: another bug" in scene.events[0].message
