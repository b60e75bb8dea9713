"""Ladders: stores that let batches wait."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from jiva.cluster import Cluster, opened
from jiva.steps import flush
from tierce import GOOD, Code

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")


def waiting(*names: str, **options: Any) -> Cluster:
    """Return a volume that serves, in which these replicas' stores let batches wait."""
    cluster = opened(opening_patience_s=0.1, **options)
    for name in names:
        cluster.kill_replica(name)
        cluster.nodes[name].must_admit = True
        cluster.start_replica(name)
    cluster.run(5)
    assert set(cluster.states().values()) == {"in-sync"}
    return cluster


def marked(*names: str) -> Cluster:
    """Return one whose first region is marked, so that a write to it goes out at once."""
    cluster = waiting(*names)
    cluster.write(BLOCK, b"m" * BLOCK)
    cluster.run()
    for name in names:
        cluster.admit(name)
    cluster.run()
    return cluster


def test_a_write_is_acknowledged_once_every_store_has_taken_it() -> None:
    cluster = marked(B)
    write, later = cluster.write(0, b"a" * BLOCK), cluster.write(0, b"b" * BLOCK)
    flushed = cluster.flush()
    cluster.run()
    assert write.status is None
    assert flushed.status is None
    cluster.admit(B)
    cluster.run()
    assert cluster.cached(0) == [b"b", b"a", b"b"], "the others need not wait for it"
    assert write.status is GOOD
    cluster.admit(B)
    cluster.run()
    assert (later.status, flushed.status) == (GOOD, GOOD)
    assert cluster.cached(0) == [b"b"] * 3


def test_a_store_that_lets_a_write_wait_for_ever_is_voted_out_and_comes_back() -> None:
    cluster = waiting(B, dead_s=1.0)
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run(6)
    assert write.status is GOOD
    assert "jiva.replica.voted-out" in cluster.codes()
    assert cluster.cached(0)[1] != b"a"
    node = cluster.nodes[B]
    cluster.kill_replica(B)
    node.must_admit = False
    cluster.start_replica(B)
    cluster.run(6)
    cluster.admit(B)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"a"] * 3


def test_what_waited_is_not_carried_out_for_a_target_that_is_gone() -> None:
    cluster = waiting(A, B, C)
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run()
    for name in (A, B, C):
        assert len(cluster.nodes[name].asked) == 1
    cluster.start_target()
    cluster.run(3)
    for name in (A, B, C):
        cluster.admit(name)
    cluster.run(3)
    assert write.status is None
    assert cluster.is_serving
    assert cluster.get(0) == bytes(BLOCK)
    assert cluster.cached(0) == [b"\0"] * 3


@pytest.mark.parametrize("count", [1, 3])
def test_what_stores_have_no_space_for_fails_by_its_status(count: int) -> None:
    cluster = waiting(A, B, C)
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run()
    full = OSError(errno.ENOSPC, "no segment to lease")
    for index, name in enumerate((A, B, C)):
        cluster.admit(name, full if index < count else None)
    cluster.run(1)
    if count == 3:
        assert write.status is not None
        assert write.status.code is Code.NO_SPACE
        assert "jiva.replica.voted-out" not in cluster.codes()
    else:
        assert write.status is GOOD, "as of a write that fails on one"
        assert cluster.states()[A] != "in-sync"
    for name in (A, B, C):
        while cluster.nodes[name].asked:
            cluster.admit(name)
            cluster.run()


def test_a_flush_covers_what_waited_before_it() -> None:
    cluster = marked(B)
    cluster.write(0, b"a" * BLOCK)
    flushed = cluster.flush()
    cluster.run()
    cluster.admit(B)
    cluster.run()
    assert flushed.status is GOOD
    assert cluster.durable(0) == [b"a"] * 3
    flush(cluster)
