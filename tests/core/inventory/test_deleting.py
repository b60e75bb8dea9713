"""A volume goes in steps, each durable in the state before it begins; until the last of it says so,
nothing is gone and it can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.scenes import Crash, FolderLifecycle, Scene, note, volume
from tierce import ConflictError, TemporaryError, UsageError
from tierce.inventory.volume_inventory import Catalogue
from tierce.state import Owner, Phase


def folder(scene: Scene) -> Path:
    return scene.folder / "demo-folder"


def names(scene: Scene) -> list[str]:
    return sorted(one.name for one in folder(scene).iterdir()) if folder(scene).exists() else []


@pytest.fixture
def catalogue(scene: Scene) -> Catalogue:
    """One with a volume that the state owns."""
    scene.write()
    catalogue = scene.start()
    catalogue.create(volume(), base=scene.folder)
    scene.codes()
    return catalogue


def test_a_volume_that_is_to_go_is_not_served_and_goes_when_nothing_of_it_runs(
    scene: Scene, catalogue: Catalogue
) -> None:
    catalogue.begin_delete("demo")
    assert (list(catalogue.served), list(catalogue.due)) == ([], ["demo"])
    assert names(scene) == ["bytes", "note"]
    assert catalogue.find("demo").phase is Phase.DELETING
    outcome = catalogue.advance("demo")
    assert (outcome.error, outcome.waits_for) == (None, "")
    assert (catalogue.records(), catalogue.due) == ({}, frozenset())
    assert names(scene) == []
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
    scene: Scene, catalogue: Catalogue, step: str, phase: Phase, left: list[str]
) -> None:
    catalogue.begin_delete("demo")
    FolderLifecycle.faults[step] = Crash()
    with pytest.raises(Crash):
        catalogue.advance("demo")
    FolderLifecycle.faults.clear()
    assert names(scene) == left
    catalogue = scene.start()
    assert catalogue.find("demo").phase is phase
    # Not before its processes have gone.
    assert (list(catalogue.served), list(catalogue.due)) == ([], ["demo"])
    assert catalogue.advance("demo").waits_for == ""
    assert (catalogue.records(), names(scene)) == ({}, [])


def test_what_is_out_of_reach_is_waited_for_and_said_once(
    scene: Scene, catalogue: Catalogue
) -> None:
    away = folder(scene).with_name("unmounted")
    folder(scene).rename(away)
    catalogue.begin_delete("demo")
    for _ in range(2):
        waits_for = catalogue.advance("demo").waits_for
        assert waits_for.startswith(f"nothing is found of {folder(scene)}. Nothing of it is gone")
        assert "`tierce volume delete demo --cancel` keeps it" in waits_for
    assert scene.codes() == ["volume.delete-waits"]
    assert catalogue.deletions.waits_for("demo") == waits_for
    assert (list(catalogue.due), list(catalogue.deletions.pending)) == ([], ["demo"])
    # The next server waits as well, and goes on when the disk is back.
    catalogue = scene.start()
    catalogue.advance("demo")
    away.rename(folder(scene))
    catalogue.deletions.look_again()
    assert catalogue.due == {"demo"}
    catalogue.advance("demo")
    assert (catalogue.records(), names(scene)) == ({}, [])


def test_a_part_that_is_lost_is_left_out_of_a_deletion_that_waits_and_of_the_next_servers(
    scene: Scene, catalogue: Catalogue
) -> None:
    folder(scene).rename(folder(scene).with_name("lost"))
    catalogue.begin_delete("demo")
    catalogue.advance("demo")
    catalogue.begin_delete("demo", ("two",))
    catalogue = scene.start()
    assert catalogue.find("demo").without == ("two",)
    assert catalogue.advance("demo").waits_for == ""
    assert scene.events[-1].message == "volume demo was deleted, but for two"


def test_what_is_no_part_of_a_volume_can_not_be_left_out_and_nothing_begins(
    scene: Scene, catalogue: Catalogue
) -> None:
    with pytest.raises(UsageError, match="demo has no three; its parts are: one, two"):
        catalogue.begin_delete("demo", ("three",))
    assert "demo" in catalogue.served
    FolderLifecycle.faults["empty"] = TemporaryError("the disk sleeps")
    catalogue.begin_delete("demo")
    catalogue.advance("demo")
    with pytest.raises(UsageError, match="its parts are: one, two"):
        catalogue.begin_delete("demo", ("three",))
    FolderLifecycle.faults.clear()
    assert catalogue.advance("demo").waits_for == ""
    assert names(scene) == []


def test_a_deletion_that_can_not_be_done_is_over_and_the_volume_is_as_it_was(
    scene: Scene, catalogue: Catalogue
) -> None:
    FolderLifecycle.faults["condemn"] = ConflictError("the folder holds something else")
    before = catalogue.served["demo"]
    catalogue.begin_delete("demo", ("two",))
    outcome = catalogue.advance("demo")
    assert str(outcome.error) == "the folder holds something else"
    FolderLifecycle.faults.clear()
    assert names(scene) == ["bytes", "note"]
    assert dict(catalogue.served) == {"demo": before}
    assert catalogue.deletions.pending == frozenset()
    # Put into the file, it is the volume that it was.
    scene.reload(catalogue, volume())
    assert catalogue.served["demo"].spec == before.spec
    assert catalogue.find("demo").owner is Owner.FILE


def test_what_can_not_be_marked_as_staying_is_told(scene: Scene, catalogue: Catalogue) -> None:
    FolderLifecycle.faults["condemn"] = ConflictError("no")
    FolderLifecycle.faults["spare"] = OSError(30, "Read-only file system", "/disk")
    catalogue.begin_delete("demo")
    catalogue.advance("demo")
    assert scene.codes() == ["volume.not-spared"]
    assert "demo" in catalogue.served


def test_a_deletion_that_waits_is_taken_back(scene: Scene, catalogue: Catalogue) -> None:
    before = catalogue.served["demo"]
    catalogue.begin_delete("demo")
    FolderLifecycle.faults["condemn"] = TemporaryError("the disk sleeps")
    catalogue.advance("demo")
    assert names(scene) == ["bytes", "deleted"]
    catalogue.cancel_delete("demo")
    assert names(scene) == ["bytes", "note"]
    assert dict(catalogue.served) == {"demo": before}
    assert (catalogue.due, scene.start().served["demo"]) == (frozenset(), before)


def test_what_is_gone_can_not_be_taken_back(scene: Scene, catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match="is not being deleted"):
        catalogue.cancel_delete("demo")
    catalogue.begin_delete("demo")
    FolderLifecycle.faults["empty"] = OSError(5, "Input/output error", "/disk")
    assert catalogue.advance("demo").waits_for == (
        "/disk: Input/output error. Its other bytes are gone or go"
    )
    with pytest.raises(UsageError, match="bytes of it are gone already"):
        catalogue.cancel_delete("demo")
    with pytest.raises(UsageError, match="there is a volume demo already"):
        catalogue.create(volume(), base=scene.folder)


def test_a_file_that_names_a_volume_that_waits_to_go_keeps_it(
    scene: Scene, catalogue: Catalogue
) -> None:
    before = catalogue.served["demo"].spec
    FolderLifecycle.faults["condemn"] = TemporaryError("the disk sleeps")
    catalogue.begin_delete("demo")
    catalogue.advance("demo")
    scene.codes()
    scene.reload(catalogue, volume())
    assert catalogue.served["demo"].spec == before
    assert (catalogue.due, names(scene)) == (frozenset(), ["bytes", "note"])
    assert scene.codes() == ["volume.kept", "volume.owner-changed"]


@pytest.mark.parametrize("is_reload", [True, False])
def test_a_file_that_names_a_volume_of_which_bytes_are_gone_gets_none_until_it_has_gone(
    scene: Scene, catalogue: Catalogue, is_reload: bool
) -> None:
    FolderLifecycle.faults["empty"] = TemporaryError("the disk sleeps")
    catalogue.begin_delete("demo")
    catalogue.advance("demo")
    scene.codes()
    scene.write(volume(), volume("other"))
    if is_reload:
        scene.reload(catalogue, volume(), volume("other"))
    else:
        catalogue = scene.start()
    assert list(catalogue.served) == ["other"]
    assert "it is being deleted and bytes of it are gone" in scene.events[0].message
    FolderLifecycle.faults.clear()
    catalogue.deletions.look_again()
    catalogue.advance("demo")
    assert names(scene) == []
    scene.reload(catalogue, volume(), volume("other"))
    assert list(catalogue.served) == ["demo", "other"]


def test_a_creation_that_did_not_end_is_deleted_at_once(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    FolderLifecycle.faults["create"] = Crash()
    with pytest.raises(Crash):
        catalogue.create(volume(), base=scene.folder)
    FolderLifecycle.faults["create"] = ConflictError("not now")
    FolderLifecycle.faults["delete"] = OSError(5, "Input/output error", "/disk")
    scene.codes()
    catalogue = scene.start()
    # What is left of it is told; it is not tried again and again.
    assert scene.codes() == ["volume.left-over", "volume.refused"]
    assert catalogue.records() == {}
    FolderLifecycle.faults.clear()


def test_an_engine_of_few_words_deletes_in_one_step(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    bare = {"name": "demo", "size": "1 MiB", "engine": "bare", "frontend": "names"}
    catalogue.create(bare, base=scene.folder)
    catalogue.begin_delete("demo")
    assert catalogue.advance("demo").waits_for == ""
    assert catalogue.records() == {}


def test_a_loss_is_accepted_while_nothing_of_the_volume_runs(
    scene: Scene, catalogue: Catalogue
) -> None:
    with pytest.raises(UsageError, match="nothing is in doubt"):
        catalogue.loss("demo", "")
    (folder(scene) / "doubt").touch()
    assert catalogue.loss("demo", "one") == "all but one may be lost"
    before = catalogue.served["demo"]
    catalogue.begin_accept("demo", "one")
    assert (list(catalogue.served), list(catalogue.due)) == ([], ["demo"])
    scene.reload(catalogue)
    assert dict(catalogue.served) == {}
    assert catalogue.advance("demo").error is None
    assert (dict(catalogue.served), catalogue.due) == ({"demo": before}, frozenset())
    assert not (folder(scene) / "doubt").exists()
    catalogue.begin_accept("demo", "one")
    assert "nothing is in doubt" in str(catalogue.advance("demo").error)
    assert dict(catalogue.served) == {"demo": before}
    assert note(scene).exists()
