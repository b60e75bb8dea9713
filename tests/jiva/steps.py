"""Steps that several ladders take."""

from __future__ import annotations

import errno

from jiva.cluster import Cluster
from jiva.nodes import PAGE_BYTES
from tierce import GOOD, Request


def miss_a_write(cluster: Cluster, name: str, data: bytes = b"m" * PAGE_BYTES) -> None:
    """A replica is gone when the volume's first bytes are written, and is voted out."""
    cluster.kill_replica(name)
    write = cluster.write(0, data)
    cluster.run(cluster.options.reconnect_grace_s + 2)
    assert write.status is GOOD
    assert "jiva.replica.voted-out" in cluster.codes()


def flush(cluster: Cluster) -> None:
    """Flush, and have it done."""
    request = cluster.flush()
    cluster.run(1)
    assert request.status is GOOD


def carry_until_answered(cluster: Cluster, *requests: Request) -> None:
    """Carry everything hop by hop until these have their status, and no further."""
    cluster.step_until(lambda: all(request.status is not None for request in requests))


def work_off(cluster: Cluster, *names: str) -> None:
    """What waits on these replicas' workers is done; what it leads to waits again."""
    for name in names:
        node = cluster.nodes[name]
        waiting, node.waiting = node.waiting, []
        for work in waiting:
            work()


def end_by_a_failed_sync(cluster: Cluster, name: str) -> None:
    """A sync fails, the process can't put that on record and ends, and the page is lost."""
    node = cluster.nodes[name]
    node.store.syncs_to_fail = 1
    node.fail_save = OSError(errno.EIO, "planned")
    cluster.flush()
    cluster.step_until(lambda: node.replica is None)
    node.fail_save = None
    node.store.evict()


def holes(request: Request) -> list[tuple[int, int]]:
    """Return the offset and length of what is told as holes."""
    assert request.status is GOOD
    at = request.offset
    for extent in request.extents:
        assert extent.offset == at
        assert extent.length > 0
        at += extent.length
    assert at == request.offset + request.length
    return [(extent.offset, extent.length) for extent in request.extents if extent.is_hole]
