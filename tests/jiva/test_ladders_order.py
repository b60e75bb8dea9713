"""Ladders: what is sent again, what is given up, and what comes late."""

from __future__ import annotations

import errno

from jiva.cluster import Cluster, opened
from jiva.steps import miss_a_write
from tierce import GOOD, Code, Op, Request
from tierce_jiva.replica_actions import DigestExtents, Save

BLOCK = 4096
MIB = 1 << 20
A, B, C = ("replica-1", "replica-2", "replica-3")
FULL = OSError(errno.ENOSPC, "planned")


def hang(cluster: Cluster, *names: str, is_hung: bool = True) -> None:
    for name in names:
        cluster.nodes[name].is_hung = is_hung


def test_one_that_comes_back_with_a_failed_write_is_not_sent_it_behind_a_newer_one() -> None:
    cluster = opened()
    cluster.put(0, b"0" * BLOCK)
    hang(cluster, B, C)
    cluster.nodes[A].store.fail_write = FULL
    first = cluster.write(0, b"1" * BLOCK)
    cluster.run()
    cluster.nodes[A].store.fail_write = None
    second = cluster.write(0, b"2" * BLOCK)
    cluster.run()
    assert cluster.cached(0)[0] == b"2"
    cluster.break_pipe(A, "reset")
    cluster.run(0.2)
    hang(cluster, B, C, is_hung=False)
    cluster.run(5)
    assert first.status is second.status is GOOD
    assert cluster.cached(0) == [b"2"] * 3
    assert set(cluster.states().values()) == {"in-sync"}


def test_what_was_given_up_is_never_sent_again() -> None:
    cluster = opened(not_ready_after_s=2.0, dead_s=20.0, flush_dead_s=20.0, alone_after_s=20.0)
    cluster.put(0, b"0" * BLOCK)
    hang(cluster, B, C)
    cluster.nodes[A].store.fail_write = FULL
    first = cluster.write(0, b"1" * BLOCK)
    cluster.run(2.3)
    assert first.status is not None
    assert first.status.code is Code.NOT_READY
    cluster.nodes[A].store.fail_write = None
    hang(cluster, B, C, is_hung=False)
    cluster.run(1)
    cluster.put(0, b"2" * BLOCK)
    cluster.kill_replica(A)
    cluster.start_replica(A)
    for _ in range(200):
        cluster.connect()
        cluster.step()
        assert cluster.cached(0) == [b"2"] * 3
    cluster.run(1)
    assert cluster.cached(0) == [b"2"] * 3


def test_a_write_that_was_given_up_is_not_applied_any_more_once_that_was_answered() -> None:
    cluster = opened(not_ready_after_s=2.0)
    cluster.put(0, b"0" * BLOCK)
    hang(cluster, B, C)
    write = cluster.write(0, b"1" * BLOCK)
    cluster.run(2.5)
    assert write.status is not None
    assert write.status.code is Code.NOT_READY
    # Its extent must not show one content now and another one later.
    read = cluster.read(0, BLOCK)
    cluster.run(0.5)
    assert read.status is None
    hang(cluster, B, C, is_hung=False)
    cluster.run(5)
    assert read.status is GOOD
    assert cluster.cached(0) == [bytes(read.buffer or b"")[:1]] * 3 == [b"0"] * 3


def test_what_was_given_up_is_told_quiet_only_when_its_extents_are_equal_again() -> None:
    cluster = opened(not_ready_after_s=2.0)
    cluster.put(0, b"0" * BLOCK)
    assert cluster.target.is_quiet, "nothing was given up"
    hang(cluster, B, C)
    cluster.write(0, b"1" * BLOCK)
    cluster.run(2.5)
    cluster.run(1)
    assert not cluster.target.is_quiet
    hang(cluster, B, C, is_hung=False)
    cluster.step_until(lambda: cluster.target.is_quiet)
    assert cluster.cached(0) == [b"0"] * 3


def test_what_arrives_late_on_the_old_connection_is_refused_in_the_same_ballot() -> None:
    cluster = opened(not_ready_after_s=2.0, reconnect_grace_s=5.0)
    cluster.put(0, b"0" * BLOCK)
    hang(cluster, B, C)
    write = cluster.write(0, b"1" * BLOCK)
    cluster.step()
    for name in (B, C):
        cluster.half_open(name)
    hang(cluster, B, C, is_hung=False)
    cluster.cut = {B, C}
    cluster.run(2.5)
    assert write.status is not None
    assert write.status.code is Code.NOT_READY
    cluster.cut = set()
    cluster.run(1)
    assert cluster.get(0) == b"0" * BLOCK
    cluster.arrive_late()
    assert cluster.cached(0) == [b"0"] * 3


def test_a_write_of_the_last_target_that_comes_after_the_promise_is_refused() -> None:
    cluster = opened()
    cluster.put(0, b"0" * BLOCK)
    hang(cluster, B)
    write = cluster.write(0, b"1" * BLOCK)
    cluster.step()
    cluster.half_open(B)
    hang(cluster, B, is_hung=False)
    cluster.start_target()
    cluster.run(4)
    assert write.status is None
    cluster.put(0, b"2" * BLOCK)
    cluster.arrive_late()
    assert cluster.cached(0) == [b"2"] * 3


def test_a_write_that_failed_everywhere_is_made_equal_before_it_is_read() -> None:
    cluster = opened()
    cluster.put(0, b"0" * BLOCK)
    for node in cluster.nodes.values():
        node.store.fail_write = FULL
        node.held = {DigestExtents}
    cluster.nodes[A].store.tears = True
    write = cluster.write(0, b"1" * BLOCK)
    cluster.run()
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert cluster.cached(0) == [b"1", b"0", b"0"]
    reads = [cluster.read(0, BLOCK) for _ in range(4)]
    later = cluster.write(BLOCK, b"2" * BLOCK)
    cluster.run()
    assert {read.status for read in reads} == {None}
    assert not any(link.writes for link in cluster.target.links), "it waits for the whole extent"
    for name, node in cluster.nodes.items():
        node.store.fail_write = None
        cluster.release(name)
    cluster.run(2)
    assert {read.status for read in reads} == {later.status} == {GOOD}
    assert len({bytes(read.buffer or b"") for read in reads}) == 1
    assert len(set(cluster.cached(0, BLOCK))) == 1


def two_of_which_one_is_in_doubt() -> Cluster:
    """B has restarted, and is in doubt as long as its disk is not compared."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"0" * BLOCK)
    cluster.kill_replica(B)
    cluster.nodes[B].held = {DigestExtents}
    cluster.start_replica(B)
    cluster.step_until(lambda: cluster.target.links[B].is_in_doubt)
    cluster.run()
    return cluster


def test_what_was_not_sent_again_is_never_sent_behind_a_newer_write() -> None:
    """A, the last sound member, comes back with a failed write. That is a fault, and nothing is
    sent again; but nobody sound would stay without A, and the fault is taken back. What A is owed
    since then must come before anything newer, or not at all."""
    cluster = two_of_which_one_is_in_doubt()
    hang(cluster, B)
    cluster.nodes[A].store.fail_write = FULL
    cluster.write(2 * MIB, b"f" * BLOCK)
    cluster.run()
    cluster.nodes[A].store.fail_write = None
    hang(cluster, A)
    older = cluster.write(MIB, b"1" * BLOCK)
    cluster.run()
    hang(cluster, A, is_hung=False)
    cluster.break_pipe(A, "blip")
    cluster.run(0.5)
    hang(cluster, B, is_hung=False)
    cluster.release(B)
    cluster.run(2)
    newer = cluster.write(MIB, b"2" * BLOCK)
    cluster.run(1)
    assert newer.status is GOOD
    cluster.break_pipe(A, "blip")
    cluster.run(10)
    assert older.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(MIB) == [b"2"] * 2


def test_a_fault_that_is_taken_back_leaves_nothing_owed_behind_newer_writes() -> None:
    """B is being voted out, and is back: it is sound, so that A's failed write is a fault and A is
    not sent again what it lacks; but nobody stays without A, and the fault is taken back."""
    cluster = opened(opening_patience_s=0.1, not_ready_after_s=20)
    miss_a_write(cluster, C)
    cluster.nodes[C].held = {DigestExtents}  # It is there, and no member.
    cluster.start_replica(C)
    cluster.run()
    for name in (B, C):
        cluster.nodes[name].held.add(Save)
    cluster.cut = {B}
    cluster.break_pipe(B, "cut")
    cluster.run(2)
    quorum = cluster.target._controller._quorum
    assert quorum.is_voting
    assert quorum.latest.in_sync == (A,)
    cluster.cut = set()
    cluster.run()
    cluster.nodes[B].waiting.pop()()  # It holds the marks again, and has not accepted yet.
    cluster.run()
    assert quorum.is_voting
    hang(cluster, B)
    cluster.nodes[A].store.fail_write = FULL
    cluster.write(2 * MIB, b"f" * BLOCK)
    cluster.run()
    assert cluster.target.links[A].has_failed
    cluster.nodes[A].store.fail_write = None
    hang(cluster, A)
    cluster.write(3 * MIB, b"1" * BLOCK)
    cluster.run()
    hang(cluster, A, is_hung=False)
    cluster.break_pipe(A, "blip")
    cluster.run(0.3)
    newer = cluster.write(3 * MIB, b"2" * BLOCK)
    cluster.run(0.3)
    hang(cluster, B, is_hung=False)
    cluster.release(B)
    cluster.run(0.3)
    assert not quorum.is_voting
    cluster.break_pipe(A, "blip")
    cluster.run(0.3)
    assert newer.status is GOOD
    assert cluster.cached(3 * MIB)[0] == b"2"
    cluster.release(C)
    cluster.run(60)
    assert newer.status is GOOD
    assert cluster.cached(3 * MIB) == [b"2"] * 3


def test_what_a_batch_did_write_is_acknowledged_only_by_all_when_its_other_part_has_failed() -> (
    None
):
    """Of a batch of two writes, A fails the first and takes the second; B has answered nothing. A
    connects again, and the batch ends: B does not have the second, and is not sent it any more."""
    cluster = two_of_which_one_is_in_doubt()
    hang(cluster, B)
    store = cluster.nodes[A].store
    store.is_full = True
    store._allocated.add(2 * MIB // BLOCK)
    full, fits = cluster.submit(
        Request(Op.WRITE, 3 * MIB, BLOCK, memoryview(b"1" * BLOCK)),
        Request(Op.WRITE, 2 * MIB, BLOCK, memoryview(b"2" * BLOCK)),
    )
    cluster.run()
    assert cluster.cached(2 * MIB) == [b"2", b"\0"]
    store.is_full = False
    cluster.break_pipe(A, "blip")
    cluster.run(0.5)
    assert cluster.cached(2 * MIB) == [b"2", b"\0"]
    assert fits.status is not GOOD
    cluster.break_pipe(B, "blip")
    hang(cluster, B, is_hung=False)
    cluster.release(B)
    cluster.run(10)
    assert full.status is not None
    assert full.status.code is Code.NO_SPACE
    assert fits.status is not None
    assert set(cluster.states().values()) == {"in-sync"}
    # Acknowledged or not: A is sound, and what A has is what B is made equal to.
    assert cluster.cached(2 * MIB) == [b"2"] * 2
    assert cluster.cached(3 * MIB) == [b"\0"] * 2
