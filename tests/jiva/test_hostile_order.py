"""Hostile ladders: the order of writes. Each fails today."""

from __future__ import annotations

import errno

from jiva.cluster import opened
from tierce import GOOD
from tierce_jiva.replica_actions import DigestExtents

BLOCK = 4096
MIB = 1 << 20


def test_what_was_not_sent_again_is_never_sent_behind_a_newer_write() -> None:
    """H14. replica-1, the last sound member, returns with a failed write: that is a fault, and
    nothing is sent again. The fault is taken back, since nobody sound would stay. A newer write of
    the same block is sent and acknowledged by both; the older one, still owed, is sent at the next
    reconnection, over it."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    one, two = cluster.nodes.values()
    cluster.kill_replica("replica-2")
    two.held.add(DigestExtents)
    cluster.start_replica("replica-2")
    cluster.step_until(lambda: cluster.target.links["replica-2"].is_in_doubt)
    cluster.run()
    two.is_hung = True
    one.store.fail_write = OSError(errno.ENOSPC, "full")
    cluster.write(2 * MIB, b"f" * BLOCK)
    cluster.run()
    one.store.fail_write = None
    one.is_hung = True
    older = cluster.write(MIB, b"w" * BLOCK)
    cluster.run()
    one.is_hung = False
    cluster.break_pipe("replica-1", "blip")
    cluster.run(0.5)
    two.is_hung = False
    cluster.release("replica-2")
    cluster.run(2)
    newer = cluster.write(MIB, b"x" * BLOCK)
    cluster.run(1)
    assert newer.status is GOOD
    cluster.break_pipe("replica-1", "blip")
    cluster.run(10)
    assert older.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(MIB) == [b"x", b"x"]
