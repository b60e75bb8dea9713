"""Reads of a replica's file in the target's own process."""

from __future__ import annotations

from jiva.cluster import Cluster, bytes_of
from jiva.nodes import MemoryStore
from tierce import GOOD, Code, Request, Status
from tierce_jiva.links import Head


class SlowFile:
    """A local file of which nothing is in the page cache: reads come back when the test says."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.store: MemoryStore = cluster.nodes["replica-1"].store
        self.fails = False

    def read_cached(self, head: Head, requests: list[Request]) -> list[Request]:
        assert head.path == "/replica-1/head"
        return requests

    def come_back(self) -> None:
        for read in self.cluster.reads:
            for request in read.requests:
                if self.fails:
                    request.status = Status(Code.READ_ERROR, "bad sector")
                else:
                    assert request.buffer is not None
                    self.store.read_cached(request.offset, request.buffer)
        self.cluster.read_files()


def local_cluster() -> tuple[Cluster, SlowFile]:
    cluster = Cluster()
    file = SlowFile(cluster)
    cluster.local = file
    cluster.boot_id = cluster.nodes["replica-1"].boot_id
    cluster.start_target()
    cluster.run(3)
    assert cluster.is_serving
    return cluster, file


def test_a_cold_local_read_is_answered_though_nothing_else_happens() -> None:
    cluster, file = local_cluster()
    cluster.write(0, b"a" * 4096)
    cluster.run()
    read = cluster.read(0, 4096)
    assert read.status is None
    cluster.settled.clear()
    file.come_back()
    assert cluster.settled == [read]
    assert bytes_of(read) == b"a" * 4096


def test_a_local_read_that_a_write_overtook_is_repeated_after_it() -> None:
    cluster, file = local_cluster()
    read = cluster.read(0, 4096)
    write = cluster.write(0, b"b" * 4096)
    cluster.run(0.1)
    write = write if write.status is None else cluster.write(0, b"b" * 4096)
    file.come_back()
    assert read.status is None, "it overlaps a write that is not settled"
    cluster.run()
    assert write.status is not None
    file.come_back()
    assert read.status is not None
    assert bytes_of(read) == b"b" * 4096


def test_a_local_read_in_whose_time_a_write_has_come_and_gone_is_repeated() -> None:
    cluster, file = local_cluster()
    cluster.write(0, b"a" * 4096)
    cluster.run()
    read = cluster.read(0, 4096)
    # The thread has copied half a page when the write is carried out, and the rest after it.
    write = cluster.write(0, b"b" * 4096)
    cluster.run()
    assert write.status is GOOD
    assert read.buffer is not None
    read.buffer[:] = b"a" * 2048 + b"b" * 2048
    cluster.read_files()
    assert read.status is None
    file.come_back()
    assert read.status is GOOD
    assert bytes_of(read) == b"b" * 4096


def test_what_the_local_file_can_not_read_comes_from_another_replica() -> None:
    cluster, file = local_cluster()
    cluster.write(0, b"c" * 4096)
    cluster.run()
    file.fails = True
    read = cluster.read(0, 4096)
    file.come_back()
    cluster.run()
    assert read.status is not None
    assert read.status.is_good
    assert bytes_of(read) == b"c" * 4096
