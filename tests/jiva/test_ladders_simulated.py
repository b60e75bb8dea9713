"""Ladders: histories that the simulator has found, each told by itself."""

from __future__ import annotations

import errno

from jiva.cluster import UUID, Cluster, opened
from jiva.ladder import frames_of
from tierce import GOOD, Code
from tierce_jiva.ballot import Ballot
from tierce_jiva.links import LinkState
from tierce_jiva.replica_actions import DigestExtents, Save, Sync
from tierce_jiva.wire import encode_control

BLOCK = 4096
REGION = 4 << 20
A, B, C = ("replica-1", "replica-2", "replica-3")
FULL = OSError(errno.ENOSPC, "planned")


def marks(cluster: Cluster) -> list[set[int]]:
    return [set(node.record.marks) for node in cluster.nodes.values()]


def forget_a_failed_sync(cluster: Cluster, name: str) -> None:
    """A sync fails, and the process ends and is started again before that is on record."""
    node = cluster.nodes[name]
    node.store.syncs_to_fail = 1
    node.held = {Save}
    cluster.flush()
    cluster.run()
    cluster.kill_replica(name)
    node.held = set()
    cluster.start_replica(name)


def test_an_orderly_end_waits_for_marks_that_are_being_taken_away() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    for node in cluster.nodes.values():
        node.is_hung = True
    cluster.run(1)
    cluster.close()
    for node in cluster.nodes.values():
        node.is_hung = False
    cluster.run()
    assert cluster.ends == 1
    assert marks(cluster) == [set()] * 3


def test_a_replica_that_is_let_in_again_is_not_voted_out_for_what_it_was_voted_out_for() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.power_off(B)
    cluster.start_replica(B)
    cluster.run(10)
    assert cluster.codes().count("jiva.replica.voted-out") == 1
    assert set(cluster.states().values()) == {"in-sync"}


def test_the_last_member_that_is_not_in_doubt_is_not_voted_out_for_a_failure() -> None:
    cluster = opened()
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    # A may have lost what only B is known to have; and B's disk is full for a moment.
    cluster.nodes[B].held = {DigestExtents}
    forget_a_failed_sync(cluster, A)
    cluster.nodes[A].store.evict()
    cluster.start_replica(C)
    cluster.run(0.3)
    cluster.nodes[B].store.fail_write = FULL
    cluster.write(3 << 20, b"b" * BLOCK)
    cluster.run(1)
    assert B in cluster.nodes[A].record.accepted.in_sync
    cluster.nodes[B].store.fail_write = None
    cluster.release(B)
    cluster.run(3)
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}


def test_the_last_member_that_is_not_in_doubt_is_waited_for_when_it_is_away() -> None:
    cluster = opened()
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[B].held = {DigestExtents}
    forget_a_failed_sync(cluster, A)
    cluster.nodes[A].store.evict()
    cluster.start_replica(C)
    cluster.run(0.3)
    cluster.nodes[B].held = set()
    cluster.break_pipe(B, "cut")
    cluster.cut = {B}
    read = cluster.read(0, BLOCK)
    cluster.run(5)
    assert read.status is None
    told = [event.message for event in cluster.events if event.code == "jiva.volume.waiting"]
    assert any("waiting for replica-2" in message for message in told)
    cluster.cut = set()
    cluster.run(2)
    assert read.status is GOOD
    assert bytes(read.buffer or b"") == b"a" * BLOCK


def test_a_mark_that_a_parked_write_waits_for_is_not_taken_away_before_it_is_written() -> None:
    cluster = opened(size_bytes=3 * REGION, clean_after_s=0.5, not_ready_after_s=5.0)
    cluster.put(0, b"a" * BLOCK)
    flush = cluster.flush()
    cluster.run(0.4)
    assert flush.status is GOOD
    # Just before the mark of region 0 is due to go, region 1 is wanted, and the orders are slow.
    cluster.nodes[B].is_mute = True
    write = cluster.write(REGION, b"b" * BLOCK)
    cluster.run(1)
    cluster.nodes[B].is_mute = False
    cluster.run()
    assert write.status is GOOD


def test_a_replica_whose_sync_failed_since_does_not_vote_the_others_out() -> None:
    cluster = opened()
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    cluster.start_replica(C)
    cluster.nodes[C].store.fail_write = FULL
    cluster.run(0.5)
    # A's sync has failed, which nobody knows yet, when B is lost and A is asked to go on alone.
    cluster.nodes[A].store.syncs_to_fail = 1
    cluster.nodes[A].is_mute = True
    cluster.flush()
    cluster.run()
    assert cluster.nodes[A].record.suspect
    cluster.kill_replica(B)
    cluster.run(2)
    assert B in cluster.nodes[A].record.accepted.in_sync


def test_a_target_that_was_outbid_between_welcome_and_promise_opens_all_the_same() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.start_target()
    cluster.step_until(lambda: cluster.target.links[A].state is LinkState.PREPARING)
    # Another target is promised, accepted and gone, between what this one asks.
    other = Ballot(cluster.wall + 500, 99)
    for name in (A, B, C):
        membership = cluster.nodes[name].record.accepted.to_json() | {
            "ballot": other.to_json(),
            "sequence": 1,
        }
        accept = {"kind": "accept", "membership": membership, "let_in": {}, "suspect": False}
        hello = {"kind": "hello", "uuid": UUID, "replica": name}
        frames = (
            encode_control(1, other, hello)
            + encode_control(2, other, {"kind": "prepare"})
            + encode_control(3, other, accept)
        )
        cluster.stranger(name, frames_of(frames))
    cluster.run(5)
    assert cluster.is_serving
    assert "jiva.replica.strange" not in cluster.codes()
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.get(0) == b"a" * BLOCK


def test_nothing_waits_behind_a_parked_write_that_was_given_up() -> None:
    cluster = opened(not_ready_after_s=2.0, dead_s=1.0)
    for node in cluster.nodes.values():
        node.is_hung = True
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run(2.5)
    assert write.status is not None
    assert write.status.code is Code.NOT_READY
    for node in cluster.nodes.values():
        node.is_hung = False
    cluster.run(2)
    assert cluster.get(0) == bytes(BLOCK)
    cluster.put(0, b"b" * BLOCK)


def test_a_joiner_that_is_lost_while_it_is_voted_in_keeps_no_mark_for_ever() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"b" * BLOCK)
    cluster.start_replica(C)
    for name in (A, B):
        cluster.nodes[name].held = set()
    cluster.step_until(lambda: cluster.states().get(C) == "rebuilding")
    for name in (A, B):
        cluster.nodes[name].held = {Save}
    cluster.run(1)
    cluster.break_pipe(C, "cut")
    for name in (A, B):
        cluster.release(name)
    cluster.run(8)
    assert set(cluster.states().values()) == {"in-sync"}
    flush = cluster.flush()
    cluster.run(5)
    assert flush.status is GOOD
    assert marks(cluster) == [set()] * 3
    assert not cluster.target.is_busy


def test_of_members_that_are_all_in_doubt_one_that_failed_no_sync_is_copied_from() -> None:
    cluster = opened()
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[C].store.fail_write = FULL
    cluster.start_replica(C)
    cluster.run(0.3)
    # A's sync fails, on record, and its cache loses what that left; B merely restarts.
    cluster.kill_replica(B)
    cluster.nodes[A].store.syncs_to_fail = 1
    cluster.flush()
    cluster.run()
    assert cluster.nodes[A].record.suspect
    cluster.nodes[A].store.evict()
    assert cluster.cached(0)[:2] == [b"\0", b"a"]
    cluster.start_replica(B)
    cluster.run(4)
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    assert cluster.cached(0)[:2] == [b"a", b"a"]


def test_of_members_whose_syncs_have_all_failed_the_one_whose_failed_first_is_copied_from() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.flush()
    cluster.run()
    # C's sync fails before the write, which it keeps; those of A and B fail with it at stake. That
    # of C is heard last.
    cluster.nodes[C].store.syncs_to_fail = 1
    cluster.nodes[C].is_mute = True
    for name in (A, B):
        cluster.nodes[name].held.add(Sync)
    for _before_and_after_the_write in range(2):
        cluster.flush()
    cluster.run()
    assert cluster.nodes[C].record.suspect
    write = cluster.write(0, b"c" * BLOCK)
    cluster.run()
    for name in (A, B):
        cluster.nodes[name].store.syncs_to_fail = 1
        cluster.release(name)
        cluster.nodes[name].store.evict()
    assert cluster.cached(0) == [b"a", b"a", b"c"]
    cluster.nodes[C].is_mute = False
    cluster.run(4)
    assert write.status is GOOD
    assert {cluster.get(0) for _ in range(6)} == {b"c" * BLOCK}
    assert cluster.cached(0) == [b"c"] * 3
