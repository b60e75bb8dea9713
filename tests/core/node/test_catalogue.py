"""Which volumes there are, who owns them, making and unmaking them; with an engine of folders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from tierce import (
    ConflictError,
    EngineDescription,
    Event,
    FormatError,
    FrontendDescription,
    MemberSpec,
    PolicyHandlerDescription,
    UsageError,
    VolumeSpec,
    hookimpl,
    option,
)
from tierce.config import load_config
from tierce.node.adoption import adopt_without_server
from tierce.node.catalogue import Catalogue
from tierce.node.layout import Layout
from tierce.node.plan import Role
from tierce.node.planning import plan_all, policy_documents
from tierce.registry import Registry
from tierce.state import Owner, Phase
from tierce.state.store import StateStore

MODULE = "folders_for_tests"


@attrs.frozen
class FolderOptions:
    folder: str = option(doc="Where.", unit="path")
    tone: str = option(doc="Anything.", default="low")


@attrs.frozen
class Section:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",))


@attrs.frozen
class Nothing:
    pass


class Crash(BaseException):
    """The process dies here."""


class FolderLifecycle:
    """Two members in one folder; a file in it says whose it is."""

    crash_in: str = ""

    def create(self, volume: VolumeSpec) -> None:
        note = self._note(volume)
        if note.exists() and json.loads(note.read_text())["uuid"] != volume.uuid:
            raise ConflictError(f"{note.parent} holds another volume")
        note.parent.mkdir(exist_ok=True)
        values = {"name": volume.name, "uuid": volume.uuid, "size": volume.size_bytes}
        note.write_text(json.dumps(values))
        if FolderLifecycle.crash_in == "create":
            raise Crash

    def delete(self, volume: VolumeSpec) -> None:
        if FolderLifecycle.crash_in == "delete":
            raise Crash
        note = self._note(volume)
        if note.exists() and json.loads(note.read_text())["uuid"] == volume.uuid:
            shutil.rmtree(note.parent)

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        folder = self._note(volume).parent
        return (MemberSpec("one", folder), MemberSpec("two", folder))

    def adopt(self, folders: tuple[Path, ...]) -> Mapping[str, Any]:
        try:
            values = json.loads((folders[0] / "note").read_text())
        except OSError as error:
            raise FormatError("holds no volume", path=folders[0]) from error
        options = {"folder": str(folders[0])}
        return {**values, "created": 5.0, "engine": "folder", "options": options}

    def _note(self, volume: VolumeSpec) -> Path:
        return Path(volume.engine_options.folder) / "note"


def usage(_options: Section, volume: VolumeSpec) -> dict[str, str]:
    return {"url": f"names://{volume.name}"}


def identity(_options: Section, volume: str, _volume_options: Nothing) -> str:
    return volume.rstrip("0123456789-")


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    factory, lifecycle = f"{MODULE}:none", f"{MODULE}:FolderLifecycle"
    return [
        EngineDescription("folder", "Folders.", factory, lifecycle, options=FolderOptions),
        EngineDescription("bare", "Nothing on disk.", factory),
    ]


@hookimpl
def tierce_policy_handlers() -> list[PolicyHandlerDescription]:
    return [PolicyHandlerDescription("watch", "Watches.", f"{MODULE}:none")]


@hookimpl
def tierce_frontends() -> list[FrontendDescription]:
    how = (f"{MODULE}:usage", f"{MODULE}:identity")
    return [FrontendDescription("names", "Names.", how[0], how[0], *how, Section, Nothing)]


class Scene:
    """A data folder whose server can be started again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(folder / "data")
        self.layout.make()
        self.registry = Registry.build([("tests", sys.modules[__name__], "")])
        self.file = folder / "tierce.yaml"
        self.events: list[Event] = []
        self._store: StateStore | None = None
        FolderLifecycle.crash_in = ""

    @property
    def store(self) -> StateStore:
        assert self._store is not None
        return self._store

    def write(self, *volumes: Mapping[str, Any]) -> None:
        lines = ["data_dir: ./data"]
        lines += ["volumes:"] if volumes else []
        lines += [f"  - {json.dumps(volume)}" for volume in volumes]
        self.file.write_text("\n".join(lines) + "\n")

    def start(self) -> Catalogue:
        """Open the state anew, as the next server would."""
        self.close()
        self._store = StateStore(self.layout.state)
        catalogue = Catalogue(self.layout, self._store, self.events.append)
        catalogue.apply(load_config(self.file, self.registry), is_reload=False)
        return catalogue

    def reload(self, catalogue: Catalogue, *volumes: Mapping[str, Any]) -> None:
        self.write(*volumes)
        catalogue.apply(load_config(self.file, self.registry), is_reload=True)

    def codes(self) -> list[str]:
        """Take the codes of the events so far."""
        codes = [event.code for event in self.events]
        self.events.clear()
        return codes

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    made = Scene(tmp_path)
    yield made
    made.close()


def volume(name: str = "demo", size: str = "1 MiB", **options: str) -> dict[str, Any]:
    engine = {"folder": f"./{name}-folder", **options}
    return {"name": name, "size": size, "engine": "folder", "options": engine, "frontend": "names"}


def note(scene: Scene, name: str = "demo") -> Path:
    return scene.folder / f"{name}-folder" / "note"


def test_a_volume_of_the_file_is_made_once_and_found_again(scene: Scene) -> None:
    scene.write(volume())
    served = scene.start().served["demo"]
    assert served.record.owner is Owner.FILE
    assert json.loads(note(scene).read_text())["uuid"] == served.spec.uuid
    assert scene.codes() == ["volume.created"]
    assert scene.start().served["demo"] == served
    assert scene.codes() == []


def test_a_volume_needs_its_members_a_target_and_what_all_share(scene: Scene) -> None:
    scene.write(volume())
    plans = list(plan_all(scene.start()))
    assert [(plan.name, plan.role) for plan in plans] == [
        ("template", Role.TEMPLATE),
        ("member.demo.one", Role.MEMBER),
        ("member.demo.two", Role.MEMBER),
        ("target.demo", Role.TARGET),
        ("portal", Role.PORTAL),
    ]


def test_a_changed_option_changes_the_plan_of_the_target_only(scene: Scene) -> None:
    scene.write(volume())
    catalogue = scene.start()
    before = {plan.name: plan.digest for plan in plan_all(catalogue)}
    scene.reload(catalogue, volume(tone="high"))
    after = {plan.name: plan.digest for plan in plan_all(catalogue)}
    assert {name for name in before if before[name] != after[name]} == {"target.demo"}


def test_a_crash_while_making_is_gone_on_with_by_uuid(scene: Scene) -> None:
    scene.write(volume())
    FolderLifecycle.crash_in = "create"
    with pytest.raises(Crash):
        scene.start()
    uuid = json.loads(note(scene).read_text())["uuid"]
    FolderLifecycle.crash_in = ""
    assert scene.start().served["demo"].spec.uuid == uuid


def test_what_a_crash_left_of_another_plan_is_removed_first(scene: Scene) -> None:
    scene.write(volume())
    FolderLifecycle.crash_in = "create"
    with pytest.raises(Crash):
        scene.start()
    FolderLifecycle.crash_in = ""
    uuid = json.loads(note(scene).read_text())["uuid"]
    scene.write(volume(size="2 MiB"))
    served = scene.start().served["demo"]
    assert served.spec.uuid != uuid
    assert served.spec.size_bytes == 2 << 20
    assert scene.codes() == ["volume.deleted", "volume.created"]


def test_a_crash_while_deleting_is_gone_on_with(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    catalogue.create(volume(), base=scene.folder)
    catalogue.begin_delete("demo")
    FolderLifecycle.crash_in = "delete"
    with pytest.raises(Crash):
        catalogue.finish_delete("demo")
    FolderLifecycle.crash_in = ""
    catalogue = scene.start()
    assert catalogue.served == {}
    # Not before its processes have gone.
    assert catalogue.deleting == {"demo"}
    assert note(scene).exists()
    catalogue.finish_delete("demo")
    assert (catalogue.deleting, catalogue.records()) == (frozenset(), {})
    assert not note(scene).exists()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (volume(size="2 MiB"), "size_bytes 1048576, the file says 2097152"),
        ({**volume(), "block_size": 4096}, "block_size 512, the file says 4096"),
        (
            {"name": "demo", "size": "1 MiB", "engine": "bare", "frontend": "names"},
            "engine folder, the file says bare",
        ),
    ],
)
def test_what_can_not_change_is_refused_with_its_place(
    scene: Scene, changed: dict[str, Any], word: str
) -> None:
    scene.write(volume())
    catalogue = scene.start()
    before = catalogue.served["demo"]
    scene.reload(catalogue, changed)
    assert catalogue.served["demo"] == before
    assert scene.codes() == ["volume.created", "volume.refused"]
    with pytest.raises(UsageError, match=word) as refused:
        scene.start()
    assert "tierce.yaml:3" in str(refused.value)


def test_a_volume_that_left_the_file_is_kept_but_not_served(scene: Scene) -> None:
    scene.write(volume())
    catalogue = scene.start()
    scene.reload(catalogue)
    scene.reload(catalogue)
    assert catalogue.served == {}
    assert scene.codes() == ["volume.created", "volume.left-out"]
    assert note(scene).exists()
    scene.reload(catalogue, volume())
    assert "demo" in catalogue.served
    scene.reload(catalogue)
    catalogue.begin_delete("demo")
    catalogue.finish_delete("demo")
    assert not note(scene).exists()


def test_folders_of_a_lost_state_are_refused_with_the_way_back(scene: Scene) -> None:
    scene.write(volume())
    uuid = scene.start().served["demo"].spec.uuid
    scene.close()
    shutil.rmtree(scene.layout.state)
    folder = scene.folder / "demo-folder"
    with pytest.raises(ConflictError, match=f"tierce volume adopt {folder} {folder}"):
        scene.start()
    scene.close()
    adopted = adopt_without_server(scene.layout, scene.registry, (folder, folder))
    assert (adopted.uuid, adopted.owner) == (uuid, Owner.STATE)
    scene.codes()
    served = scene.start().served["demo"]
    assert (served.spec.uuid, served.record.owner) == (uuid, Owner.FILE)
    assert scene.codes() == ["volume.owner-changed"]


def test_a_folder_of_another_volume_is_refused_and_no_intent_stays(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    folder = scene.folder / "demo-folder"
    folder.mkdir()
    (folder / "note").write_text('{"uuid": "other"}')
    with pytest.raises(ConflictError):
        catalogue.create(volume(), base=scene.folder)
    assert catalogue.records() == {}
    assert not (scene.layout.data / "volumes" / "demo").exists()


def test_what_the_file_owns_is_not_deleted_by_command(scene: Scene) -> None:
    scene.write(volume())
    catalogue = scene.start()
    with pytest.raises(UsageError, match=r"tierce\.yaml:3"):
        catalogue.begin_delete("demo")
    assert catalogue.find("demo").phase is Phase.READY


def test_a_name_and_an_identity_are_taken_once(scene: Scene) -> None:
    scene.write(volume())
    catalogue = scene.start()
    with pytest.raises(UsageError, match="there is a volume demo already"):
        catalogue.create(volume(), base=scene.folder)
    with pytest.raises(UsageError, match="volume demo is served as demo already"):
        catalogue.create(volume("demo-2"), base=scene.folder)
    assert list(catalogue.records()) == ["demo"]


def test_what_the_state_owns_is_served_by_the_next_server(scene: Scene) -> None:
    scene.write()
    made = scene.start().create(volume(), base=scene.folder)
    assert made.record.owner is Owner.STATE
    assert scene.start().served["demo"].spec == made.spec


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
        return [plan.name for plan in plan_all(catalogue) if plan.volume]

    scene.write(volume())
    catalogue = scene.start()
    catalogue.fence("demo", "ballot 9 elsewhere")
    assert names() == ["member.demo.one", "member.demo.two"]
    catalogue = scene.start()
    assert catalogue.served["demo"].record.fenced == "ballot 9 elsewhere"
    assert names() == ["member.demo.one", "member.demo.two"]
    catalogue.claim("demo")
    assert names() == ["member.demo.one", "member.demo.two", "target.demo"]


def test_a_volume_that_can_not_be_served_keeps_no_other_from_it(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    catalogue.create(volume("broken"), base=scene.folder)
    catalogue.create(volume("whole"), base=scene.folder)
    record = catalogue.find("broken")
    scene.store.put_volume(attrs.evolve(record, mapping={**record.mapping, "engine": "gone"}))
    assert list(scene.start().served) == ["whole"]
    assert scene.codes()[-1] == "volume.refused"


def test_show_tells_the_last_events_of_a_volume_and_of_its_members(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    subjects = ("volume/demo", "volume/demo/one", "volume/demo-2", "process/portal")
    scene.store.record([Event(str(index), "m", of) for index, of in enumerate(subjects)])
    assert [event["code"] for event in catalogue.events("demo", 9)] == ["0", "1"]
    assert [event["code"] for event in catalogue.events("demo", 1)] == ["1"]


def test_plans_are_made_anew_only_when_they_can_differ(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    seen = [catalogue.version]
    catalogue.create(volume(), base=scene.folder)
    seen.append(catalogue.version)
    catalogue.fence("demo", "taken")
    seen.append(catalogue.version)
    catalogue.claim("demo")
    seen.append(catalogue.version)
    catalogue.begin_delete("demo")
    seen.append(catalogue.version)
    assert sorted(set(seen)) == seen


def test_adopting_what_is_no_volume_tells_each_engines_reason(scene: Scene) -> None:
    scene.write()
    catalogue = scene.start()
    with pytest.raises(UsageError, match=r"folder: .*holds no volume"):
        catalogue.adopt((scene.folder,))
    with pytest.raises(UsageError, match="no enabled engine 'bare'"):
        catalogue.adopt((scene.folder,), "bare")


def test_an_unknown_volume_names_those_that_there_are(scene: Scene) -> None:
    scene.write(volume())
    with pytest.raises(UsageError, match="there is no volume x; there are: demo"):
        scene.start().find("x")
