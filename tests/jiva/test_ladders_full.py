"""Ladders: disks are full."""

from __future__ import annotations

import errno

from jiva.cluster import Cluster, opened
from jiva.steps import end_by_a_failed_sync, flush
from tierce import GOOD, Code, Request
from tierce_jiva.replica_actions import Sync

BLOCK = 4096
MIB = 1 << 20
A, B, C = ("replica-1", "replica-2", "replica-3")


def fill(cluster: Cluster, *names: str, is_full: bool = True) -> None:
    for name in names:
        store = cluster.nodes[name].store
        store.fail_write = OSError(errno.ENOSPC, "planned") if is_full else None


def code(request: Request) -> Code | None:
    return request.status.code if request.status is not None else None


def test_full_disks_everywhere_fail_writes_and_nothing_else() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    fill(cluster, A, B, C)
    for turn in range(5):
        write = cluster.write(turn * BLOCK, b"b" * BLOCK)
        cluster.run(0.2)
        assert code(write) is Code.NO_SPACE
        assert cluster.get(0) == b"a" * BLOCK
    request = cluster.flush()
    cluster.run(5)
    assert request.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.durable(0) == [b"a"] * 3
    fill(cluster, A, B, C, is_full=False)
    cluster.put(0, b"c" * BLOCK)


def test_a_target_that_starts_while_the_disks_are_full_serves_reads_and_ejects_nobody() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.store.is_full = True
    write = cluster.write(BLOCK, b"b" * BLOCK)
    cluster.run()
    assert code(write) is Code.NO_SPACE
    for name in cluster.nodes:
        cluster.kill_replica(name)
        cluster.start_replica(name)
    cluster.start_target()
    # What is in doubt is written again where it has its space; holes stay holes.
    cluster.run(3)
    assert cluster.get(0) == b"a" * BLOCK
    write = cluster.write(BLOCK, b"b" * BLOCK)
    cluster.run()
    assert code(write) is Code.NO_SPACE
    assert set(cluster.states().values()) == {"in-sync"}
    assert "jiva.replica.voted-out" not in cluster.codes()
    for node in cluster.nodes.values():
        node.store.is_full = False
    cluster.put(BLOCK, b"c" * BLOCK)


def test_a_full_disk_beside_others_that_have_room_is_voted_out_and_comes_back() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    fill(cluster, B)
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(1)
    assert write.status is GOOD
    assert cluster.nodes[B].reports == ["jiva.replica.write-failed"]
    assert "jiva.replica.voted-out" in cluster.codes()
    assert cluster.get(0) == b"b" * BLOCK
    cluster.run(3)
    assert cluster.states()[B] != "in-sync"
    fill(cluster, B, is_full=False)
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"b"] * 3


def test_a_lone_replica_whose_disk_is_full_is_read_and_not_voted_out() -> None:
    cluster = opened(1)
    cluster.put(0, b"a" * BLOCK)
    fill(cluster, A)
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(2)
    assert code(write) is Code.NO_SPACE
    assert cluster.get(0) == b"a" * BLOCK
    fill(cluster, A, is_full=False)
    cluster.put(0, b"c" * BLOCK)


def test_what_a_full_disk_half_wrote_is_undone_from_one_that_wrote_nothing() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    fill(cluster, A, B, C)
    cluster.nodes[A].store.tears = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run()
    assert code(write) is Code.NO_SPACE
    # Room is made where it was torn: from there it can't be copied, to there it can.
    fill(cluster, A, is_full=False)
    cluster.run(3)
    assert cluster.cached(0) == [b"a"] * 3
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.get(0) == b"a" * BLOCK


def test_a_catch_up_that_finds_no_room_says_so_and_tries_again() -> None:
    cluster = opened()
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    fill(cluster, C)
    cluster.start_replica(C)
    cluster.run(3)
    told = [event.message for event in cluster.events if event.code == "jiva.replica.not-let-in"]
    assert any("its disk is full" in message for message in told)
    fill(cluster, C, is_full=False)
    cluster.run(40)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"a"] * 3


def test_full_disks_eject_nobody_when_a_torn_write_is_to_be_made_equal() -> None:
    """A copy of the whole extent, holes and all, would have no room on any disk, and whoever was
    tried last would be voted out."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(MIB // 2, b"d" * BLOCK)
    fill(cluster, A, B, C)
    for name in (A, C):
        cluster.nodes[name].store.is_full = True
    cluster.nodes[B].store.tears = True
    write = cluster.write(0, b"w" * 2 * BLOCK)
    cluster.step_until(lambda: cluster.cached(0)[1] == b"w")
    fill(cluster, A, B, C, is_full=False)
    cluster.nodes[B].store.is_full = True
    cluster.run(10)
    assert code(write) is Code.NO_SPACE
    assert "jiva.replica.voted-out" not in cluster.codes()
    assert len(set(cluster.cached(0, MIB))) == 1
    assert cluster.cached(MIB // 2) == [b"d"] * 3


def test_a_full_disk_makes_nobody_in_doubt_a_source_of_what_a_sound_member_has() -> None:
    """A is in doubt, for it has lost a page, and its disk is full when it is to be copied to from
    B. Copied from itself instead, it would be sound with its older content."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    flush(cluster)
    cluster.put(0, b"n" * BLOCK)
    cluster.nodes[B].held.add(Sync)
    end_by_a_failed_sync(cluster, A)
    cluster.release(B)
    fill(cluster, A)
    cluster.start_replica(A)
    repair = cluster.target._controller.upkeep.repair
    cluster.step_until(lambda: bool(repair._failures))
    assert cluster.cached(0) == [b"o", b"n"]
    fill(cluster, A, is_full=False)
    cluster.run(10)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"n"] * 2
