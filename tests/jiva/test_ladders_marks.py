"""Ladders: when a mark may go, and what a mark is for."""

from __future__ import annotations

import errno

from jiva.cluster import Cluster, opened
from tierce import GOOD, Code
from tierce_jiva.replica_actions import DigestExtents, Sync

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
REGION = 4 << 20
FULL = OSError(errno.ENOSPC, "planned")


def marked(cluster: Cluster) -> list[set[int]]:
    return [set(node.record.marks) for node in cluster.nodes.values()]


def settle(cluster: Cluster) -> None:
    flush = cluster.flush()
    cluster.run(2)
    assert flush.status is GOOD
    assert marked(cluster) == [set()] * len(cluster.nodes)


def lose_power(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.power_off(name)
        cluster.start_replica(name)


def reopen(cluster: Cluster) -> None:
    cluster.start_target()
    cluster.run(4)
    assert cluster.is_serving


def test_only_the_regions_that_are_written_are_marked() -> None:
    cluster = opened(size_bytes=3 * REGION)
    cluster.put(REGION - BLOCK, b"a" * BLOCK)
    assert marked(cluster) == [{0}] * 3
    cluster.put(2 * REGION - BLOCK, b"b" * 2 * BLOCK)
    assert marked(cluster) == [{0, 1, 2}] * 3


def test_a_region_is_cleaned_after_a_flush_while_others_are_written() -> None:
    cluster = opened(size_bytes=3 * REGION, clean_after_s=1.0)
    cluster.put(0, b"a" * BLOCK)
    cluster.put(REGION, b"a" * BLOCK)
    flush = cluster.flush()
    for _ in range(20):
        cluster.put(REGION, b"b" * BLOCK)
        cluster.run(0.1)
        assert all(1 in regions for regions in marked(cluster)), "it is in use"
    assert flush.status is GOOD
    assert marked(cluster) == [{1}] * 3


def test_a_write_waits_until_its_region_is_marked_on_every_replica() -> None:
    cluster = opened()
    cluster.nodes[C].is_hung = True
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    assert cluster.cached(0) == [b"\0"] * 3
    cluster.nodes[C].is_hung = False
    cluster.run()
    assert cluster.cached(0) == [b"a"] * 3


def test_a_mark_goes_only_after_a_flush_that_began_after_the_copy_of_a_repair() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    settle(cluster)
    # A write fails everywhere and is half applied at A: B and C are copied from, or A is.
    for node in cluster.nodes.values():
        node.store.fail_write = FULL
        node.held = {DigestExtents}
    cluster.nodes[A].store.tears = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run()
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    # A flush begins before the copy, and ends after it. The one that follows by itself is slow.
    for node in cluster.nodes.values():
        node.store.fail_write = None
        node.held.add(Sync)
    flush = cluster.flush()
    cluster.run()
    for node in cluster.nodes.values():
        digests, node.waiting = node.waiting[:-1], node.waiting[-1:]
        node.held = {Sync}
        for digest in digests:
            digest()
    cluster.run()
    assert len(set(cluster.cached(0, BLOCK))) == 1, "it is copied"
    for node in cluster.nodes.values():
        node.waiting.pop(0)()
    cluster.run(3)
    assert flush.status is GOOD
    assert marked(cluster) == [{0}] * 3
    for name in cluster.nodes:
        cluster.release(name)
    cluster.run(3)
    assert marked(cluster) == [set()] * 3
    assert len(set(cluster.durable(0, BLOCK))) == 1


def test_no_mark_goes_while_a_replica_is_in_doubt() -> None:
    cluster = opened(size_bytes=3 * REGION, clean_after_s=0.5)
    for region in (0, 1):
        cluster.put(region * REGION, b"a" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    cluster.put(REGION, b"b" * BLOCK)
    cluster.kill_replica(B)
    for name in (A, C):
        cluster.nodes[name].held = {DigestExtents}
    cluster.start_replica(B)
    cluster.run(3)
    assert cluster.states()[B] == "in-doubt"
    assert marked(cluster) == [{0, 1}] * 3
    for name in (A, C):
        cluster.release(name)
    cluster.run(3)
    assert marked(cluster) == [set()] * 3


def test_a_joiner_is_let_in_only_after_a_flush_of_what_was_copied_to_it() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    settle(cluster)
    cluster.power_off(C)
    cluster.run(2)
    cluster.put(0, b"b" * BLOCK)
    settled = cluster.flush()
    cluster.run()
    assert settled.status is GOOD
    cluster.nodes[C].held = {Sync}
    cluster.start_replica(C)
    cluster.run(2)
    assert cluster.cached(0) == [b"b"] * 3
    assert cluster.states()[C] == "rebuilding"
    cluster.release(C)
    cluster.run(2)
    assert cluster.states()[C] == "in-sync"
    assert cluster.durable(0) == [b"b"] * 3


def test_a_joiner_holds_every_mark_before_it_is_let_in() -> None:
    cluster = opened(size_bytes=3 * REGION)
    cluster.kill_replica(C)
    cluster.run(2)
    for region in range(3):
        cluster.put(region * REGION, b"a" * BLOCK)
    cluster.start_replica(C)
    cluster.run(3)
    assert cluster.states()[C] == "in-sync"
    assert marked(cluster) == [{0, 1, 2}] * 3
    # Nothing is flushed anywhere else. The next target begins with it and one that lost power.
    cluster.put(REGION, b"b" * BLOCK)
    lose_power(cluster, C)
    cluster.cut = {B}
    reopen(cluster)
    assert cluster.get(REGION) == b"b" * BLOCK


def test_what_one_that_was_voted_out_may_hold_alone_is_made_equal() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    for name in (B, C):
        cluster.nodes[name].store.fail_write = FULL
        cluster.nodes[name].is_mute = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run()
    assert cluster.cached(0) == [b"b", b"a", b"a"]
    cluster.kill_replica(A)
    for name in (B, C):
        cluster.nodes[name].store.fail_write = None
        cluster.nodes[name].is_mute = False
    cluster.run(2)
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert "jiva.replica.voted-out" in cluster.codes()
    assert cluster.get(0) == b"a" * BLOCK
    cluster.run(3)
    cluster.start_replica(A)
    cluster.run(3)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"a"] * 3


def test_what_one_missed_is_remembered_for_it_until_it_is_back() -> None:
    cluster = opened(size_bytes=3 * REGION, clean_after_s=0.5)
    cluster.kill_replica(A)
    cluster.run(2)
    cluster.put(REGION, b"a" * BLOCK)
    flush = cluster.flush()
    cluster.run(3)
    assert flush.status is GOOD
    assert [set(cluster.nodes[name].record.marks) for name in (B, C)] == [set()] * 2
    cluster.start_replica(A)
    cluster.run(3)
    assert cluster.cached(REGION) == [b"a"] * 3
    compared = [event.message for event in cluster.events if "rebuilding" in event.code]
    assert compared == ["demo: replica-1 is compared with a member in 4 MiB"]


def test_after_a_target_that_did_not_see_it_a_replica_is_compared_in_full() -> None:
    cluster = opened(size_bytes=3 * REGION, clean_after_s=0.5)
    cluster.kill_replica(A)
    cluster.run(2)
    cluster.put(REGION, b"a" * BLOCK)
    cluster.flush()
    cluster.run(3)
    reopen(cluster)
    cluster.start_replica(A)
    cluster.run(3)
    assert cluster.cached(REGION) == [b"a"] * 3
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_replica_whose_power_failed_at_an_opening_is_compared_where_it_was_marked_only() -> None:
    cluster = opened(size_bytes=3 * REGION)
    cluster.put(REGION, b"a" * BLOCK)
    for name in cluster.nodes:
        cluster.kill_replica(name)
    lose_power(cluster, A)
    for name in (B, C):
        cluster.start_replica(name)
    reopen(cluster)
    assert cluster.cached(REGION) == [b"a"] * 3
    compared = [event.message for event in cluster.events if "rebuilding" in event.code]
    assert compared == ["demo: replica-1 is compared with a member in 4 MiB"]


def test_an_orderly_end_leaves_no_mark() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.close()
    cluster.run()
    assert cluster.ends
    assert marked(cluster) == [set()] * 3
    assert cluster.durable(0) == [b"a"] * 3


def test_the_last_flush_before_a_volume_rests_lets_its_marks_go() -> None:
    """Most activity ends with a flush while the one before it is still watched: what the last one
    covers must be looked at too, or the volume stays marked until somebody flushes again."""
    cluster = opened(opening_patience_s=0.1)
    for number in range(2):
        cluster.put(0, bytes([number]) * BLOCK)
        flush = cluster.flush()
        cluster.run(1)
        assert flush.status is GOOD
    assert marked(cluster) == [{0}] * 3
    cluster.run(60)
    assert marked(cluster) == [set()] * 3
