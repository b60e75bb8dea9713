"""Ladders: which parts are told as holes, while writes, faults and repairs are under way."""

from __future__ import annotations

import errno

import pytest

from jiva.cluster import Cluster, opened
from jiva.ladder import frames_of
from jiva.steps import holes
from tierce import GOOD, Code, Extent, Op, Request
from tierce_jiva.replica_actions import DigestExtents, FindExtents, Save
from tierce_jiva.wire import encode_found

BLOCK = 4096
GRANULE = 64 << 10
MIB = 1 << 20
A, B, C = ("replica-1", "replica-2", "replica-3")
FULL = OSError(errno.ENOSPC, "planned")


def told(cluster: Cluster, offset: int = 0, length: int = MIB) -> list[tuple[int, int]]:
    request = cluster.status(offset, length)
    cluster.run()
    return holes(request)


@pytest.fixture
def cluster() -> Cluster:
    return opened()


def test_what_was_acknowledged_is_data_and_what_was_discarded_a_hole(cluster: Cluster) -> None:
    assert told(cluster) == [(0, MIB)]
    cluster.put(8 * BLOCK, b"a" * BLOCK)
    assert told(cluster) == [(0, 8 * BLOCK), (9 * BLOCK, MIB - 9 * BLOCK)]
    (discard,) = cluster.submit(Request(Op.DISCARD, 8 * BLOCK, BLOCK))
    cluster.run()
    assert discard.status is GOOD
    assert {tuple(told(cluster)) for _ in range(3)} == {((0, MIB),)}, "whoever is asked"


def test_a_question_waits_for_no_write_and_tells_what_is_parked_as_data(cluster: Cluster) -> None:
    cluster.nodes[A].held = {Save}
    write = cluster.write(0, b"a" * BLOCK)
    status = cluster.status(0, MIB)
    cluster.run()
    assert write.status is None
    assert not any(link.writes for link in cluster.target.links), "it is pending"
    assert holes(status) == [(GRANULE, MIB - GRANULE)]


def test_a_discard_that_one_replica_has_and_another_has_not_is_data(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[B].is_hung = True
    (discard,) = cluster.submit(Request(Op.DISCARD, 0, BLOCK))
    cluster.run()
    assert [cluster.cached(0)[0], cluster.cached(0)[2]] == [b"\0", b"\0"]
    answers = []
    for _ in range(3):
        answers.append(cluster.status(0, MIB))
        cluster.run()
    # Two of three were asked of those that have it.
    assert [holes(one) for one in answers if one.status] == [[(GRANULE, MIB - GRANULE)]] * 2
    cluster.nodes[B].is_hung = False
    cluster.run()
    assert discard.status is GOOD
    assert told(cluster) == [(0, MIB)]


def test_what_may_differ_between_the_replicas_is_data_until_it_is_equal(cluster: Cluster) -> None:
    cluster.put(0, b"0" * BLOCK)
    for node in cluster.nodes.values():
        node.store.fail_write = FULL
        node.held = {DigestExtents}
    cluster.nodes[A].store.tears = True
    write = cluster.write(8 * BLOCK, b"1" * 2 * BLOCK)
    cluster.run()
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert cluster.cached(8 * BLOCK) == [b"1", b"\0", b"\0"]
    for _ in range(3):
        assert told(cluster, 0, 2 * MIB) == [(MIB, MIB)]
    for name, node in cluster.nodes.items():
        node.store.fail_write = None
        cluster.release(name)
    cluster.run(2)
    assert len(set(cluster.cached(8 * BLOCK))) == 1
    assert told(cluster, 2 * BLOCK, BLOCK) == [(2 * BLOCK, BLOCK)]


def test_what_came_to_differ_while_a_replica_looked_is_data(cluster: Cluster) -> None:
    cluster.put(0, b"o" * BLOCK)
    for node in cluster.nodes.values():
        node.held = {FindExtents}
    status = cluster.status(0, MIB)
    cluster.run()
    (asked,) = (node for node in cluster.nodes.values() if node.waiting)
    asked.store.tears = True
    for node in cluster.nodes.values():
        node.store.fail_write = FULL
    cluster.write(8 * BLOCK, b"w" * 2 * BLOCK)
    cluster.run()
    for node in cluster.nodes.values():
        node.store.fail_write = None
    cluster.run(3)
    assert len(set(cluster.cached(8 * BLOCK))) == 1, "it is equal again"
    cluster.release(asked.name)
    cluster.run()
    assert holes(status) == []


def test_what_was_equal_only_after_a_replica_had_looked_is_data() -> None:
    """B lacks what A has, and its worker looks before that is mended. What it saw arrives when both
    are equal, and nothing is in question any more."""
    cluster = opened(2)
    cluster.put(0, b"a" * BLOCK)
    late = cluster.nodes[B]
    late.store.cached[:BLOCK] = bytes(BLOCK)
    late.is_slow = True
    unequal = cluster.target._controller.upkeep.repair
    unequal.add(0, BLOCK, cluster.target.links[A].bit)
    answers = [cluster.status(0, MIB) for _ in range(2)]
    cluster.run(3)
    assert cluster.cached(0) == [b"a"] * 2
    assert not unequal.unequal
    assert [one.status is None for one in answers].count(True) == 1, "B has looked, and is late"
    late.is_slow = False
    cluster.release(B)
    cluster.run()
    assert [holes(one) for one in answers] == [[], []]


def test_a_replica_that_is_lost_or_can_not_tell_is_followed_by_another(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.is_mute = True
    status = cluster.status(0, MIB)
    cluster.step()
    (first,) = (name for name, pipe in cluster.pipes.items() if pipe.to_target)
    cluster.cut.add(first)
    cluster.break_pipe(first, "cut")
    for node in cluster.nodes.values():
        node.is_mute = False
    second, third = (name for name in cluster.nodes if name != first)
    cluster.nodes[second].store.fail_read = OSError(errno.EIO, "bad sector")
    cluster.run()
    assert holes(status) == [(BLOCK, MIB - BLOCK)]
    cluster.nodes[third].store.fail_read = OSError(errno.EIO, "bad sector")
    assert told(cluster) == [], "a question is no error where nobody can tell"
    assert "jiva.replica.read-failed" in cluster.nodes[third].reports
    assert "jiva.replica.voted-out" not in cluster.codes(), "nobody is at fault for that"


def test_a_volume_whose_replicas_are_of_an_older_release_is_all_data(cluster: Cluster) -> None:
    """A new target may meet their processes, which would hang up on a frame that they don't know:
    with all of them gone the volume would stand still."""
    for link in cluster.target.links:
        link.knows_status = False
    assert told(cluster) == []
    cluster.run(1)
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_question_that_is_never_answered_is_data_in_the_end() -> None:
    cluster = opened(1, not_ready_after_s=2.0)
    cluster.nodes[A].held = {FindExtents}
    status = cluster.status(0, MIB)
    cluster.run(1.5)
    assert status.status is None
    cluster.run(1)
    assert holes(status) == []
    cluster.release(A)
    cluster.run(1)
    assert holes(status) == []


def test_without_a_majority_a_question_waits_and_is_not_ready_in_the_end() -> None:
    cluster = opened(not_ready_after_s=2.0)
    for name in (B, C):
        cluster.cut.add(name)
        cluster.break_pipe(name, "cut")
    status = cluster.status(0, MIB)
    cluster.run(1)
    assert status.status is None
    cluster.run(2)
    assert status.status is not None
    assert status.status.code is Code.NOT_READY


@pytest.mark.parametrize(
    "found",
    [
        [Extent(BLOCK, BLOCK, is_hole=True)],
        [Extent(0, BLOCK, is_hole=True), Extent(0, BLOCK, is_hole=False)],
        [Extent(0, 2 * MIB, is_hole=True)],
    ],
    ids=["late", "overlapping", "outside"],
)
def test_a_replica_that_tells_what_was_not_asked_is_hung_up_on_and_another_is_asked(
    cluster: Cluster, found: list[Extent]
) -> None:
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.held = {FindExtents}
    status = cluster.status(0, MIB)
    cluster.run()
    (liar,) = (name for name, node in cluster.nodes.items() if node.waiting)
    link = cluster.target.links[liar]
    (sequence,) = link.calls
    frames = frames_of(encode_found(sequence, cluster.target.links.ballot, found))
    cluster.target.received(cluster.now, liar, frames)
    cluster.carry_out()
    assert [hangup.name for hangup in cluster.hangups] == [liar]
    assert not link.is_ready
    for name in cluster.nodes:
        cluster.release(name)
    cluster.run(2)
    assert holes(status) == [(BLOCK, MIB - BLOCK)]
    assert cluster.target.links[liar].is_ready, "it has come back"
