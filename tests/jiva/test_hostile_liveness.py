"""Hostile ladders: what never comes to an end, or punishes the innocent. Each fails today."""

from __future__ import annotations

import errno

import pytest

from jiva.cluster import Cluster, opened
from tierce import GOOD, Code, Op, Request
from tierce_jiva.replica_actions import DigestExtents, Fetch

BLOCK = 4096
MIB = 1 << 20
REGION = 4 * MIB


def test_flushes_go_on_without_a_replica_in_doubt_whose_disk_fails_every_sync() -> None:
    """H5. It has restarted; the flush that is to prove it fails each time. Two others are sound:
    no flush is answered until it is given up as NOT READY, for ever."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes["replica-3"].store.fail_sync = OSError(errno.EIO, "planned")
    cluster.kill_replica("replica-3")
    cluster.start_replica("replica-3")
    cluster.run(5)
    for _ in range(3):
        flush = cluster.flush()
        cluster.run(40)
    assert flush.status is GOOD


def test_a_member_that_is_copied_from_may_break_its_connection_for_a_moment() -> None:
    """H6. The source of a catch-up reconnects at once, well within the grace: it is voted out."""
    cluster = opened(size_bytes=4 * REGION, rebuild_window=1, opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    cluster.write(0, b"m" * BLOCK)
    cluster.run(3)
    cluster.start_replica("replica-3")
    readmission = cluster.target._steward._readmission
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].held.add(DigestExtents)
    cluster.step_until(lambda: readmission.mirror is not None)
    cluster.run()
    count = cluster.codes().count("jiva.replica.voted-out")
    (source,) = (n for n in ("replica-1", "replica-2") if cluster.nodes[n].waiting)
    cluster.break_pipe(source, "blip")
    for name in ("replica-1", "replica-2"):
        cluster.release(name)
    cluster.run(10)
    assert cluster.codes().count("jiva.replica.voted-out") == count
