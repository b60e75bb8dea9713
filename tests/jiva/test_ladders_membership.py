"""Ladders: votes, and those who lose power or restart during them."""

from __future__ import annotations

from jiva.cluster import bytes_of, opened
from jiva.steps import miss_a_write, work_off
from tierce import GOOD
from tierce_jiva.replica_actions import Reopen, Save

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")


def test_who_lost_power_since_a_vote_began_is_not_the_one_that_the_vote_goes_to_first() -> None:
    """C's network is cut, and its machine stays up with every acknowledged write. The vote that
    leaves it out is on its way when the others lose power: if one of them accepted after that, the
    next target would serve without C, and without the write."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"w" * BLOCK)
    cluster.nodes[A].held.add(Save)
    cluster.cut.add(C)
    cluster.break_pipe(C, "cut")
    cluster.run(2)
    assert "jiva.replica.voted-out" in cluster.codes()
    assert cluster.target._controller._quorum.is_voting
    for name in (A, B):
        cluster.nodes[name].held.clear()
        cluster.power_off(name)
    assert cluster.cached(0) == [b"\0", b"\0", b"w"]
    cluster.start_replica(A)
    cluster.run(0.5)
    cluster.start_replica(B)
    cluster.start_target()
    cluster.run(5)
    read = cluster.read(0, BLOCK)
    cluster.run(1)
    assert read.status is None, f"read {bytes_of(read)[:1]!r}"
    cluster.cut.clear()
    cluster.run(10)
    assert bytes_of(read) == b"w" * BLOCK


def test_a_vote_whose_best_has_come_back_as_an_older_copy_leaves_nobody_out() -> None:
    """C's sync has failed. B is away and is to be left out, and A, which is sound, is asked first;
    it ends before it has accepted, and an old copy of its folder is put back. Without A, C is the
    best of those that are to stay: if it is asked now, nobody is left who held every write."""
    cluster = opened(opening_patience_s=0.1, reconnect_grace_s=0.5)
    node_a, node_c = cluster.nodes[A], cluster.nodes[C]
    old = node_a.copy()
    cluster.put(0, b"w" * BLOCK)
    node_c.store.syncs_to_fail = 1
    node_c.held.add(Reopen)  # It stays in doubt.
    cluster.nodes[B].is_hung = True  # So C is not judged yet.
    cluster.flush()
    cluster.run(0.2)
    assert node_c.record.suspect
    node_a.held.add(Save)
    cluster.cut.add(B)
    cluster.break_pipe(B, "cut")
    quorum = cluster.target._controller._quorum
    cluster.step_until(lambda: quorum.latest.in_sync == (A, C))
    cluster.power_off(A)
    node_a.put_back(old, head="9:9")
    node_a.held.clear()
    node_c.held.add(Save)
    cluster.start_replica(A)
    cluster.run(0.1)
    work_off(cluster, C)
    assert node_c.record.accepted.in_sync == (A, B, C), "not even for a moment"
    cluster.nodes[B].is_hung = False
    cluster.release(C)
    cluster.cut.clear()
    cluster.run(20)
    assert cluster.get(0) == b"w" * BLOCK


def test_a_vote_whose_best_has_failed_a_sync_meanwhile_leaves_nobody_out() -> None:
    """Syncs of A and C have failed, and only C's is known. B, away, is to be left out, and A is
    asked first; that its sync has failed is heard just before it refuses. If C is asked then, and
    everything ends, B is left out, which alone has kept every write."""
    cluster = opened(opening_patience_s=0.1, reconnect_grace_s=0.5)
    node_a, node_c = cluster.nodes[A], cluster.nodes[C]
    cluster.put(0, b"w" * BLOCK)
    node_c.held.add(Reopen)  # It stays in doubt.
    cluster.nodes[B].is_hung = True  # So nobody is judged yet.
    node_a.is_mute = True
    for node in (node_a, node_c):
        node.store.syncs_to_fail = 1
    cluster.flush()
    cluster.run(0.2)
    cluster.cut.add(B)
    cluster.break_pipe(B, "cut")
    quorum = cluster.target._controller._quorum
    cluster.step_until(lambda: quorum.latest.in_sync == (A, C))
    cluster.run(0.0)
    for node in (node_a, node_c):
        node.held.add(Save)
    node_a.is_mute = False
    cluster.run(0.05)
    work_off(cluster, C)
    # Everything ends, and what the syncs that failed have dropped is read no more.
    for name, node in cluster.nodes.items():
        cluster.kill_replica(name)
        node.held.clear()
        node.store.evict()
    cluster.nodes[B].is_hung = False
    cluster.cut.clear()
    cluster.start_target()
    for name in cluster.nodes:
        cluster.start_replica(name)
    cluster.run(20)
    assert cluster.get(0) == b"w" * BLOCK


def test_a_joiner_that_lost_power_since_it_was_proposed_is_not_let_in() -> None:
    """It has lost a write that it was sent as a joiner. Asked to accept again after its start, and
    let in by that, it would seem to have kept its memory as soon as its connection broke once."""
    cluster = opened(opening_patience_s=0.1, reconnect_grace_s=5)
    miss_a_write(cluster, C)
    quorum = cluster.target._controller._quorum
    cluster.start_replica(C)
    cluster.step_until(lambda: C in quorum.latest.in_sync)
    assert quorum.is_voting
    cluster.nodes[C].held.add(Save)  # It takes its time to accept.
    write = cluster.write(0, b"w" * BLOCK)
    cluster.run()
    assert write.status is GOOD
    assert quorum.is_voting
    cluster.nodes[C].held.clear()
    cluster.power_off(C)
    assert cluster.cached(0) == [b"w", b"w", b"m"]
    for name in (A, B):
        cluster.cut.add(name)
        cluster.break_pipe(name, "cut")
    cluster.start_replica(C)
    cluster.run(0.5)
    cluster.break_pipe(C, "blip")
    cluster.run(0.5)
    cluster.cut.clear()
    cluster.run(20)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"w"] * 3


def test_a_joiner_in_doubt_that_is_gone_for_good_keeps_no_mark_and_no_tick() -> None:
    """It restarts between its proposal and that coming into force, is in doubt, and is gone. It
    never was a member, and its doubt must go with it: else no mark would ever be taken away again,
    and the volume would never sleep."""
    cluster = opened(opening_patience_s=0.1)
    miss_a_write(cluster, C)
    quorum = cluster.target._controller._quorum
    cluster.start_replica(C)
    cluster.step_until(lambda: C in quorum.latest.in_sync)
    for name in (A, B):
        cluster.nodes[name].held.add(Save)
    write = cluster.write(0, b"w" * BLOCK)
    cluster.run()
    assert write.status is GOOD
    assert quorum.is_voting
    cluster.kill_replica(C)
    cluster.start_replica(C)
    cluster.run()
    assert cluster.target.links[C].is_in_doubt
    cluster.kill_replica(C)
    cluster.run(3)
    for name in (A, B):
        cluster.release(name)
    cluster.run(3)
    flush = cluster.flush()
    cluster.run(20)
    assert flush.status is GOOD
    assert not any(cluster.nodes[name].record.marked for name in (A, B))
    assert not cluster.target.is_busy
