"""A work is carried out as the engine's lifecycle does it, with what core does before and after."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from core.scenes import FolderLifecycle, Scene, note, volume
from core.triples import TripleLifecycle, triple
from tierce import ConflictError, Finding, FormatError, LocalVolume, PluginError, UsageError
from tierce.config import volume_from_mapping
from tierce.node.carrying_out import carry_out
from tierce.process.works import Call, Work, member_work, work_for


@pytest.fixture
def wanted(scene: Scene) -> LocalVolume:
    parsed = volume_from_mapping(volume(), scene.registry, base=scene.folder, origin="here")
    return LocalVolume.of(parsed, scene.paths.volume("demo"), uuid="ab" * 16, created=5.0)


def do(scene: Scene, call: Call, volume: LocalVolume, **more: object) -> object:
    return carry_out(scene.registry, work_for(call, volume, **more))


def test_a_volumes_own_folder_is_there_before_its_engine_makes_anything_and_goes_with_it(
    scene: Scene, wanted: LocalVolume
) -> None:
    do(scene, Call.CREATE, wanted)
    assert wanted.folder.is_dir()
    assert json.loads(note(scene).read_text())["uuid"] == wanted.uuid
    do(scene, Call.DELETE, wanted)
    do(scene, Call.DELETE, wanted)
    assert not wanted.folder.exists()
    assert not note(scene).parent.exists()


def test_a_removal_goes_in_steps_and_the_front_ends_folders_go_last(
    scene: Scene, wanted: LocalVolume
) -> None:
    do(scene, Call.CREATE, wanted)
    kept = wanted.frontend_folder("names") / "state"
    kept.parent.mkdir()
    kept.touch()
    folder = note(scene).parent
    do(scene, Call.CONDEMN, wanted)
    assert sorted(one.name for one in folder.iterdir()) == ["bytes", "deleted"]
    do(scene, Call.SPARE, wanted)
    assert sorted(one.name for one in folder.iterdir()) == ["bytes", "note"]
    do(scene, Call.CONDEMN, wanted)
    do(scene, Call.EMPTY, wanted)
    assert (sorted(one.name for one in folder.iterdir()), kept.exists()) == (["deleted"], True)
    do(scene, Call.TIDY, wanted)
    assert (folder.exists(), wanted.folder.exists()) == (False, False)


def test_whose_folders_they_are_is_found_with_what_is_lost_of_them(
    scene: Scene, wanted: LocalVolume
) -> None:
    do(scene, Call.CREATE, wanted)
    folder = str(note(scene).parent)
    found = do(scene, Call.IDENTIFY, wanted)
    assert isinstance(found, dict)
    assert (found["lost"], found["folders"]) == ([], [folder, folder])
    assert found["found"]["uuid"] == wanted.uuid
    do(scene, Call.DELETE, wanted)
    with pytest.raises(FormatError):
        do(scene, Call.IDENTIFY, wanted)


def test_folders_are_asked_for_a_volume_without_one(scene: Scene, wanted: LocalVolume) -> None:
    do(scene, Call.CREATE, wanted)
    work = Work(call=Call.ADOPT, engine="folder", folders=(note(scene).parent,), without=("two",))
    found = carry_out(scene.registry, work)
    assert (found["uuid"], found["loss"]) == (wanted.uuid, "two is lost")


def test_changes_and_losses_are_asked_of_the_engine(scene: Scene, wanted: LocalVolume) -> None:
    elsewhere = attrs.evolve(wanted.engine_options, folder="/elsewhere")
    with pytest.raises(ConflictError):
        do(scene, Call.CHECK_CHANGE, attrs.evolve(wanted, engine_options=elsewhere), before=wanted)
    do(scene, Call.CHECK_CHANGE, wanted, before=wanted)
    do(scene, Call.CREATE, wanted)
    with pytest.raises(UsageError, match="nothing is in doubt"):
        do(scene, Call.LOSS, wanted, keep="one")
    doubt = note(scene).with_name("doubt")
    doubt.touch()
    assert do(scene, Call.LOSS, wanted, keep="one") == "all but one may be lost"
    do(scene, Call.ACCEPT_LOSS, wanted, keep="one")
    assert not doubt.exists()


def test_a_bug_of_the_engine_is_told_by_its_plugin(scene: Scene, wanted: LocalVolume) -> None:
    FolderLifecycle.faults["create"] = SystemExit(3)
    with pytest.raises(PluginError, match="create of its lifecycle: SystemExit: 3"):
        do(scene, Call.CREATE, wanted)
    with pytest.raises(FormatError, match="keeps nothing in folders"):
        carry_out(scene.registry, Work(call=Call.ADOPT, engine="bare", folders=(Path("/a"),)))


def triples(scene: Scene) -> LocalVolume:
    parsed = volume_from_mapping(triple(), scene.registry, base=scene.folder, origin="here")
    return LocalVolume.of(parsed, scene.paths.volume("demo"), uuid="ab" * 16, created=5.0)


def test_what_is_done_for_a_member_is_done_for_that_one_alone(scene: Scene) -> None:
    volume = triples(scene)
    place = scene.folder / "demo-folder"
    folder = place / "two"

    def do_member(call: Call) -> list[str]:
        carry_out(scene.registry, member_work(call, volume, "two"))
        assert not {"one", "three"} & {one.name for one in place.iterdir()}
        return sorted(one.name for one in folder.iterdir()) if folder.exists() else []

    assert do_member(Call.CREATE_MEMBER) == ["bytes", "note"]
    assert do_member(Call.CONDEMN_MEMBER) == ["bytes", "deleted"]
    assert do_member(Call.SPARE_MEMBER) == ["bytes", "note"]
    assert do_member(Call.CONDEMN_MEMBER) == ["bytes", "deleted"]
    assert do_member(Call.EMPTY_MEMBER) == ["deleted"]
    assert do_member(Call.TIDY_MEMBER) == []
    do_member(Call.CREATE_MEMBER)
    assert do_member(Call.DELETE_MEMBER) == []


def test_a_members_own_folder_is_read_if_anything_is_there(scene: Scene) -> None:
    volume = triples(scene)
    folder = scene.folder / "demo-folder" / "two"
    identify = member_work(Call.IDENTIFY_MEMBER, volume, "two")
    assert carry_out(scene.registry, identify) == {"folder": str(folder), "found": None}
    carry_out(scene.registry, member_work(Call.CREATE_MEMBER, volume, "two"))
    found = carry_out(scene.registry, identify)["found"]
    assert (found["member"], found["uuid"]) == ("two", volume.uuid)
    read = Work(call=Call.ADOPT_MEMBER, engine="triple", folders=(folder,))
    assert carry_out(scene.registry, read) == found
    decide = Work(
        call=Call.ADOPT_FOUND,
        engine="triple",
        findings=(Finding(folder, found),),
        without=("one", "three"),
    )
    assert carry_out(scene.registry, decide)["uuid"] == volume.uuid


def test_a_bug_of_the_engine_in_a_member_is_told_by_its_plugin(scene: Scene) -> None:
    TripleLifecycle.faults["create_member", "two"] = SystemExit(3)
    with pytest.raises(PluginError, match="create_member of its lifecycle: SystemExit: 3"):
        carry_out(scene.registry, member_work(Call.CREATE_MEMBER, triples(scene), "two"))
