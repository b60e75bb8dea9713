"""Who is in the set, told of the whole: what is busy, who is used for what, and what restarts."""

from __future__ import annotations

import errno

import pytest

from jiva.cluster import Cluster, opened
from tierce import GOOD
from tierce_jiva.host import State
from tierce_jiva.replica_actions import DigestExtents, Save, Sync

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
EIO = OSError(errno.EIO, "planned")


@pytest.fixture
def cluster() -> Cluster:
    return opened(clean_after_s=0.5)


def rest(cluster: Cluster) -> None:
    """Flush, and let everything come to its end."""
    flush = cluster.flush()
    cluster.run(3)
    assert flush.status is GOOD


def test_a_clean_volume_sleeps_and_a_marked_one_does_until_it_is_flushed(cluster: Cluster) -> None:
    assert not cluster.target.is_busy
    cluster.put(0, b"a" * BLOCK)
    assert not cluster.target.is_busy, "nothing will happen by itself"
    cluster.flush()
    cluster.run()
    assert cluster.target.is_busy, "the mark is to be taken away"
    cluster.run(3)
    assert not cluster.target.is_busy


@pytest.mark.parametrize("how", ["away", "out", "in doubt", "asked", "pending", "opening"])
def test_time_matters_while(cluster: Cluster, how: str) -> None:
    cluster.put(0, b"a" * BLOCK)
    if how == "away":
        cluster.break_pipe(B, "cut")
    elif how == "out":
        cluster.nodes[B].store.fail_write = EIO
        cluster.write(0, b"b" * BLOCK)
        cluster.run(3)
        assert cluster.states()[B] != "in-sync"
    elif how == "in doubt":
        cluster.nodes[A].held = cluster.nodes[C].held = {DigestExtents}
        cluster.kill_replica(B)
        cluster.start_replica(B)
        cluster.run(0.3)
    elif how == "asked":
        cluster.nodes[B].is_hung = True
        cluster.read(0, BLOCK)
        cluster.read(0, BLOCK)
        cluster.read(0, BLOCK)
        cluster.run()
    elif how == "pending":
        for name in (B, C):
            cluster.break_pipe(name, "cut")
        cluster.cut = {B, C}
        cluster.write(0, b"b" * BLOCK)
    else:
        cluster.start_target()
    assert cluster.target.is_busy


def test_an_ended_target_looks_after_nothing(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    cluster.write(0, b"b" * BLOCK)
    cluster.close()
    assert cluster.target.state is State.ENDED, "something is under way: it is not clean"
    assert not cluster.target.is_busy
    cluster.run()
    assert all(node.record.marks for node in cluster.nodes.values())


def test_a_close_that_takes_too_long_ends_all_the_same(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[B].held = {Sync}
    cluster.close()
    cluster.run(4)
    assert not cluster.ends
    cluster.run(2)
    assert cluster.ends
    assert cluster.target.state is State.ENDED
    assert cluster.nodes[A].record.marks, "it was not closed clean"


def test_no_request_is_taken_once_the_volume_closes(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    cluster.close()
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run()
    assert cluster.ends == 1
    assert write.status is None or not write.status.is_good
    assert cluster.cached(0) == [b"a"] * 3


def test_all_members_are_read_in_turn_and_nobody_else(cluster: Cluster) -> None:
    asked = set()
    for _ in range(9):
        cluster.read(0, BLOCK)
        asked |= {link.name for link in cluster.target.links if link.calls}
        cluster.run()
    assert asked == {A, B, C}
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[A].held = cluster.nodes[B].held = {DigestExtents}
    cluster.start_replica(C)
    cluster.run(1)
    assert cluster.states()[C] == "rebuilding"
    for _ in range(9):
        before = set(cluster.target.links[C].calls)
        cluster.read(3 << 20, BLOCK)
        assert set(cluster.target.links[C].calls) == before
        cluster.run()


def test_a_write_that_fails_on_a_member_begins_a_catch_up_anew(cluster: Cluster) -> None:
    # It may have been copied from that member already.
    cluster.put(0, b"a" * BLOCK)
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.nodes[A].held = cluster.nodes[B].held = {DigestExtents}
    cluster.start_replica(C)
    cluster.run(1)
    cluster.nodes[A].store.fail_write = EIO
    cluster.nodes[B].is_hung = True
    write = cluster.write(3 << 20, b"b" * BLOCK)
    cluster.run()
    assert write.status is None
    assert "jiva.replica.not-let-in" in cluster.codes()
    cluster.nodes[A].store.fail_write = None
    cluster.nodes[B].is_hung = False
    for name in (A, B):
        cluster.release(name)
    cluster.run(40)
    assert write.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(3 << 20) == [b"b"] * 3


def test_nothing_is_copied_from_one_that_failed_a_write_under_way() -> None:
    cluster = opened(rebuild_window=1)
    cluster.put(0, b"a" * BLOCK)
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.nodes[A].store.fail_write = EIO
    cluster.nodes[B].is_hung = True
    cluster.write(0, b"b" * BLOCK)
    cluster.run()
    assert cluster.cached(0)[0] == b"a"
    cluster.nodes[A].held = {DigestExtents}
    cluster.start_replica(C)
    cluster.run(0.5)
    assert cluster.nodes[A].waiting == [], "it lacks what B may hold"
    cluster.release(A)
    cluster.nodes[A].store.fail_write = None
    cluster.nodes[B].is_hung = False
    cluster.run(40)
    assert len(set(cluster.cached(0))) == 1


def test_a_new_member_answers_for_what_is_acknowledged_from_now_on(cluster: Cluster) -> None:
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.start_replica(C)
    cluster.run(3)
    assert cluster.states()[C] == "in-sync"
    cluster.nodes[C].is_hung = True
    write, flush = cluster.write(0, b"a" * BLOCK), cluster.flush()
    cluster.run()
    assert (write.status, flush.status) == (None, None)
    cluster.nodes[C].is_hung = False
    cluster.run()
    assert write.status is flush.status is GOOD


def test_an_older_copy_is_told_nothing_that_makes_it_look_new() -> None:
    cluster = opened(clean_after_s=0.5)
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"a" * BLOCK)
    rest(cluster)
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(copy)
    # It can't be voted out yet: the vote takes its time.
    cluster.nodes[B].held = {Save}
    cluster.start_replica(A)
    cluster.run(0.5)
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(0.5)
    assert cluster.nodes[A].record.order == copy.record.order
    assert cluster.cached(0)[0] == b"\0"
    cluster.release(B)
    cluster.run(3)
    assert write.status is GOOD
    assert cluster.cached(0) == [b"b"] * 3
    assert set(cluster.states().values()) == {"in-sync"}
