"""Ladders: what reads find while something is made equal, in doubt, or away for a moment."""

from __future__ import annotations

import errno

from jiva.cluster import bytes_of, opened
from jiva.steps import end_by_a_failed_sync, flush, miss_a_write
from tierce import GOOD, Code
from tierce_jiva.replica_actions import DigestExtents, Fetch, Sync

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
BAD_SECTOR = OSError(errno.EIO, "bad sector")
FULL = OSError(errno.ENOSPC, "planned")


def test_a_read_that_was_under_way_when_an_extent_became_unequal_is_read_again() -> None:
    """B's disk is slow, and reads what a write left there that then fails everywhere. The extent is
    made equal from one that wrote nothing before the bytes arrive: no later read shows them."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    node = cluster.nodes[B]
    node.store.is_cold = True
    node.held.add(Fetch)
    read = cluster.read(0, BLOCK)
    cluster.run()
    assert node.waiting
    for other in cluster.nodes.values():
        other.store.fail_write = FULL
    node.store.tears = True
    write = cluster.write(0, b"w" * 2 * BLOCK)
    cluster.step_until(lambda: node.store.cached[:1] == b"w")
    node.is_slow = True
    cluster.release(B)
    node.is_slow = False
    assert node.waiting, "the worker has read, and takes its time"
    for other in cluster.nodes.values():
        other.store.fail_write = None
    cluster.run(3)
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert cluster.cached(0) == [b"o"] * 3
    cluster.release(B)
    cluster.run(1)
    assert read.status is GOOD
    assert bytes_of(read) == cluster.get(0) == b"o" * BLOCK


def test_a_read_is_no_error_while_a_member_that_was_not_asked_is_only_away_for_a_moment() -> None:
    """A can't read a sector, and B is connecting again: nothing is lost, and B answers soon."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    cluster.nodes[A].store.fail_read = BAD_SECTOR
    cluster.cut.add(B)
    read = cluster.read(0, BLOCK)
    cluster.break_pipe(B, "blip")
    cluster.run(0.2)
    assert cluster.nodes[A].reports == ["jiva.replica.read-failed"]
    cluster.cut.clear()
    cluster.run(5)
    assert read.status is GOOD, read.status
    assert bytes_of(read) == b"o" * BLOCK


def test_a_read_is_no_error_while_a_member_in_doubt_has_the_bytes() -> None:
    """A can't read a sector. B is in doubt, but it has the bytes: it is read as soon as it is
    sound."""
    cluster = opened(opening_patience_s=0.1)
    miss_a_write(cluster, C, b"o" * BLOCK)
    cluster.kill_replica(B)
    cluster.start_replica(B)
    cluster.step_until(lambda: cluster.target.links[B].is_in_doubt)
    cluster.nodes[A].store.fail_read = BAD_SECTOR
    read = cluster.read(0, BLOCK)
    cluster.run(20)
    assert "jiva.replica.read-failed" in cluster.nodes[A].reports
    assert read.status is GOOD, read.status
    assert bytes_of(read) == b"o" * BLOCK


def test_members_that_are_left_alone_in_doubt_are_made_equal_before_they_are_read() -> None:
    """A and C have restarted and are in doubt, and A has lost a page. B, which was sound, loses
    power. The two that stay differ: read by turns, they would show the newer content and then the
    older."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    flush(cluster)
    cluster.put(0, b"n" * BLOCK)
    cluster.nodes[C].held.add(Sync)
    end_by_a_failed_sync(cluster, A)
    cluster.kill_replica(C)
    for name in (A, C):
        cluster.nodes[name].held = {DigestExtents}
        cluster.start_replica(name)
    cluster.nodes[B].held.add(DigestExtents)
    cluster.step_until(lambda: all(cluster.target.links[name].is_in_doubt for name in (A, C)))
    cluster.power_off(B)
    cluster.start_replica(B)
    cluster.run(0.5)
    membership = cluster.target._controller._quorum.membership
    assert membership is not None
    assert membership.in_sync == (A, C)
    assert [cluster.cached(0)[number] for number in (0, 2)] == [b"o", b"n"]
    reads = [cluster.read(0, BLOCK) for _ in range(4)]
    cluster.run()
    found = {bytes_of(read) for read in reads if read.status is GOOD}
    for name in (A, C):
        cluster.release(name)
    cluster.run(10)
    assert {read.status for read in reads} == {GOOD}
    found |= {bytes_of(read) for read in reads}
    found |= {cluster.get(0) for _ in range(4)}
    assert len(found) == 1, found
