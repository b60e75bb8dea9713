"""Ladders: what comes to an end, whatever goes on beside it."""

from __future__ import annotations

import errno

from jiva.cluster import bytes_of, opened
from jiva.steps import carry_until_answered, miss_a_write, work_off
from tierce import GOOD, Code
from tierce_jiva.replica_actions import DigestExtents, Fetch, Save

BLOCK = 4096
MIB = 1 << 20
A, B, C = ("replica-1", "replica-2", "replica-3")


def test_flushes_end_beside_a_replica_in_doubt_whose_disk_fails_every_sync() -> None:
    """The flush that is to prove it fails each time. The two others are sound, and enough."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[C].store.fail_sync = OSError(errno.EIO, "planned")
    cluster.kill_replica(C)
    cluster.start_replica(C)
    cluster.step_until(lambda: cluster.target.links[C].is_in_doubt)
    cluster.run(5)
    for _ in range(3):
        flush = cluster.flush()
        cluster.run(40)
        assert flush.status is GOOD


def test_copies_end_beside_a_replica_whose_connection_keeps_breaking() -> None:
    """All members are in doubt, so that a read waits for the copies between them. Those do not
    begin anew for a third one that comes and goes."""
    cluster = opened(opening_patience_s=0.1)
    miss_a_write(cluster, C, b"o" * BLOCK)
    cluster.start_replica(C)
    for name in (A, B):
        cluster.nodes[name].store.syncs_to_fail = 1
    cluster.flush()
    cluster.step_until(lambda: all(cluster.target.links[name].doubt for name in (A, B)))
    read = cluster.read(0, BLOCK)
    for name in (A, B):
        cluster.nodes[name].held.add(DigestExtents)
    cluster.run()
    assert read.status is None
    for _ in range(100):
        cluster.run()
        assert C in cluster.pipes
        cluster.break_pipe(C, "it keeps breaking")
        # A digest takes a little longer than the next break.
        work_off(cluster, A, B)
        cluster.run(0.1)
    assert read.status is GOOD
    assert bytes_of(read) == b"o" * BLOCK


def test_reads_end_beside_writes_that_keep_failing_elsewhere() -> None:
    """All disks are full, and a client keeps trying. A cold read takes longer than from one failure
    to the next; it is not begun anew for failures in other extents."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    for node in cluster.nodes.values():
        node.store.is_full = True
        node.store.is_cold = True
        node.held.add(Fetch)
    read = cluster.read(0, BLOCK)
    for _ in range(50):
        cluster.run()
        write = cluster.write(3 * MIB, b"f" * BLOCK)
        carry_until_answered(cluster, write)
        assert write.status is not None
        assert write.status.code is Code.NO_SPACE
        work_off(cluster, A, B, C)
        cluster.run()
        if read.status is not None:
            break
    assert read.status is GOOD
    assert bytes_of(read) == b"o" * BLOCK


def test_a_vote_ends_however_slow_it_is_for_the_joiner_is_proposed_once() -> None:
    """A proposal that was made again at every tick would supersede the last one each time, and no
    vote would end that takes longer than a tick."""
    cluster = opened(opening_patience_s=0.1)
    miss_a_write(cluster, C)
    cluster.start_replica(C)
    quorum = cluster.target._controller._quorum
    for name in (A, B):
        cluster.nodes[name].held.add(Save)
    cluster.step_until(lambda: C in quorum.latest.in_sync)
    sequence = quorum.latest.sequence
    assert quorum.is_voting
    for _ in range(10):
        cluster.run(0.3)  # So long takes a record to be saved.
        work_off(cluster, A, B)
    cluster.run()
    assert quorum.latest.sequence == sequence
    assert not quorum.is_voting


def test_a_replica_with_a_bad_sector_is_not_voted_out_and_let_in_for_ever() -> None:
    """Let in again before that extent was compared or written, it would be voted out by the next
    read of it: two votes each time, and a set that is one short half of the time."""
    cluster = opened(opening_patience_s=0.1)
    cluster.nodes[A].store.fail_read = OSError(errno.EIO, "bad sector")
    for _ in range(60):
        read = cluster.read(0, BLOCK)
        cluster.run(1)
        assert read.status is GOOD
    assert "jiva.replica.read-failed" in cluster.codes()
    assert cluster.codes().count("jiva.replica.voted-out") <= 5
