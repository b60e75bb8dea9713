"""Hostile ladders: what reads find. Each fails today."""

from __future__ import annotations

import errno

from jiva.cluster import bytes_of, opened
from tierce import GOOD, Code
from tierce_jiva.replica_actions import Fetch

BLOCK = 4096
MIB = 1 << 20
REGION = 4 * MIB


def test_a_read_that_was_under_way_when_an_extent_became_unequal_is_read_again() -> None:
    """H9. A slow read of replica-2's disk finds what a write left there that then fails everywhere;
    the extent is made equal from one that wrote nothing, and then the read arrives: it shows what
    no later read shows."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    node = cluster.nodes["replica-2"]
    node.store.is_cold = True
    node.held.add(Fetch)
    read = cluster.read(0, BLOCK)
    cluster.run()
    (work,) = node.waiting
    node.waiting.clear()
    node.held.clear()
    _node, replica, fetch = work.args  # type: ignore[attr-defined]
    for other in cluster.nodes.values():
        other.store.fail_write = OSError(errno.ENOSPC, "full")
    node.store.tears = True
    write = cluster.write(0, b"w" * 2 * BLOCK)
    cluster.step_until(lambda: node.store.cached[:1] == b"w")
    node.store.read(0, memoryview(fetch.buffer))  # The worker reads now, and takes its time.
    for other in cluster.nodes.values():
        other.store.fail_write = None
    cluster.run(3)
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert cluster.cached(0) == [b"o", b"o", b"o"]
    cluster._carry_out(node, replica.fetched(fetch, None))
    cluster.run(1)
    assert read.status is GOOD
    assert bytes_of(read)[:1] == cluster.get(0)[:1]


def test_a_read_is_no_error_while_a_member_that_was_not_asked_is_only_away_for_a_moment() -> None:
    """H10. One member can't read a sector, the other reconnects: the initiator gets a medium error
    at once, though nothing is lost and the other answers 100 ms later."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    cluster.nodes["replica-1"].store.fail_read = OSError(errno.EIO, "bad sector")
    cluster.cut.add("replica-2")
    read = cluster.read(0, BLOCK)
    cluster.break_pipe("replica-2", "blip")
    cluster.run(0.2)
    cluster.cut.clear()
    cluster.run(5)
    assert read.status is GOOD, read.status


def test_a_read_is_no_error_while_a_member_in_doubt_has_the_bytes() -> None:
    """H10. The same where the other member is in doubt: it has the bytes, and is read as soon as
    they were written to it again."""
    cluster = opened(opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"o" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    cluster.kill_replica("replica-2")
    cluster.start_replica("replica-2")
    cluster.step_until(lambda: cluster.target.links["replica-2"].is_in_doubt)
    cluster.nodes["replica-1"].store.fail_read = OSError(errno.EIO, "bad sector")
    read = cluster.read(0, BLOCK)
    cluster.run(20)
    print(read.status, cluster.states())
    assert read.status is GOOD
