"""Ladders: files that are cut, reads and writes that fail. Nothing is cured in silence."""

from __future__ import annotations

import errno

from jiva.cluster import Cluster, bytes_of, opened
from tierce import GOOD, Code, Op, Request

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
EIO = OSError(errno.EIO, "planned")


def written() -> Cluster:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    return cluster


def test_a_replica_whose_file_was_cut_stops_at_the_next_write_and_is_voted_out() -> None:
    cluster = written()
    cluster.nodes[B].store.is_cut = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(2)
    assert write.status is GOOD
    assert len(cluster.nodes[B].stops) == 1
    assert "shorter than the volume" in cluster.nodes[B].stops[0]
    assert cluster.nodes[B].store.cached[0:1] == b"a", "nothing is written that would hide it"
    assert "jiva.replica.voted-out" in cluster.codes()
    assert cluster.states()[B] == "down"


def test_a_replica_whose_file_was_cut_stops_at_a_read_that_fails() -> None:
    cluster = opened(1)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[A].store.is_cut = True
    assert cluster.get(0) == b"a" * BLOCK
    cluster.nodes[A].store.fail_read = EIO
    read = cluster.read(0, BLOCK)
    cluster.run()
    assert cluster.nodes[A].stops
    assert read.status is None, "it waits for the replica"


def test_a_replica_whose_file_was_cut_promises_nothing() -> None:
    cluster = written()
    for name in cluster.nodes:
        cluster.kill_replica(name)
    cluster.nodes[B].store.is_cut = True
    for name in cluster.nodes:
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(4)
    assert cluster.is_serving
    assert cluster.nodes[B].stops
    assert cluster.nodes[B].record.promised < cluster.target.links.ballot


def test_a_replica_whose_file_was_cut_accepts_no_vote_and_holds_no_marks() -> None:
    cluster = written()
    cluster.nodes[A].store.is_cut = True
    cluster.kill_replica(B)
    cluster.run(1.5)
    assert cluster.nodes[A].stops
    assert B in cluster.nodes[A].record.accepted.in_sync
    cluster = opened()
    cluster.nodes[A].store.is_cut = True
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    assert cluster.nodes[A].stops
    assert not cluster.nodes[A].record.marks


def test_the_last_copy_whose_file_was_cut_is_not_served_and_shows_no_zeroes() -> None:
    cluster = opened(1, not_ready_after_s=3.0)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[A].store.is_cut = True
    write = cluster.write(2 << 20, b"b" * BLOCK)
    read = cluster.read(0, BLOCK)
    cluster.run(4)
    assert cluster.nodes[A].stops
    assert write.status is not None
    assert not write.status.is_good
    assert read.status is not None
    assert not read.status.is_good
    assert cluster.published.state == "stopped"


def test_a_read_that_fails_is_told_and_answered_by_another_and_the_replica_is_voted_out() -> None:
    cluster = written()
    cluster.nodes[B].store.fail_read = EIO
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    cluster.run(1)
    assert cluster.nodes[B].reports == ["jiva.replica.read-failed"]
    told = [event for event in cluster.events if event.code == "jiva.replica.read-failed"]
    assert [(B in event.message, event.severity) for event in told] == [(True, "error")]
    assert "jiva.replica.voted-out" in cluster.codes()
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    cluster.nodes[B].store.fail_read = None
    cluster.run(5)
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_bad_sector_is_written_again_and_its_replica_stays() -> None:
    cluster = written()
    cluster.nodes[B].store.bad = {0}
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    cluster.run(3)
    told = [event for event in cluster.events if event.code == "jiva.replica.read-failed"]
    assert len(told) == 1, "it is cured, but not in silence"
    assert "jiva.replica.voted-out" not in cluster.codes()
    assert not cluster.nodes[B].store.bad
    assert set(cluster.states().values()) == {"in-sync"}
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}


def test_of_a_read_of_several_extents_just_what_a_store_names_is_written_again() -> None:
    cluster = opened(2, size_bytes=8 << 20)
    for at in (0, 3 << 20, 5 << 20):
        cluster.put(at, b"a" * BLOCK)
    store = cluster.nodes[B].store
    store.names_bad, store.bad = True, {(3 << 20) // BLOCK}
    cluster.run(3)
    asked = [
        Request(Op.READ, at, BLOCK, memoryview(bytearray(BLOCK))) for at in (0, 3 << 20, 5 << 20)
    ]
    writes = store.write_count
    for _ in range(2):
        for request in asked:
            request.status = None
        cluster.submit(*asked)
        cluster.run(3)
        assert [bytes_of(request) for request in asked] == [b"a" * BLOCK] * 3
    assert not store.bad
    assert store.write_count == writes + 1, "one extent was written again, of which one block is"
    (told,) = [event for event in cluster.events if event.code == "jiva.replica.read-failed"]
    assert told.message.endswith(f"replica-2: it can't read {3 << 20}+{BLOCK}")
    assert "jiva.replica.voted-out" not in cluster.codes()


def test_a_lone_replica_that_names_what_it_can_not_read_serves_the_rest() -> None:
    cluster = opened(1)
    cluster.put(0, b"a" * BLOCK)
    store = cluster.nodes[A].store
    store.names_bad, store.bad = True, {1}
    good, bad = (Request(Op.READ, at, BLOCK, memoryview(bytearray(BLOCK))) for at in (0, BLOCK))
    cluster.submit(good, bad)
    cluster.run(1)
    assert good.status is GOOD
    assert bad.status is not None
    assert bad.status.code is Code.READ_ERROR


def test_a_cold_read_that_fails_is_treated_alike() -> None:
    cluster = written()
    cluster.nodes[B].store.is_cold = True
    cluster.nodes[B].store.fail_read = EIO
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    assert cluster.nodes[B].reports == ["jiva.replica.read-failed"]


def test_what_nobody_can_read_is_an_error_and_the_last_copy_stays() -> None:
    cluster = written()
    for node in cluster.nodes.values():
        node.store.fail_read = EIO
    reads = [cluster.read(0, BLOCK) for _ in range(3)]
    cluster.run(1)
    assert {read.status.code for read in reads if read.status} == {Code.READ_ERROR}
    assert "in-sync" in cluster.states().values()
    for node in cluster.nodes.values():
        node.store.fail_read = None
    cluster.run(40)
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_lone_replica_that_can_not_be_read_is_told_and_stays() -> None:
    cluster = opened(1)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[A].store.fail_read = EIO
    read = cluster.read(0, BLOCK)
    cluster.run(1)
    assert read.status is not None
    assert read.status.code is Code.READ_ERROR
    assert "jiva.replica.read-failed" in cluster.codes()
    assert "jiva.replica.voted-out" not in cluster.codes()
    cluster.nodes[A].store.fail_read = None
    assert cluster.get(0) == b"a" * BLOCK


def test_a_write_that_fails_on_one_is_told_and_it_is_voted_out() -> None:
    cluster = written()
    cluster.nodes[B].store.fail_write = EIO
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(1)
    assert write.status is GOOD
    assert cluster.nodes[B].reports == ["jiva.replica.write-failed"]
    told = [event.message for event in cluster.events if event.code == "jiva.replica.voted-out"]
    assert told == ["demo: replica-2 is voted out: it failed an operation that other replicas did"]
    cluster.nodes[B].store.fail_write = None
    cluster.run(5)
    assert cluster.cached(0) == [b"b"] * 3


def test_a_write_that_fails_everywhere_is_an_error_and_nobody_is_voted_out() -> None:
    for count in (1, 3):
        cluster = opened(count)
        cluster.put(0, b"a" * BLOCK)
        for node in cluster.nodes.values():
            node.store.fail_write = EIO
        write = cluster.write(0, b"b" * BLOCK)
        cluster.run()
        assert write.status is not None
        assert write.status.code is Code.WRITE_ERROR
        assert {tuple(node.reports) for node in cluster.nodes.values()} == {
            ("jiva.replica.write-failed",)
        }
        assert "jiva.replica.voted-out" not in cluster.codes()
        for node in cluster.nodes.values():
            node.store.fail_write = None
        cluster.run(1)
        cluster.put(0, b"c" * BLOCK)


def test_a_flush_that_fails_everywhere_does_not_show_as_all_well() -> None:
    cluster = written()
    for node in cluster.nodes.values():
        node.store.fail_sync = EIO
    flush = cluster.flush()
    cluster.run()
    assert flush.status is not None
    assert flush.status.code is Code.WRITE_ERROR
    assert set(cluster.states().values()) == {"in-doubt"}
    assert cluster.published.state == "degraded"
    assert {tuple(node.reports) for node in cluster.nodes.values()} == {
        ("jiva.replica.flush-failed",)
    }


def test_a_record_that_can_not_be_saved_ends_the_replica_before_anybody_relies_on_it() -> None:
    cluster = opened()
    cluster.nodes[B].fail_save = EIO
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run()
    assert cluster.nodes[B].stops == ["can't make its record durable: [Errno 5] planned"]
    assert write.status is None
    cluster.run(2)
    assert write.status is GOOD
    assert "jiva.replica.voted-out" in cluster.codes()
