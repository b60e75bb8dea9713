"""Ladders: reads, comparisons and writes that meet."""

from __future__ import annotations

import pytest

from jiva.cluster import Cluster, bytes_of, opened
from tierce import GOOD, Capabilities, Code, Completed, Geometry, Op, Request
from tierce.volume.emulate import Emulator
from tierce_jiva.replica_actions import Save

BLOCK = 512
A, B, C = ("replica-1", "replica-2", "replica-3")


@pytest.fixture
def cluster() -> Cluster:
    """A volume whose regions are clean: a write is pending until its region is marked."""
    return opened()


class Device:
    """The volume, as core's emulator sees it."""

    capabilities = Capabilities(discard=True, write_zeroes=True, block_status=True)

    def __init__(self, cluster: Cluster) -> None:
        self.geometry = Geometry(cluster.size_bytes, BLOCK, io_bytes_max=8 << 20)
        self._cluster = cluster

    def submit(self, batch: list[Request], settled: Completed) -> None:
        self._cluster.target.submit(self._cluster.now, batch, settled)

    def close(self, closed: object) -> None:
        """Not asked for."""


def test_a_compare_and_write_sees_a_parked_write_of_the_same_block(cluster: Cluster) -> None:
    emulator = Emulator(Device(cluster))
    write = Request(Op.WRITE, 0, BLOCK, memoryview(b"\5" * BLOCK))
    both = memoryview(bytes(BLOCK) + b"\1" * BLOCK)
    swap = Request(Op.COMPARE_AND_WRITE, 0, BLOCK, both)
    emulator.submit([write], lambda _settled: None)
    assert write.status is None
    emulator.submit([swap], lambda _settled: None)
    cluster.run()
    assert write.status is GOOD
    assert swap.status is not None
    assert swap.status.code is Code.MISCOMPARE
    assert cluster.cached(0) == [b"\5"] * 3


def test_a_read_waits_for_a_parked_write_that_it_overlaps_and_for_no_other(
    cluster: Cluster,
) -> None:
    write = cluster.write(0, b"a" * BLOCK)
    read = cluster.read(0, BLOCK)
    elsewhere = cluster.read(1 << 20, BLOCK)
    cluster.nodes[A].held = {Save}
    cluster.run()
    assert (write.status, read.status) == (None, None)
    assert elsewhere.status is GOOD
    cluster.release(A)
    cluster.run()
    assert bytes_of(read) == b"a" * BLOCK


def test_a_write_waits_for_a_parked_write_that_it_overlaps(cluster: Cluster) -> None:
    # The first needs two regions marked, the second one of them only.
    cluster = opened(size_bytes=12 << 20)
    cluster.put((4 << 20) - BLOCK, b"0" * BLOCK)
    wide = cluster.write((4 << 20) - BLOCK, b"1" * 2 * BLOCK)
    narrow = cluster.write((4 << 20) - BLOCK, b"2" * BLOCK)
    assert not any(link.writes for link in cluster.target.links), "both are pending"
    cluster.run()
    assert wide.status is narrow.status is GOOD
    assert cluster.cached((4 << 20) - BLOCK) == [b"2"] * 3


def test_a_read_waits_for_an_unsettled_write_that_it_overlaps(cluster: Cluster) -> None:
    cluster.put(0, b"0" * BLOCK)
    for name in (B, C):
        cluster.nodes[name].is_hung = True
    write = cluster.write(0, b"1" * BLOCK)
    cluster.run()
    assert cluster.cached(0) == [b"1", b"0", b"0"]
    reads = [cluster.read(0, BLOCK) for _ in range(3)]
    cluster.run()
    # What A has is not told as long as it may be lost with A.
    assert {read.status for read in reads} == {None}
    for name in (B, C):
        cluster.nodes[name].is_hung = False
    cluster.run()
    assert write.status is GOOD
    assert {bytes_of(read) for read in reads} == {b"1" * BLOCK}


def test_a_read_that_a_write_overtook_is_read_again(cluster: Cluster) -> None:
    cluster.put(0, b"0" * BLOCK)
    for node in cluster.nodes.values():
        node.is_mute = True
    read = cluster.read(0, BLOCK)
    cluster.run()
    write = cluster.write(0, b"1" * BLOCK)
    cluster.run()
    # The old bytes arrive while the write is under way.
    reader = next(name for name, pipe in cluster.pipes.items() if len(pipe.to_target) == 2)
    pipe = cluster.pipes[reader]
    held = pipe.to_target.pop()
    cluster.nodes[reader].is_mute = False
    cluster.run()
    assert read.status is None
    pipe.to_target.append(held)
    for node in cluster.nodes.values():
        node.is_mute = False
    cluster.run()
    assert write.status is GOOD
    assert bytes_of(read) == b"1" * BLOCK


def test_discards_and_zeroes_are_ordered_as_writes_are(cluster: Cluster) -> None:
    cluster.put(0, b"a" * 2 * BLOCK)
    both = cluster.submit(Request(Op.DISCARD, 0, BLOCK), Request(Op.WRITE_ZEROES, BLOCK, BLOCK))
    read = cluster.read(0, 2 * BLOCK)
    assert read.status is None
    cluster.run()
    assert [request.status for request in both] == [GOOD, GOOD]
    assert bytes_of(read) == bytes(2 * BLOCK)
