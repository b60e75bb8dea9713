"""Ladders: what a flush promises when syncs fail, are forgotten, or end late."""

from __future__ import annotations

import errno

from jiva.cluster import Cluster, opened
from tierce import GOOD, Code
from tierce_jiva.replica_actions import DigestExtents, Save, Sync

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
EIO = OSError(errno.EIO, "planned")


def lose_all_power(cluster: Cluster) -> None:
    for name in cluster.nodes:
        cluster.power_off(name)
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(4)
    assert cluster.is_serving


def forget_a_failed_sync(cluster: Cluster, name: str) -> None:
    """A sync fails, and the process ends before that is on record."""
    node = cluster.nodes[name]
    node.store.syncs_to_fail = 1
    node.held = {Save}
    flush = cluster.flush()
    cluster.run()
    assert flush.status is None
    assert node.waiting, "it must say first that a sync has failed"
    cluster.kill_replica(name)
    node.held.clear()


def test_a_flush_is_not_done_by_a_replica_that_forgot_that_a_sync_failed() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    store = cluster.nodes[B].store
    # One burst of errors takes the sync of the data, and then the record of it.
    store.syncs_to_fail = 1
    cluster.nodes[B].fail_save = EIO
    flush = cluster.flush()
    cluster.run()
    assert cluster.nodes[B].stops
    assert flush.status is None
    cluster.nodes[B].fail_save = None
    cluster.start_replica(B)
    cluster.step_until(lambda: flush.status is not None)
    assert flush.status is GOOD
    assert cluster.durable(0) == [b"a"] * 3


def test_what_a_forgotten_sync_lost_is_written_again_before_the_mark_goes() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"a" * BLOCK)
    forget_a_failed_sync(cluster, A)
    cluster.start_replica(A)
    cluster.run(3)
    assert not any(node.record.marked for node in cluster.nodes.values())
    lose_all_power(cluster)
    assert cluster.cached(0) == [b"a"] * 3
    assert cluster.get(0) == b"a" * BLOCK


def test_a_replica_in_doubt_is_not_read_while_another_is_sound() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    forget_a_failed_sync(cluster, A)
    cluster.nodes[A].store.evict()
    assert cluster.cached(0) == [b"\0", b"a", b"a"]
    # Nobody can be copied from for now, so that it stays in doubt.
    for name in (B, C):
        cluster.nodes[name].held = {DigestExtents}
    cluster.start_replica(A)
    cluster.run()
    assert cluster.states()[A] == "in-doubt"
    assert {cluster.get(0) for _ in range(6)} == {b"a" * BLOCK}
    for name in (B, C):
        cluster.release(name)
    cluster.run(0.5)
    assert cluster.states()[A] == "in-sync"
    assert cluster.cached(0) == [b"a"] * 3


def test_a_replica_tells_of_a_failed_sync_before_it_answers_a_read() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    node = cluster.nodes[A]
    node.store.syncs_to_fail = 1
    node.held = {Save}
    cluster.flush()
    cluster.run()
    node.store.evict()
    reads = [cluster.read(0, BLOCK) for _ in range(3)]
    cluster.run()
    assert [read.status for read in reads].count(None) == 1, "one of them was asked of it"
    cluster.release(A)
    cluster.run()
    assert {bytes(read.buffer or b"") for read in reads} == {b"a" * BLOCK}


def test_what_is_written_after_a_flush_began_is_not_covered_by_it() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[A].held = {Sync}
    flush = cluster.flush()
    cluster.run()
    cluster.put(1 << 20, b"b" * BLOCK)
    cluster.release(A)
    cluster.run()
    assert flush.status is GOOD
    assert cluster.durable(1 << 20)[0] == b"\0"
    forget_a_failed_sync(cluster, A)
    cluster.start_replica(A)
    second = cluster.flush()
    cluster.run(0.5)
    assert second.status is GOOD
    assert cluster.durable(1 << 20) == [b"b"] * 3


def check_that_a_common_failure_is_mended(cluster: Cluster) -> None:
    """Every sync fails once, all at the same time."""
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.store.syncs_to_fail = 1
    flush = cluster.flush()
    cluster.run()
    assert flush.status is not None
    assert flush.status.code is Code.WRITE_ERROR
    second = cluster.flush()
    cluster.run(2)
    assert second.status is GOOD
    assert set(cluster.durable(0)) == {b"a"}
    assert all(node.store.renewals for node in cluster.nodes.values())
    assert set(cluster.states().values()) == {"in-sync"}


def test_after_one_failure_on_all_replicas_flushes_succeed_again() -> None:
    check_that_a_common_failure_is_mended(opened())


def test_after_one_failure_of_a_lone_replica_flushes_succeed_again() -> None:
    check_that_a_common_failure_is_mended(opened(1))


def check_that_a_new_target_mends_it(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.store.syncs_to_fail = 1
    flush = cluster.flush()
    cluster.step_until(lambda: flush.status is not None)
    for name in cluster.nodes:
        cluster.kill_replica(name)
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(4)
    assert all(node.store.renewals for node in cluster.nodes.values())
    second = cluster.flush()
    cluster.run()
    assert second.status is GOOD
    assert set(cluster.durable(0)) == {b"a"}
    assert not any(node.record.suspect for node in cluster.nodes.values())


def test_after_one_failure_on_all_replicas_a_new_target_can_flush() -> None:
    check_that_a_new_target_mends_it(opened())


def test_after_one_failure_of_a_lone_replica_a_new_target_can_flush() -> None:
    check_that_a_new_target_mends_it(opened(1))


def test_while_syncs_go_on_failing_everywhere_flushes_are_errors_and_reads_go_on() -> None:
    cluster = opened(not_ready_after_s=5.0)
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.store.fail_sync = EIO
    first = cluster.flush()
    cluster.run()
    assert first.status is not None
    assert first.status.code is Code.WRITE_ERROR
    second = cluster.flush()
    cluster.run(6)
    assert second.status is not None
    assert not second.status.is_good
    assert cluster.get(0) == b"a" * BLOCK
    for node in cluster.nodes.values():
        node.store.fail_sync = None
    third = cluster.flush()
    cluster.run(3)
    assert third.status is GOOD
    assert cluster.durable(0) == [b"a"] * 3


def test_a_flush_that_one_replica_failed_is_done_by_the_others_and_it_is_voted_out() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[B].store.syncs_to_fail = 1
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    assert cluster.nodes[B].reports == ["jiva.replica.flush-failed"]
    assert "jiva.replica.voted-out" in cluster.codes()
    cluster.run(5)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.durable(0) == [b"a"] * 3


def test_a_new_target_knows_from_the_replica_what_its_last_process_may_have_lost() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    forget_a_failed_sync(cluster, A)
    cluster.start_replica(A)
    cluster.start_target()
    cluster.run(4)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    assert cluster.durable(0) == [b"a"] * 3


def test_who_fails_a_flush_is_in_doubt_before_it_is_judged_who_is_at_fault() -> None:
    cluster = opened(2)
    cluster.put(0, b"a" * BLOCK)
    first, second = cluster.nodes[A], cluster.nodes[B]
    first.held = {Sync}
    flush = cluster.flush()
    cluster.run()
    assert (flush.status, cluster.durable(0)) == (None, [bytes(1), b"a"])
    cluster.put(0, b"b" * BLOCK)
    # The other one may have forgotten a failed sync; what it may lack is still to be proved.
    cluster.kill_replica(B)
    cluster.start_replica(B)
    second.held = {Sync}
    cluster.run()
    assert cluster.target.links[B].is_in_doubt
    first.store.syncs_to_fail = 1
    cluster.release(A)
    cluster.run(1)
    # It has done this flush, and is worth no less than one whose sync has failed.
    assert flush.status is GOOD
    (voted_out,) = [one for one in cluster.events if one.code == "jiva.replica.voted-out"]
    assert f"{A} is voted out" in voted_out.message
