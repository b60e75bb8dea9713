"""Ladders in which several frames arrive at once, or long after the last one."""

from __future__ import annotations

from jiva.cluster import bytes_of, opened
from tierce import GOOD

BLOCK = 4096
A, B = "replica-1", "replica-2"


def test_what_is_read_in_the_segment_that_tells_of_a_failed_sync_is_read_from_another() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.flush()
    cluster.run()
    cluster.put(0, b"b" * BLOCK)
    store = cluster.nodes[A].store
    store.syncs_to_fail = 1
    cluster.flush()
    reads = [cluster.read(0, BLOCK) for _each_replica in range(3)]
    # The kernel drops a page that it could not write: what is read then is what the disk has.
    store.cached[0:BLOCK] = store.durable[0:BLOCK]
    assert store.durable[0:1] == b"a"
    cluster.join_for_replicas()
    cluster.join_for_target(A)
    cluster.run(5)
    assert [read.status for read in reads] == [GOOD] * 3
    assert {bytes_of(read)[:1] for read in reads} == {b"b"}


def test_a_write_after_an_hour_without_any_is_as_young_as_it_is() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.run(60)
    assert not cluster.target.is_busy
    cluster.now += 3600
    cluster.nodes[B].is_hung = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(0.3)
    cluster.nodes[B].is_hung = False
    cluster.run(1)
    assert write.status is GOOD
    assert "jiva.replica.voted-out" not in cluster.codes()
