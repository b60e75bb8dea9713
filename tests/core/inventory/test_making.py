"""A volume is made whole or not at all, and a crash in between is gone on from."""

from __future__ import annotations

import errno

import pytest

from core import in_place
from core.scenes import Crash, FolderLifecycle, Scene, note, volume
from tierce import ConflictError, TemporaryError, TierceError, UsageError
from tierce.state import Phase


def create(scene: Scene) -> None:
    scene.write()
    in_place.create(scene.start(), volume(), base=scene.folder)


def test_it_is_ready_when_its_folders_are_there(scene: Scene) -> None:
    create(scene)
    record = scene.store.volume("demo")
    assert record is not None
    assert (record.phase, note(scene).exists()) == (Phase.READY, True)
    (told,) = (event for event in scene.events if event.code == "volume.created")
    assert told.fields["took_ns"] >= 0


@pytest.mark.parametrize(
    ("fault", "raised", "said"),
    [
        (OSError(errno.EIO, "Input/output error"), ConflictError, "Input/output error"),
        (OSError(errno.EFBIG, "File too large"), UsageError, "make it smaller, or choose"),
        (TemporaryError("later"), TemporaryError, "later"),
        (ConflictError("it is another's"), ConflictError, "it is another's"),
    ],
)
def test_what_can_not_be_made_leaves_nothing_behind(
    scene: Scene, fault: Exception, raised: type[TierceError], said: str
) -> None:
    FolderLifecycle.faults["create"] = fault
    with pytest.raises(raised, match=said):
        create(scene)
    assert scene.store.volume("demo") is None
    assert not note(scene).exists()
    assert "volume.left-over" not in scene.codes()


def test_what_is_left_of_it_is_told(scene: Scene) -> None:
    FolderLifecycle.faults["create"] = TemporaryError("later")
    FolderLifecycle.faults["delete"] = ZeroDivisionError("by zero")
    with pytest.raises(TemporaryError, match="later"):
        create(scene)
    (left,) = [event for event in scene.events if event.code == "volume.left-over"]
    assert left.message.startswith("volume demo was not made, and something is left of it: ")
    assert left.message.endswith("ZeroDivisionError: by zero")


def test_a_crash_leaves_an_intent_from_which_the_next_server_goes_on(scene: Scene) -> None:
    scene.write(volume())
    FolderLifecycle.faults["create"] = Crash()
    with pytest.raises(Crash):
        scene.start()
    intent = scene.store.volume("demo")
    assert intent is not None
    assert intent.phase is Phase.CREATING
    FolderLifecycle.faults.clear()
    inventory = scene.start()
    assert inventory.find("demo").uuid == intent.uuid
    assert inventory.find("demo").phase is Phase.READY
    assert "demo" in inventory.made


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
