"""A volume's members are made, removed and read each by itself: what hangs, fails or ends in one
keeps no other from it, and what comes of all is put together."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from core import in_place
from core.scenes import Crash, Scene
from core.triples import NAMES, TripleLifecycle, triple
from tierce import (
    ConflictError,
    FormatError,
    PluginError,
    TemporaryError,
    UsageError,
    VolumeSpec,
)
from tierce.errors import explain
from tierce.inventory.adoption import Adoption
from tierce.inventory.apart import do_whole, put_together
from tierce.inventory.errands import Answer, GivenUpError
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.works import Call, Work
from tierce.state import Phase


def fail(method: str, member: str, fault: BaseException) -> None:
    TripleLifecycle.faults[method, member] = fault


def files(scene: Scene) -> dict[str, list[str]]:
    """Return what lies in each member's folder."""
    folders = (scene.folder / "demo-folder" / name for name in NAMES)
    return {
        folder.name: sorted(one.name for one in folder.iterdir())
        for folder in folders
        if folder.exists()
    }


def waits(scene: Scene) -> list[tuple[Call, str]]:
    return [(work.call, work.member) for work, _done in scene.worker.waiting]


@pytest.fixture
def inventory(scene: Scene) -> VolumeInventory:
    """One with a volume of three members."""
    scene.write()
    inventory = scene.start()
    in_place.create(inventory, triple(), base=scene.folder)
    scene.codes()
    return inventory


WHOLE = {"one": ["bytes", "note"], "two": ["bytes", "note"], "three": ["bytes", "note"]}


def test_a_member_whose_making_hangs_keeps_no_other_from_being_made(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    scene.worker.waits = True
    told: list[object] = []
    volume = inventory.check_new(triple(), base=scene.folder)
    inventory.create(volume, lambda served, _error: told.append(served))
    scene.worker.work_off()
    assert waits(scene) == [(Call.CREATE_MEMBER, name) for name in NAMES]
    # The first one hangs.
    for _ in range(2):
        scene.worker.work_off(1)
    assert list(files(scene)) == ["two", "three"]
    assert (inventory.find("demo").phase, told) == (Phase.CREATING, [])
    assert inventory.unserved_why(inventory.find("demo")) == (
        "it waits for create_member of the engine triple for one, which is under way"
    )
    scene.worker.work_off()
    assert told == [inventory.served["demo"]]
    assert files(scene) == WHOLE


def test_a_member_that_is_handed_to_another_process_is_that_of_the_volume_anywhere(
    scene: Scene,
) -> None:
    scene.write()
    inventory = scene.start()
    scene.worker.waits = True
    volume = inventory.check_new(triple(), base=scene.folder)
    inventory.create(volume, lambda *_what: None)
    scene.worker.work_off()
    assert {type(work.volume) for work, _done in scene.worker.waiting} == {VolumeSpec}


@pytest.mark.parametrize(
    ("fault", "raised", "said"),
    [
        (ConflictError("it is another's"), ConflictError, "two: it is another's"),
        (TemporaryError("later"), TemporaryError, "two: later"),
        (OSError(errno.EIO, "Input/output error", "/disk"), ConflictError, "two: /disk: Input"),
        (OSError(errno.EFBIG, "File too large"), UsageError, "two: File too large.*make it small"),
        (RuntimeError("a bug"), PluginError, "two: plugin 'tests'.*create_member of its lifecycle"),
    ],
)
def test_a_making_that_fails_for_one_member_is_undone_for_the_others_and_names_it(
    scene: Scene, fault: Exception, raised: type[Exception], said: str
) -> None:
    fail("create_member", "two", fault)
    scene.write()
    with pytest.raises(raised, match=said):
        in_place.create(scene.start(), triple(), base=scene.folder)
    assert (files(scene), scene.store.volumes()) == ({}, {})
    assert "volume.left-over" not in scene.codes()


def test_a_making_that_is_given_up_while_one_hangs_is_undone_for_all(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    scene.worker.waits = True
    told: list[object] = []
    volume = inventory.check_new(triple(), base=scene.folder)
    inventory.create(volume, lambda _served, error: told.append(error))
    scene.worker.work_off()
    scene.worker.work_off(1)
    in_place.begin_delete(inventory, "demo")
    assert waits(scene) == [(Call.DELETE_MEMBER, name) for name in NAMES]
    for _ in range(4):
        scene.worker.work_off()
    assert isinstance(told[0], GivenUpError)
    assert (files(scene), scene.store.volumes()) == ({}, {})


@pytest.mark.parametrize("member", NAMES)
def test_a_server_that_is_killed_while_a_member_is_made_goes_on_from_there(
    scene: Scene, member: str
) -> None:
    fail("create_member", member, Crash())
    scene.write(triple())
    with pytest.raises(Crash):
        scene.start()
    intent = scene.store.volume("demo")
    assert intent is not None
    TripleLifecycle.faults.clear()
    record = scene.start().find("demo")
    assert (record.uuid, record.phase, files(scene)) == (intent.uuid, Phase.READY, WHOLE)


@pytest.mark.parametrize("member", NAMES)
@pytest.mark.parametrize(
    ("step", "phase"),
    [
        ("condemn_member", Phase.DELETING),
        ("empty_member", Phase.EMPTYING),
        ("tidy_member", Phase.CLEARING),
    ],
)
def test_a_server_that_is_killed_while_a_member_is_removed_goes_on_from_there(
    scene: Scene, inventory: VolumeInventory, step: str, phase: Phase, member: str
) -> None:
    in_place.begin_delete(inventory, "demo")
    fail(step, member, Crash())
    with pytest.raises(Crash):
        in_place.advance(inventory, "demo")
    TripleLifecycle.faults.clear()
    inventory = scene.start()
    assert inventory.find("demo").phase is phase
    assert in_place.advance(inventory, "demo").waits_for == ""
    assert (inventory.records(), files(scene)) == ({}, {})


@pytest.mark.parametrize("member", NAMES)
def test_a_server_that_is_killed_while_a_member_is_spared_spares_it_again(
    scene: Scene, inventory: VolumeInventory, member: str
) -> None:
    fail("condemn_member", "three", TemporaryError("the disk sleeps"))
    in_place.begin_delete(inventory, "demo")
    in_place.advance(inventory, "demo")
    fail("spare_member", member, Crash())
    with pytest.raises(Crash):
        in_place.cancel_delete(inventory, "demo")
    TripleLifecycle.faults.clear()
    inventory = scene.start()
    assert inventory.find("demo").phase is Phase.DELETING
    in_place.cancel_delete(inventory, "demo")
    assert (files(scene), list(inventory.served)) == (WHOLE, ["demo"])


def test_members_are_removed_apart_and_the_deletion_is_over_when_all_are(
    scene: Scene, inventory: VolumeInventory
) -> None:
    in_place.begin_delete(inventory, "demo")
    fail("empty_member", "one", OSError(errno.EIO, "Input/output error", "/disk"))
    fail("empty_member", "three", TemporaryError("the disk sleeps"))
    assert in_place.advance(inventory, "demo").waits_for == (
        "one: /disk: Input/output error; three: the disk sleeps. Its other bytes are gone or go"
    )
    assert files(scene)["two"] == ["deleted"]
    assert inventory.find("demo").phase is Phase.EMPTYING
    TripleLifecycle.faults.clear()
    fail("tidy_member", "two", TemporaryError("the disk sleeps"))
    in_place.advance(inventory, "demo")
    assert inventory.find("demo").phase is Phase.CLEARING
    assert files(scene) == {}
    TripleLifecycle.faults.clear()
    assert in_place.advance(inventory, "demo").waits_for == ""
    assert inventory.records() == {}


def test_nothing_of_any_member_goes_before_all_are_marked(
    scene: Scene, inventory: VolumeInventory
) -> None:
    away = scene.folder / "unmounted"
    (scene.folder / "demo-folder" / "two").rename(away)
    in_place.begin_delete(inventory, "demo")
    waits_for = in_place.advance(inventory, "demo").waits_for
    assert waits_for.startswith("two: nothing is found in ")
    assert "Nothing of it is gone" in waits_for
    assert files(scene) == {"one": ["bytes", "deleted"], "three": ["bytes", "deleted"]}
    # Without it the rest goes.
    in_place.begin_delete(inventory, "demo", ("two",))
    assert in_place.advance(inventory, "demo").waits_for == ""
    assert (files(scene), away.exists()) == ({}, True)


def test_a_member_that_can_not_be_marked_ends_the_deletion_and_all_are_spared(
    scene: Scene, inventory: VolumeInventory
) -> None:
    fail("condemn_member", "one", TemporaryError("the disk sleeps"))
    fail("condemn_member", "two", FormatError("it is damaged", path=Path("/b")))
    in_place.begin_delete(inventory, "demo")
    outcome = in_place.advance(inventory, "demo")
    assert isinstance(outcome.error, FormatError)
    assert str(outcome.error) == "one: the disk sleeps; two: /b: it is damaged"
    assert (files(scene), list(inventory.served)) == (WHOLE, ["demo"])


def folders(scene: Scene, *names: str) -> tuple[Path, ...]:
    return tuple(scene.folder / "demo-folder" / name for name in names)


def lose_state(scene: Scene) -> VolumeInventory:
    scene.close()
    for file in scene.paths.state.iterdir():
        file.unlink()
    return scene.start()


def test_folders_are_read_apart_and_what_they_say_is_decided_over_together(
    scene: Scene, inventory: VolumeInventory
) -> None:
    uuid = inventory.find("demo").uuid
    inventory = lose_state(scene)
    scene.worker.waits = True
    inventory.adopt(Adoption(folders(scene, *NAMES), engine="triple"), lambda *_what: None)
    assert [work.call for work, _done in scene.worker.waiting] == [Call.ADOPT_MEMBER] * 3
    for place in (2, 1, 0):
        scene.worker.work_off(place)
    ((decision, _done),) = scene.worker.waiting
    assert [finding.folder.name for finding in decision.findings] == list(NAMES)
    scene.worker.work_off()
    assert inventory.served["demo"].volume.uuid == uuid


def test_what_is_lost_and_what_does_not_fit_together_is_told(
    scene: Scene, inventory: VolumeInventory
) -> None:
    inventory = lose_state(scene)
    with pytest.raises(UsageError, match="triple: only one, two are there"):
        in_place.adopt(inventory, Adoption(folders(scene, "one", "two"), engine="triple"))
    with pytest.raises(UsageError, match=r"triple: .*four: holds no member"):
        in_place.adopt(inventory, Adoption(folders(scene, "one", "four"), engine="triple"))
    left = Adoption(folders(scene, "one", "two"), ("three",), engine="triple")
    adopted = in_place.adopt(inventory, left)
    assert adopted.loss == "three"


def test_a_new_volume_in_folders_of_another_is_told_how_that_one_comes_back(
    scene: Scene, inventory: VolumeInventory
) -> None:
    inventory = lose_state(scene)
    one, _two, three = folders(scene, *NAMES)
    (scene.folder / "demo-folder" / "two" / "note").rename(scene.folder / "note")
    (scene.folder / "demo-folder" / "two" / "bytes").unlink()
    with pytest.raises(ConflictError) as caught:
        in_place.create(inventory, triple(), base=scene.folder)
    assert f"tierce volume adopt --without two {one} {three}" in str(caught.value)


@pytest.mark.parametrize("call", [Call.CREATE, Call.CONDEMN, Call.EMPTY, Call.TIDY, Call.DELETE])
def test_what_members_have_in_common_is_made_and_marked_before_them_and_goes_after_them(
    scene: Scene, inventory: VolumeInventory, call: Call
) -> None:
    volume = inventory.served["demo"].volume
    errand = do_whole(inventory.config.registry, call, volume)
    steps = []
    step = next(errand)
    while True:
        is_common = isinstance(step, Work)
        steps.append("common" if is_common else "members")
        try:
            step = errand.send(None if is_common else (Answer(), Answer(), Answer()))
        except StopIteration:
            break
    is_first = call in (Call.CREATE, Call.CONDEMN)
    assert steps == (["common", "members"] if is_first else ["members", "common"])


def test_several_failures_are_one_that_names_each_and_says_the_most_that_is_known() -> None:
    later, never = TemporaryError("later", delay_s=9.0), ConflictError("never")
    both = put_together({"one": later, "two": never})
    assert (type(both), str(both)) == (ConflictError, "one: later; two: never")
    same = put_together({"one": never, "two": later, "three": ConflictError("never")})
    assert str(same) == "one, three: never; two: later"
    alone = put_together({"one": later})
    assert isinstance(alone, TemporaryError)
    assert (str(alone), alone.delay_s) == ("one: later", 9.0)
    wrong = FormatError("it is damaged", path=Path("/b"))
    found = put_together({"two": wrong})
    assert isinstance(found, FormatError)
    assert (str(found), found.path) == ("two: /b: it is damaged", Path("/b"))
    bug = put_together({"two": PluginError("a bug", plugin="mine")})
    assert isinstance(bug, PluginError)
    assert bug.why == str(bug) == "two: plugin 'mine': a bug"
    full = put_together({"two": OSError(errno.ENOSPC, "No space left on device", "/b")})
    assert isinstance(full, OSError)
    assert (full.errno, explain(full)) == (errno.ENOSPC, "two: /b: No space left on device")
    given_up = GivenUpError("nobody wants it")
    assert put_together({"one": never, "two": given_up}) is given_up
