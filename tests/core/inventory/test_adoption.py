"""What a volume's folders say when the state has lost it; with replicas in folders of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from core.scenes import Scene
from core.scenes import volume as in_scene
from jiva.whole import WholeJiva
from tierce import ConflictError, LocalVolume, UsageError
from tierce.codec import from_json, to_json
from tierce.config import volume_from_mapping
from tierce.inventory.adoption import (
    Adopted,
    Adoption,
    adopt_record,
    adopt_without_server,
    explain_conflict,
)
from tierce.inventory.errands import run_here
from tierce.node.carrying_out import carry_out
from tierce.process.paths import Paths
from tierce.registry import Registry
from tierce.state import Owner, Phase, acquire
from tierce.state.store import StateStore
from tierce_jiva.options import JivaOptions, ReplicaOptions

REFUSED = ConflictError("the folder holds another volume")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with StateStore(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    """One whose three folders are there."""
    replicas = tuple(ReplicaOptions(folder=str(tmp_path / f"r {name}")) for name in "abc")
    made = LocalVolume(
        *("demo", "0" * 32, 65536, 512, "jiva", JivaOptions(replicas), ()),
        folder=tmp_path / "own",
    )
    WholeJiva().create(made)
    return made


def folders(volume: LocalVolume) -> tuple[Path, ...]:
    return tuple(member.folder for member in WholeJiva().members(volume))


def explain(store: StateStore, volume: LocalVolume) -> str:
    registry = Registry.load()
    explaining = explain_conflict(REFUSED, store, registry, volume)
    return str(run_here(explaining, partial(carry_out, registry)))


def adopt(store: StateStore, registry: Registry, wanted: Adoption) -> Adopted:
    return run_here(adopt_record(store, registry, wanted), partial(carry_out, registry))


def test_the_way_back_names_every_folder(store: StateStore, volume: LocalVolume) -> None:
    words = " ".join(f"'{folder}'" for folder in folders(volume))
    assert f"run: tierce volume adopt {words}" in explain(store, volume)


@pytest.mark.parametrize("is_mount_point", [False, True])
def test_the_way_back_leaves_out_a_folder_that_is_lost(
    store: StateStore, volume: LocalVolume, *, is_mount_point: bool
) -> None:
    first, second, third = folders(volume)
    shutil.rmtree(third)
    if is_mount_point:
        third.mkdir()
    told = explain(store, volume)
    assert f"tierce volume adopt --without replica-3 '{first}' '{second}'" in told
    registry = Registry.load()
    adopted = adopt(store, registry, Adoption((first, second), ("replica-3",)))
    assert (adopted.record.name, adopted.record.uuid) == ("demo", volume.uuid)
    assert (adopted.record.owner, adopted.record.phase) == (Owner.STATE, Phase.READY)
    assert "replica-3 is lost" in adopted.loss


def test_folders_that_hold_no_volume_leave_the_refusal_as_it_is(
    store: StateStore, volume: LocalVolume
) -> None:
    for folder in folders(volume):
        (folder / "volume.json").write_bytes(b"damaged")
    assert explain(store, volume) == str(REFUSED)


@pytest.mark.parametrize(
    "note", ["[]", "{}"], ids=["one that fails", "one that takes everything for a volume"]
)
def test_a_bug_of_an_engine_that_is_asked_for_the_way_back_hides_no_refusal(
    scene: Scene, note: str
) -> None:
    folder = scene.folder / "demo-folder"
    folder.mkdir()
    (folder / "note").write_text(note)
    mapping = in_scene()
    asked = volume_from_mapping(mapping, scene.registry, base=scene.folder, origin="here")
    wanted = LocalVolume.of(asked, folder)
    with StateStore(scene.paths.state) as store:
        explaining = explain_conflict(REFUSED, store, scene.registry, wanted)
        assert run_here(explaining, partial(carry_out, scene.registry)) is REFUSED


@pytest.mark.parametrize(
    ("note", "why"),
    [
        ("[]", "folder: plugin .* it failed in adopt of its lifecycle: TypeError: "),
        ("{}", "folder: plugin .* it took .* for a volume, but did not say its name, uuid"),
    ],
)
def test_a_bug_of_one_engine_keeps_no_other_from_being_asked(
    scene: Scene, note: str, why: str
) -> None:
    (scene.folder / "note").write_text(note)
    with StateStore(scene.paths.state) as store, pytest.raises(UsageError, match=why) as refused:
        adopt(store, scene.registry, Adoption((scene.folder,)))
    assert "stranger: " in str(refused.value)


def test_a_volume_that_the_state_has_is_not_to_be_adopted(
    store: StateStore, volume: LocalVolume
) -> None:
    adopted = adopt(store, Registry.load(), Adoption(folders(volume)))
    store.put_volume(adopted.record)
    told = explain(store, volume)
    assert "which the state knows (owned by the state, made by tierce volume adopt)" in told
    assert "run:" not in told
    with pytest.raises(UsageError, match="which the state has not lost"):
        adopt(store, Registry.load(), Adoption(folders(volume)))


def test_only_engines_that_know_the_folders_say_what_is_wrong(
    store: StateStore, volume: LocalVolume, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"adopted: jiva: .*name the folders of replica-3 too"):
        adopt(store, Registry.load(), Adoption(folders(volume)[:2]))
    (tmp_path / "letter").touch()
    with pytest.raises(UsageError, match=r"adopted: file: .*; jiva: "):
        adopt(store, Registry.load(), Adoption((tmp_path,)))


def adopt_here(paths: Paths, volume: LocalVolume) -> Adopted:
    registry = Registry.load()
    do = partial(carry_out, registry)
    return adopt_without_server(paths, registry, Adoption(folders(volume)), do)


def test_without_a_server_the_state_is_written_unless_one_holds_it(
    volume: LocalVolume, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "data")
    paths.make()
    lock = acquire(paths.serve_lock, {"name": "serve"}, what="the folder")
    with pytest.raises(ConflictError, match="is held by process"):
        adopt_here(paths, volume)
    lock.release()
    adopted = adopt_here(paths, volume)
    with StateStore(paths.state) as store:
        assert store.volume("demo") == adopted.record


def test_what_is_wanted_travels_to_the_server_and_back() -> None:
    wanted = Adoption((Path("/a"), Path("/b")), ("replica-3",), "jiva", "iscsi")
    assert from_json(Adoption, to_json(wanted)) == wanted
