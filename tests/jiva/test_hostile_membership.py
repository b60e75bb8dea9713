"""Hostile ladders: votes, and those who come back during them. Each fails today."""

from __future__ import annotations

import pytest

from jiva.cluster import Cluster, bytes_of, opened
from tierce import GOOD
from tierce_jiva.replica_actions import Save

BLOCK = 4096
MIB = 1 << 20
REGION = 4 * MIB


def clean(cluster: Cluster) -> None:
    flush = cluster.flush()
    cluster.run(10)
    assert flush.status is GOOD
    assert not any(node.record.marked for node in cluster.nodes.values())


@pytest.mark.parametrize("head", ["1:1", "2:2"])
def test_an_old_copy_that_returns_while_it_is_voted_out_is_compared_in_full(head: str) -> None:
    """H2. The old copy is voted out and hung up on; it returns before the vote is in force (a vote
    is two durable rounds, a reconnection 50 ms). As one of the required it is sent the newest order
    about marks, and so looks new; when the vote is in force, what it missed is taken to be what is
    marked now."""
    cluster = opened(size_bytes=4 * REGION, opening_patience_s=0.1)
    cluster.put(3 * REGION, b"o" * BLOCK)
    clean(cluster)
    copy = cluster.nodes["replica-3"].copy()
    cluster.put(3 * REGION, b"n" * BLOCK)
    clean(cluster)
    cluster.kill_replica("replica-3")
    cluster.nodes["replica-3"].put_back(copy, head=head)
    cluster.nodes["replica-1"].held.add(Save)
    cluster.start_replica("replica-3")
    cluster.run(0.5)
    assert "jiva.replica.voted-out" in cluster.codes()
    cluster.release("replica-1")
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(3 * REGION) == [b"n", b"n", b"n"]


def test_an_old_copy_stays_one_when_its_connection_breaks_before_it_could_be_voted_out() -> None:
    """H2. The others are away when it returns: no vote is possible. It is sent the newest order
    about marks meanwhile, and its next connection finds nothing wrong with it any more."""
    cluster = opened(size_bytes=4 * REGION, opening_patience_s=0.1)
    cluster.put(3 * REGION, b"o" * BLOCK)
    clean(cluster)
    copy = cluster.nodes["replica-3"].copy()
    cluster.put(3 * REGION, b"n" * BLOCK)
    clean(cluster)
    cluster.kill_replica("replica-3")
    cluster.nodes["replica-3"].put_back(copy)
    for name in ("replica-1", "replica-2"):
        cluster.cut.add(name)
        cluster.break_pipe(name, "cut")
    cluster.start_replica("replica-3")
    cluster.run(0.2)
    cluster.break_pipe("replica-3", "blip")
    cluster.run(0.2)
    cluster.cut.clear()
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(3 * REGION) == [b"n", b"n", b"n"]


def test_who_lost_power_since_a_vote_began_is_not_the_one_that_the_vote_goes_to_first() -> None:
    """H7. The vote that leaves replica-3 out (its network is cut, it holds every acknowledged
    write) is on its way when the two others lose power. The first to return is asked again, in its
    new start, and accepts; the target ends. Its successor finds a set without replica-3 and serves
    without the write, though replica-3's machine stayed up all the time."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"w" * BLOCK)
    cluster.nodes["replica-1"].held.add(Save)
    cluster.cut.add("replica-3")
    cluster.break_pipe("replica-3", "cut")
    cluster.run(2)
    assert "jiva.replica.voted-out" in cluster.codes()
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].held.clear()
        cluster.power_off(name)
    cluster.start_replica("replica-1")
    cluster.run(0.5)
    cluster.start_replica("replica-2")
    cluster.start_target()
    cluster.run(5)
    read = cluster.read(0, BLOCK)
    cluster.run(1)
    assert read.status is None, f"read {bytes_of(read)[:1]!r}"
    cluster.cut.clear()
    cluster.run(10)
    assert bytes_of(read) == b"w" * BLOCK


def test_a_joiner_that_lost_power_since_it_was_proposed_is_not_let_in() -> None:
    """H8. It is asked to accept again in its new start, and let in by that: from then on it says
    that it has kept its memory. One blip of its connection later it is a sound member."""
    cluster = opened(opening_patience_s=0.1, reconnect_grace_s=5)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"m" * BLOCK)
    cluster.run(7)
    assert write.status is GOOD
    quorum = cluster.target._steward._quorum
    cluster.start_replica("replica-3")
    cluster.step_until(lambda: "replica-3" in quorum.latest.in_sync)
    assert quorum.is_voting
    cluster.nodes["replica-3"].held.add(Save)  # It takes its time to accept.
    write = cluster.write(0, b"w" * BLOCK)
    cluster.run()
    assert write.status is GOOD
    assert quorum.is_voting
    cluster.nodes["replica-3"].held.clear()
    cluster.power_off("replica-3")
    for name in ("replica-1", "replica-2"):
        cluster.cut.add(name)
        cluster.break_pipe(name, "cut")
    cluster.start_replica("replica-3")
    cluster.run(0.5)
    cluster.break_pipe("replica-3", "blip")
    cluster.run(0.5)
    cluster.cut.clear()
    cluster.run(20)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"w", b"w", b"w"]
