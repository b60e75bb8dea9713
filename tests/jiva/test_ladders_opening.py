"""Ladders: whom a new target serves from, and what is voted meanwhile."""

from __future__ import annotations

import errno

import pytest

from jiva.cluster import Cluster, opened
from jiva.ladder import frames_of, taken
from jiva.steps import end_by_a_failed_sync, flush, work_off
from tierce import GOOD
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.host import State
from tierce_jiva.replica_actions import DigestExtents, Fetch, Save
from tierce_jiva.waiting_store import OPENING
from tierce_jiva.wire import encode_control

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
EIO = OSError(errno.EIO, "planned")


def kill_all(cluster: Cluster) -> None:
    for name in cluster.nodes:
        cluster.kill_replica(name)


def start(cluster: Cluster, *names: str) -> None:
    """Start a target that reaches these replicas only."""
    cluster.cut = set(cluster.nodes) - set(names)
    for name in names:
        if cluster.nodes[name].replica is None:
            cluster.start_replica(name)
    cluster.start_target()
    cluster.run(4)


def write_on_one(cluster: Cluster, name: str, data: bytes) -> None:
    """A write has reached one replica when the target's process ends."""
    others = [other for other in cluster.nodes if other != name]
    for other in others:
        cluster.nodes[other].is_hung = True
    cluster.write(0, data)
    cluster.run()
    for other in others:
        cluster.break_pipe(other, "the target ends")
        cluster.nodes[other].is_hung = False


def fail_a_sync(cluster: Cluster, name: str) -> None:
    """A sync fails, which is on record; the target ends before it has learnt it."""
    node = cluster.nodes[name]
    node.store.syncs_to_fail = 1
    node.is_mute = True
    cluster.flush()
    cluster.run()
    assert node.record.suspect
    node.is_mute = False


def test_what_an_unsettled_write_left_is_equal_on_all_before_it_is_read() -> None:
    cluster = opened()
    cluster.put(0, b"0" * BLOCK)
    write_on_one(cluster, A, b"1" * BLOCK)
    assert cluster.cached(0) == [b"1", b"0", b"0"]
    start(cluster, A, B, C)
    found = {cluster.get(0) for _ in range(6)}
    assert len(found) == 1
    kill_all(cluster)
    start(cluster, B, C)
    assert {cluster.get(0) for _ in range(6)} == found


def test_reads_and_writes_of_what_is_unsettled_wait_and_hurry_it() -> None:
    cluster = opened(rebuild_window=1)
    cluster.put(0, b"0" * BLOCK)
    write_on_one(cluster, A, b"1" * BLOCK)
    for node in cluster.nodes.values():
        node.held = {DigestExtents}
    start(cluster, A, B, C)
    # The first extent is under way; the last one is read and written.
    read, write = cluster.read(3 << 20, BLOCK), cluster.write(3 << 20, b"2" * BLOCK)
    cluster.run(1)
    assert (read.status, write.status) == (None, None)
    assert not any(link.writes for link in cluster.target.links)
    while read.status is None:
        work_off(cluster, A, B, C)
        cluster.run()
    assert write.status is GOOD
    assert cluster.cached(3 << 20) == [b"2"] * 3
    # It went before what nobody had asked for.
    elsewhere = cluster.read(2 << 20, BLOCK)
    cluster.run()
    assert elsewhere.status is None
    for name in cluster.nodes:
        cluster.release(name)
    cluster.run()
    assert elsewhere.status is GOOD


def test_a_site_wide_power_cut_keeps_what_was_flushed_and_opens_with_all_only() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    cluster.put(0, b"b" * BLOCK)
    for name in cluster.nodes:
        cluster.power_off(name)
    start(cluster, A, B)
    assert not cluster.is_serving
    assert "waiting for replica-3" in cluster.published.trouble
    start(cluster, A, B, C)
    assert cluster.get(0) == b"a" * BLOCK
    assert len(set(cluster.cached(0, BLOCK))) == 1


def test_a_write_waits_for_a_joiner_that_is_being_voted_in() -> None:
    cluster = opened()
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"0" * BLOCK)
    cluster.start_replica(C)
    cluster.step_until(lambda: cluster.target.links[C].is_ready)
    cluster.step_until(lambda: not cluster.target.links[C].missed.overlaps(0, 1))
    # The vote takes its time on the disks of the old members.
    for name in (A, B):
        cluster.nodes[name].held = {Save}
    cluster.run(1)
    assert cluster.states()[C] == "in-sync", "it is proposed"
    cluster.nodes[C].is_hung = True
    write = cluster.write(0, b"1" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert cluster.cached(0) == [b"1", b"1", b"0"]
    assert (write.status, flush.status) == (None, None)
    for name in (A, B):
        cluster.release(name)
    cluster.run()
    assert (write.status, flush.status) == (None, None)
    cluster.nodes[C].is_hung = False
    cluster.run()
    assert write.status is flush.status is GOOD


def three_of_which_two_are_in_the_set() -> Cluster:
    """C was voted out, and is back as one that only votes: it can't be copied to."""
    cluster = opened()
    cluster.put(0, b"0" * BLOCK)
    cluster.kill_replica(C)
    cluster.run(2)
    for name in (A, B):
        cluster.nodes[name].held = {DigestExtents}
    cluster.start_replica(C)
    cluster.run(1)
    assert cluster.states() == {A: "in-sync", B: "in-sync", C: "rebuilding"}
    return cluster


def test_a_vote_goes_first_to_one_that_stays() -> None:
    cluster = three_of_which_two_are_in_the_set()
    cluster.put(3 << 20, b"1" * BLOCK)
    # The target is cut off from B, and A loses power before it has accepted to go on alone.
    cluster.nodes[A].held = {Save}
    cluster.cut = {B}
    cluster.half_open(B)
    cluster.run(2)
    assert "jiva.replica.voted-out" in cluster.codes()
    cluster.power_off(A)
    cluster.nodes[A].held = set()
    cluster.cut = set()
    cluster.start_replica(A)
    cluster.nodes[B].held = set()
    cluster.start_target()
    cluster.run(4)
    assert cluster.is_serving
    assert cluster.get(3 << 20) == b"1" * BLOCK


def test_who_is_being_voted_out_is_not_read() -> None:
    cluster = opened()
    cluster.put(0, b"0" * BLOCK)
    cluster.nodes[B].store.fail_write = EIO
    for name in (A, C):
        cluster.nodes[name].held = {Save}
    write = cluster.write(0, b"1" * BLOCK)
    cluster.run()
    assert write.status is None, "the vote is not in force"
    assert cluster.cached(0) == [b"1", b"0", b"1"]
    reads = [cluster.read(BLOCK, BLOCK) for _ in range(6)]
    # A read beside it in the same granule waits; one elsewhere is not asked of B.
    elsewhere = [cluster.read(1 << 20, BLOCK) for _ in range(6)]
    assert not cluster.target.links[B].calls
    cluster.run()
    assert {read.status for read in elsewhere} == {GOOD}
    for name in (A, C):
        cluster.release(name)
    cluster.run()
    assert write.status is GOOD
    assert {read.status for read in reads} == {GOOD}


def test_one_whose_sync_failed_counts_as_one_that_lost_power() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    fail_a_sync(cluster, A)
    kill_all(cluster)
    # Its cache loses what the sync left; C's machine has lost everything.
    cluster.nodes[A].store.evict()
    cluster.power_off(C)
    start(cluster, A, C)
    assert not cluster.is_serving
    assert B in cluster.published.trouble
    start(cluster, A, B, C)
    assert cluster.get(0) == b"a" * BLOCK
    cluster.run(3)
    assert cluster.cached(0) == [b"a"] * 3


def test_one_whose_memory_held_though_its_sync_failed_is_copied_from_if_all_others_lost_power() -> (
    None
):
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    # It alone is asked to flush in the end, and it fails.
    for name in (A, C):
        cluster.nodes[name].is_hung = True
    fail_a_sync(cluster, B)
    kill_all(cluster)
    for name in (A, C):
        cluster.nodes[name].is_hung = False
        cluster.power_off(name)
    assert cluster.cached(0) == [b"\0", b"a", b"\0"]
    start(cluster, A, B, C)
    assert cluster.get(0) == b"a" * BLOCK
    flush = cluster.flush()
    cluster.run(2)
    assert flush.status is GOOD
    assert cluster.durable(0) == [b"a"] * 3


def test_a_target_that_found_all_that_stay_suspect_waits_for_what_it_writes_again() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    for name in cluster.nodes:
        fail_a_sync(cluster, name)
    kill_all(cluster)
    start(cluster, A, B, C)
    assert cluster.get(0) == b"a" * BLOCK
    flush = cluster.flush()
    cluster.run(2)
    assert flush.status is GOOD
    assert cluster.durable(0) == [b"a"] * 3
    assert not any(node.record.suspect for node in cluster.nodes.values())


@pytest.mark.parametrize("comes_back", ["to its target", "when that is gone"])
@pytest.mark.parametrize(("early", "late"), [(A, B), (B, A)])
def test_of_two_that_were_started_again_under_one_target_the_earlier_is_believed(
    early: str, late: str, comes_back: str
) -> None:
    cluster = opened(2)
    cluster.put(0, b"a" * BLOCK)
    flush(cluster)
    # Nothing is owed to it, so that its target has nothing to write to it again.
    cluster.kill_replica(early)
    cluster.start_replica(early)
    cluster.run()
    cluster.put(0, b"b" * BLOCK)
    # The other one forgets that, and nobody knows; the target ends before it has seen to it.
    cluster.nodes[early].held = {Fetch, DigestExtents}
    end_by_a_failed_sync(cluster, late)
    if comes_back == "when that is gone":
        cluster.cut = {late}
    cluster.start_replica(late)
    cluster.run()
    assert set(cluster.cached(0)) == {b"a", b"b"}
    cluster.nodes[early].held, cluster.nodes[early].waiting = set(), []
    start(cluster, early, late)
    assert cluster.is_serving
    assert cluster.get(0) == b"b" * BLOCK
    assert cluster.cached(0) == [b"b"] * 2


def test_a_replica_that_opens_its_store_keeps_no_vote_of_the_others_from_its_end() -> None:
    cluster = Cluster(opening_patience_s=1.0)
    cluster.cut = {C}
    cluster.step_until(lambda: cluster.target.state is State.ELECTING)
    for name in (A, B):
        cluster.nodes[name].held = {Save}
    cluster.run()
    # It comes, and is sent away, more often than a slow disk makes a vote durable.
    for _ in range(3):
        cluster.target.connected(cluster.now, C)
        (asked,) = taken(cluster.target.links[C])
        message = {"kind": "refused", "why": OPENING, "promised": NO_BALLOT.to_json()}
        answer = frames_of(encode_control(asked.sequence, NO_BALLOT, message))
        cluster.target.received(cluster.now, C, answer)
        cluster.carry_out()
        cluster.run(0.5)
        assert cluster.target.state is State.ELECTING
    for name in (A, B):
        cluster.release(name)
    cluster.run()
    assert cluster.is_serving
    # It was one vote, not one after each time.
    assert cluster.nodes[A].record.accepted.sequence == 1
