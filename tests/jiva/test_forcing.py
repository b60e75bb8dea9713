"""A volume is opened from the replica that an operator names, and from nothing less than that."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from jiva.whole import WholeJiva
from tierce import ConflictError, LocalVolume, UsageError
from tierce_jiva.ballot import Ballot, Membership, Order, Record
from tierce_jiva.boot import boot_id
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.opening import Opening, Waiting, choose
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.promise import Promise

NAMES = ("replica-1", "replica-2", "replica-3")
BALLOT = Ballot(5, 7)
LIFECYCLE = WholeJiva()


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    """Three replicas, of which only the first held everything when they were last served."""
    folders = tuple(ReplicaOptions(folder=str(tmp_path / name)) for name in NAMES)
    volume = LocalVolume(
        name="demo",
        uuid="00ff",
        size_bytes=1 << 20,
        block_size=512,
        engine="jiva",
        exports=(),
        engine_options=JivaOptions(replicas=folders),
        created=1.0,
        folder=tmp_path / "volume",
    )
    LIFECYCLE.create(volume)
    alone = Membership(BALLOT, 2, NAMES, NAMES[:1])
    for name in NAMES:
        change(tmp_path / name, promised=BALLOT, accepted=alone, order=Order(BALLOT, 3))
    return volume


def change(path: Path, **changes: object) -> None:
    folder = ReplicaFolder(path)
    folder.save(attrs.evolve(folder.record, **changes))  # type: ignore[arg-type]
    folder.close()


def record(volume: LocalVolume, name: str) -> Record:
    (member,) = (one for one in LIFECYCLE.members(volume) if one.name == name)
    folder = ReplicaFolder(member.folder)
    folder.close()
    return folder.record


def opening(volume: LocalVolume, *names: str) -> Opening | Waiting:
    """Return what a target decides that these replicas answer."""
    promises = {}
    for name in names:
        found = record(volume, name)
        promises[name] = Promise(
            found.accepted,
            bids=found.bids,
            counts=found.counts(boot_id()),
            marks=found.marks,
            order=found.order,
            settled=found.settled,
        )
    return choose(NAMES, promises)


def test_without_it_the_volume_waits_for_the_one_that_held_everything(volume: LocalVolume) -> None:
    found = opening(volume, "replica-2", "replica-3")
    assert isinstance(found, Waiting)
    assert found.names == ("replica-1",)


def test_the_next_opening_serves_from_the_replica_that_was_named(volume: LocalVolume) -> None:
    LIFECYCLE.accept_loss(volume, "replica-2")
    found = opening(volume, "replica-2", "replica-3")
    assert isinstance(found, Opening)
    assert found.in_sync == {"replica-2"}
    assert record(volume, "replica-2").promised > BALLOT


def test_the_replica_is_taken_as_it_is_though_it_knows_of_fewer_orders(volume: LocalVolume) -> None:
    (one, two, three) = LIFECYCLE.members(volume)
    change(two.folder, order=Order(BALLOT, 1), let_in_boot="before", marks=frozenset({0}))
    change(three.folder, settled=Order(BALLOT, 3))
    LIFECYCLE.accept_loss(volume, "replica-2")
    found = opening(volume, "replica-1", "replica-2", "replica-3")
    assert isinstance(found, Opening)
    assert found.in_sync == {"replica-2"}
    assert not found.strange
    assert one.name not in found.in_sync


def test_one_that_could_not_be_reached_has_no_say_when_it_comes_back(volume: LocalVolume) -> None:
    one = LIFECYCLE.members(volume)[0]
    one.folder.rename(one.folder.with_name("away"))
    LIFECYCLE.accept_loss(volume, "replica-2")
    one.folder.with_name("away").rename(one.folder)
    found = opening(volume, "replica-1", "replica-2")
    assert isinstance(found, Opening)
    assert found.in_sync == {"replica-2"}


def test_it_says_whether_writes_are_lost_for_good(volume: LocalVolume) -> None:
    assert "lost for good" in LIFECYCLE.loss(volume, "replica-2")
    assert "replica-1 did" in LIFECYCLE.loss(volume, "replica-2")
    assert "one of those that held" in LIFECYCLE.loss(volume, "replica-1")


@pytest.mark.parametrize(("keep", "words"), [("", "--keep, one of replica-1"), ("x", "no replica")])
def test_it_must_be_told_which_replica_counts(volume: LocalVolume, keep: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        LIFECYCLE.loss(volume, keep)
    with pytest.raises(UsageError, match=words):
        LIFECYCLE.accept_loss(volume, keep)


def test_a_majority_must_be_within_reach(volume: LocalVolume) -> None:
    for member in LIFECYCLE.members(volume)[1:]:
        member.folder.rename(member.folder.with_name(f"{member.name}-away"))
    with pytest.raises(ConflictError, match="1 of 3 replicas can be reached, 2 must"):
        LIFECYCLE.accept_loss(volume, "replica-1")
    with pytest.raises(ConflictError, match=r"replica-2 can't be kept: .*missing"):
        LIFECYCLE.loss(volume, "replica-2")
    assert record(volume, "replica-1").promised == BALLOT


def test_nothing_is_forced_while_a_replica_runs(volume: LocalVolume) -> None:
    running = ReplicaFolder(LIFECYCLE.members(volume)[2].folder)
    with pytest.raises(ConflictError, match="has this folder open"):
        LIFECYCLE.accept_loss(volume, "replica-2")
    running.close()
    assert record(volume, "replica-2").promised == BALLOT
    assert LIFECYCLE.loss(volume, "replica-2")
