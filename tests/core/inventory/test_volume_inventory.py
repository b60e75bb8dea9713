"""Which volumes there are, who owns them, making them; with an engine of folders."""

from __future__ import annotations

import errno
import json
import shutil
from functools import partial

import attrs
import pytest

from core.in_place import adopt, advance, begin_delete, create
from core.scenes import Crash, FolderLifecycle, Scene, note, volume
from recorded_disk import RecordedDisk
from tierce import ConflictError, Event, LocalVolume, PluginError, UsageError
from tierce.config import load_config
from tierce.inventory.adoption import Adoption, adopt_without_server
from tierce.inventory.planning import plan_all, policy_documents
from tierce.node.carrying_out import carry_out
from tierce.state import Owner, Phase


def test_a_volume_of_the_file_is_made_once_and_found_again(scene: Scene) -> None:
    scene.write(volume())
    served = scene.start().served["demo"]
    assert served.record.owner is Owner.FILE
    assert json.loads(note(scene).read_text())["uuid"] == served.volume.uuid
    assert scene.codes() == ["volume.created"]
    assert scene.start().served["demo"] == served
    assert scene.codes() == []


def test_a_crash_while_making_is_gone_on_with_by_uuid(scene: Scene) -> None:
    scene.write(volume())
    FolderLifecycle.faults["create"] = Crash()
    with pytest.raises(Crash):
        scene.start()
    uuid = json.loads(note(scene).read_text())["uuid"]
    FolderLifecycle.faults.clear()
    assert scene.start().served["demo"].volume.uuid == uuid


def test_what_a_crash_left_of_another_plan_is_removed_first(scene: Scene) -> None:
    scene.write(volume())
    FolderLifecycle.faults["create"] = Crash()
    with pytest.raises(Crash):
        scene.start()
    FolderLifecycle.faults.clear()
    uuid = json.loads(note(scene).read_text())["uuid"]
    scene.write(volume(size="2 MiB"))
    served = scene.start().served["demo"]
    assert served.volume.uuid != uuid
    assert served.volume.size_bytes == 2 << 20
    assert scene.codes() == ["volume.created"]


def test_of_two_volumes_of_one_identity_the_first_is_served(scene: Scene) -> None:
    scene.write(volume("demo1"), volume("demo2"))
    inventory = scene.start()
    assert list(inventory.served) == ["demo1"]
    assert "and the volume 'demo1' too" in inventory.refused["demo2"]


def test_what_is_wanted_is_what_the_file_names_or_the_state_owns(scene: Scene) -> None:
    scene.write(volume("demo"))
    inventory = scene.start()
    create(inventory, volume("other"), base=scene.folder)
    records = inventory.records()
    assert [inventory.is_wanted(records[name]) for name in ("demo", "other")] == [True, True]
    assert inventory.made == {"demo", "other"}
    scene.reload(inventory)
    begin_delete(inventory, "other")
    records = inventory.records()
    assert [inventory.is_wanted(records[name]) for name in ("demo", "other")] == [False, False]
    assert "does not name it any more" in inventory.unserved_why(records["demo"])


def test_a_volume_that_left_the_file_is_kept_but_not_served(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    scene.reload(inventory)
    scene.reload(inventory)
    assert inventory.served == {}
    assert scene.codes() == ["volume.created", "volume.left-out"]
    assert note(scene).exists()
    scene.reload(inventory, volume())
    assert "demo" in inventory.served
    scene.reload(inventory)
    begin_delete(inventory, "demo")
    advance(inventory, "demo")
    assert not note(scene).exists()


def test_of_a_volume_of_memory_that_left_the_file_nothing_is_said_to_stay(scene: Scene) -> None:
    scene.write({"name": "demo", "size": "1 MiB", "engine": "memory", "frontend": "names"})
    inventory = scene.start()
    scene.events.clear()
    scene.reload(inventory)
    (told,) = scene.events
    assert "it is not served, what was on it is lost; " in told.message


def test_folders_of_a_lost_state_are_refused_with_the_way_back(scene: Scene) -> None:
    scene.write(volume())
    uuid = scene.start().served["demo"].volume.uuid
    scene.close()
    shutil.rmtree(scene.paths.state)
    folder = scene.folder / "demo-folder"
    scene.write(volume(), volume("other"))
    inventory = scene.start()
    assert f"tierce volume adopt {folder} {folder}" in inventory.refused["demo"]
    # The others are served.
    assert list(inventory.served) == ["other"]
    scene.close()
    adopted = adopt_without_server(
        scene.paths, scene.registry, Adoption((folder, folder)), partial(carry_out, scene.registry)
    ).record
    assert (adopted.uuid, adopted.owner) == (uuid, Owner.STATE)
    scene.codes()
    served = scene.start().served["demo"]
    assert (served.volume.uuid, served.record.owner) == (uuid, Owner.FILE)
    assert scene.codes() == ["volume.owner-changed"]


def test_a_folder_of_another_volume_is_refused_and_no_intent_stays(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    folder = scene.folder / "demo-folder"
    folder.mkdir()
    (folder / "note").write_text('{"uuid": "other"}')
    with pytest.raises(ConflictError):
        create(inventory, volume(), base=scene.folder)
    assert inventory.records() == {}
    assert not (scene.paths.data / "volumes" / "demo").exists()


def test_what_the_file_owns_is_not_deleted_by_command(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    with pytest.raises(UsageError, match=r"tierce\.yaml:3"):
        begin_delete(inventory, "demo")
    assert inventory.find("demo").phase is Phase.READY


def test_a_name_and_an_identity_are_taken_once(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    with pytest.raises(UsageError, match="there is a volume demo already"):
        create(inventory, volume(), base=scene.folder)
    with pytest.raises(UsageError, match="volume demo is served as demo already"):
        create(inventory, volume("demo-2"), base=scene.folder)
    assert list(inventory.records()) == ["demo"]


def test_what_the_state_owns_is_served_by_the_next_server(scene: Scene) -> None:
    scene.write()
    made = create(scene.start(), volume(), base=scene.folder)
    assert made.record.owner is Owner.STATE
    assert scene.start().served["demo"].volume == made.volume


def test_a_policy_document_gets_the_volumes_that_it_selects(scene: Scene) -> None:
    scene.write(volume("one"), volume("two"))
    policies = [
        {"kind": "watch", "name": "all"},
        {"kind": "watch", "name": "some", "selector": {"volumes": ["two"]}},
    ]
    scene.file.write_text(scene.file.read_text() + f"policies: {json.dumps(policies)}\n")
    documents = policy_documents(scene.start())
    assert [(one["name"], sorted(one["volumes"])) for one in documents] == [
        ("all", ["one", "two"]),
        ("some", ["two"]),
    ]
    assert documents[1]["volumes"]["two"]["size"] == 1 << 20


def test_a_fenced_volume_has_no_target_until_it_is_claimed(scene: Scene) -> None:
    def names() -> list[str]:
        return [plan.name for plan in plan_all(inventory) if plan.volume]

    scene.write(volume())
    inventory = scene.start()
    inventory.fence("demo", "ballot 9 elsewhere")
    assert names() == ["member.demo.one", "member.demo.two"]
    inventory = scene.start()
    assert inventory.served["demo"].record.fenced == "ballot 9 elsewhere"
    assert names() == ["member.demo.one", "member.demo.two"]
    inventory.claim("demo")
    assert names() == ["member.demo.one", "member.demo.two", "target.demo"]


def test_a_volume_that_can_not_be_served_keeps_no_other_from_it(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    create(inventory, volume("broken"), base=scene.folder)
    create(inventory, volume("whole"), base=scene.folder)
    record = inventory.find("broken")
    scene.store.put_volume(attrs.evolve(record, mapping={**record.mapping, "engine": "gone"}))
    assert list(scene.start().served) == ["whole"]
    assert scene.codes()[-1] == "volume.refused"


def test_show_tells_the_last_events_of_a_volume_and_of_its_members(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    subjects = ("volume/demo", "volume/demo/one", "volume/demo-2", "process/portal")
    scene.store.record([Event(str(index), "m", of) for index, of in enumerate(subjects)])
    assert [event["code"] for event in inventory.events("demo", 9)] == ["0", "1"]
    assert [event["code"] for event in inventory.events("demo", 1)] == ["1"]


def test_plans_are_made_anew_only_when_they_can_differ(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    seen = [inventory.version]
    create(inventory, volume(), base=scene.folder)
    seen.append(inventory.version)
    inventory.fence("demo", "taken")
    seen.append(inventory.version)
    inventory.claim("demo")
    seen.append(inventory.version)
    begin_delete(inventory, "demo")
    seen.append(inventory.version)
    assert sorted(set(seen)) == seen


def test_adopting_what_is_no_volume_tells_each_engines_reason(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    with pytest.raises(UsageError, match=r"folder: .*holds no volume"):
        adopt(inventory, Adoption((scene.folder,)))
    with pytest.raises(UsageError, match="no enabled engine 'bare'"):
        adopt(inventory, Adoption((scene.folder,), engine="bare"))


def test_an_unknown_volume_names_those_that_there_are(scene: Scene) -> None:
    scene.write(volume())
    with pytest.raises(UsageError, match="there is no volume x; there are: demo"):
        scene.start().find("x")


def test_options_that_name_another_folder_are_refused_and_what_is_served_stays(
    scene: Scene,
) -> None:
    scene.write(volume())
    inventory = scene.start()
    before = inventory.served["demo"]
    scene.reload(inventory, volume(folder="./elsewhere"))
    assert inventory.served["demo"] == before
    assert not (scene.folder / "elsewhere").exists()
    assert "tierce.yaml:3: volumes.demo.options: volume demo lies" in scene.events[-1].message
    assert scene.start().served["demo"] == before


def test_a_volume_that_is_renamed_in_the_file_is_told_its_name_and_nothing_goes_in_circles(
    scene: Scene,
) -> None:
    scene.write(volume())
    inventory = scene.start()
    renamed = volume("renamed", folder="./demo-folder")
    scene.reload(inventory, renamed)
    assert "its folders hold volume demo, which the state knows" in scene.events[1].message
    assert "call it demo, or give renamed other folders" in scene.events[1].message
    assert "no longer in" in scene.events[2].message
    assert list(inventory.records()) == ["demo"]
    with pytest.raises(UsageError, match="hold volume demo, which the state has not lost"):
        adopt(inventory, Adoption((note(scene).parent,)))
    scene.reload(inventory, volume())
    assert list(inventory.served) == ["demo"]


def test_two_volumes_on_one_folder_are_one_volume_and_an_error(scene: Scene) -> None:
    scene.write(volume())
    inventory = scene.start()
    uuid = json.loads(note(scene).read_text())["uuid"]
    with pytest.raises(ConflictError, match="its folders hold volume demo, which the state knows"):
        create(inventory, volume("other", folder="./demo-folder"), base=scene.folder)
    assert json.loads(note(scene).read_text())["uuid"] == uuid
    assert list(inventory.records()) == ["demo"]


def test_what_is_being_deleted_is_not_adopted(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    create(inventory, volume(), base=scene.folder)
    begin_delete(inventory, "demo")
    with pytest.raises(UsageError, match="`tierce volume delete demo --cancel` keeps it"):
        adopt(inventory, Adoption((note(scene).parent,)))


def test_a_name_that_is_taken_is_not_adopted_over(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    create(inventory, volume(), base=scene.folder)
    other = scene.folder / "other"
    shutil.copytree(note(scene).parent, other)
    values = json.loads((other / "note").read_text())
    (other / "note").write_text(json.dumps({**values, "uuid": "f" * 32}))
    with pytest.raises(UsageError, match="there is another volume demo already"):
        adopt(inventory, Adoption((other,)))


def test_what_may_be_lost_by_an_adoption_is_told(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    create(inventory, volume(), base=scene.folder)
    scene.close()
    shutil.rmtree(scene.paths.state)
    inventory = scene.start()
    scene.codes()
    adopted = adopt(inventory, Adoption((note(scene).parent,), without=("two",)))
    assert adopted.loss == "two is lost"
    assert scene.events[-1].message == "volume demo was adopted: two is lost"
    assert "loss" not in adopted.record.mapping


def test_a_creation_that_fails_is_undone_and_told_without_a_number(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    FolderLifecycle.faults["create"] = OSError(errno.ENOSPC, "No space left on device", "/disk/x")
    with pytest.raises(ConflictError, match=r"^volume demo: /disk/x: No space left on device$"):
        create(inventory, volume(), base=scene.folder)
    FolderLifecycle.faults["create"] = OSError(errno.EFBIG, "File too large")
    with pytest.raises(UsageError, match="volume demo: 1 MiB is too large for a file there"):
        create(inventory, volume(), base=scene.folder)
    assert inventory.records() == {}
    assert not note(scene).parent.exists()
    assert not (scene.paths.data / "volumes" / "demo").exists()


def test_a_lifecycle_must_be_one(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    stranger = {"name": "demo", "size": "1 MiB", "engine": "stranger", "frontend": "names"}
    with pytest.raises(PluginError, match=r"is no class derived from tierce\.Lifecycle"):
        create(inventory, stranger, base=scene.folder)
    assert inventory.records() == {}


def test_a_volumes_own_folder_is_durable_before_its_engine_makes_anything(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    disk = RecordedDisk(scene.paths.data)
    with disk:
        create(inventory, volume(), base=scene.folder)
    done = [(what, str(places[0])) for what, places in disk.log if "state" not in str(places[0])]
    assert done == [
        ("mkdir", "volumes"),
        ("sync", "."),
        ("mkdir", "volumes/demo"),
        ("sync", "volumes"),
    ]


def test_a_volume_that_is_served_has_its_folder_on_this_node_and_the_file_says_no_place(
    scene: Scene,
) -> None:
    scene.write(volume())
    served = scene.start().served["demo"]
    assert served.volume.folder == scene.paths.volume("demo")
    assert served.volume.frontend_folder("iscsi").parent == served.volume.folder
    (asked,) = load_config(scene.file, scene.registry).volumes
    assert "folder" not in {field.name for field in attrs.fields(type(asked))}
    again = LocalVolume.of(asked, served.volume.folder, uuid=served.volume.uuid)
    assert attrs.evolve(again, created=served.volume.created) == served.volume
