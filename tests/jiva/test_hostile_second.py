"""Hostile ladders, second reading: what the mends of the first have left or brought. Each fails
today."""

from __future__ import annotations

import errno
from functools import partial

from jiva.cluster import bytes_of, opened
from tierce import GOOD, Op, Request
from tierce_jiva.replica_actions import DigestExtents, Fetch, Save, Sync

BLOCK = 4096
MIB = 1 << 20
REGION = 4 * MIB


def is_answered(request: Request) -> bool:
    return request.status is not None


def test_the_account_of_what_a_mirror_has_not_flushed_stays_small() -> None:
    """H20. While a replica catches up without being copied to (it compares, for hours), it flushes
    nothing: every flush of a client leaves an epoch behind. A million of them cost a gigabyte, and
    `forget` takes them from a list's front one by one: minutes on the data thread."""
    cluster = opened(opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"m" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    cluster.start_replica("replica-3")
    readmission = cluster.target._steward._readmission
    cluster.step_until(lambda: readmission.mirror is not None)
    cluster.nodes["replica-3"].held.add(DigestExtents)
    for number in range(500):
        write = cluster.write(2 * MIB, bytes([number % 256]) * BLOCK)
        flush = cluster.flush()
        cluster.step_until(partial(is_answered, flush))
        assert flush.status is GOOD
    assert readmission, "it still catches up"
    assert len(cluster.target._steward._unflushed._ended) < 100


def test_a_fault_that_is_taken_back_leaves_nothing_owed_behind_newer_writes() -> None:
    """H21 (H14 again). replica-2 is being voted out and is back: it is required, ready and sound,
    so replica-1's failed write is a fault and nothing is sent again; but nobody stays without
    replica-1, and the fault is taken back. The vote is not asked of it again either."""
    cluster = opened(opening_patience_s=0.1, not_ready_after_s=20)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"o" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    cluster.start_replica("replica-3")
    cluster.nodes["replica-3"].held.add(DigestExtents)  # It is there, and no member.
    cluster.run()
    one, two, three = cluster.nodes.values()
    for node in (two, three):
        node.held.add(Save)
    cluster.cut.add("replica-2")
    cluster.break_pipe("replica-2", "cut")
    cluster.run(2)
    quorum = cluster.target._steward._quorum
    assert quorum.is_voting
    assert quorum.latest.in_sync == ("replica-1",)
    cluster.cut.clear()
    cluster.run()
    two.waiting.pop()()  # It holds the marks again, and has not accepted yet.
    cluster.run()
    assert quorum.is_voting
    two.is_hung = True
    one.store.fail_write = OSError(errno.ENOSPC, "full")
    cluster.write(2 * MIB, b"f" * BLOCK)
    cluster.run()
    assert cluster.target.links["replica-1"].has_failed
    one.store.fail_write = None
    one.is_hung = True
    cluster.write(3 * MIB, b"w" * BLOCK)
    cluster.run()
    one.is_hung = False
    cluster.break_pipe("replica-1", "blip")
    cluster.run(0.3)
    newer = cluster.write(3 * MIB, b"x" * BLOCK)
    cluster.run(0.3)
    two.is_hung = False
    cluster.release("replica-2")
    cluster.run(0.3)
    assert not quorum.is_voting
    cluster.break_pipe("replica-1", "blip")
    cluster.run(0.3)
    assert newer.status is GOOD
    assert one.store.cached[3 * MIB : 3 * MIB + 1] == b"x"
    cluster.release("replica-3")
    cluster.run(60)
    assert newer.status is GOOD
    assert set(cluster.cached(3 * MIB)) == {b"x"}


def test_a_joiner_is_proposed_once_however_long_the_vote_takes() -> None:
    """H22. After its proposal the catch-up is not over: the next tick finds nothing missed, flushes
    and proposes again, and so on, ten times a second. Each proposal supersedes the last, so that a
    vote that takes longer than that never ends; the list of proposals grows for ever."""
    cluster = opened(opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"m" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    cluster.start_replica("replica-3")
    quorum = cluster.target._steward._quorum
    members = [cluster.nodes[name] for name in ("replica-1", "replica-2")]
    for node in members:
        node.held.add(Save)
    cluster.step_until(lambda: "replica-3" in quorum.latest.in_sync)
    sequence = quorum.latest.sequence
    for _ in range(10):
        cluster.run(0.3)  # So long takes a record to be saved.
        for node in members:
            waiting, node.waiting = node.waiting, []
            for work in waiting:
                work()
    cluster.run()
    assert quorum.latest.sequence == sequence
    assert not quorum.is_voting


def test_members_that_are_left_alone_in_doubt_are_made_equal_before_they_are_read() -> None:
    """H23. Two members have restarted and are in doubt; one of them has lost a page by a sync that
    failed unrecorded. The sound one loses power. The two that stay may differ, and are read as if
    they did not: the newer content first, and then the older for ever."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    flush = cluster.flush()
    cluster.run(1)
    assert flush.status is GOOD
    cluster.put(0, b"n" * BLOCK)
    one, two, three = cluster.nodes.values()
    one.store.syncs_to_fail = 1
    one.fail_save = OSError(errno.EIO, "planned")
    three.held.add(Sync)
    cluster.flush()
    cluster.step_until(lambda: one.replica is None)  # It could not record that, and has ended.
    one.fail_save = None
    one.store.evict()
    cluster.kill_replica("replica-3")
    for node in (one, three):
        node.held = {DigestExtents}
        cluster.start_replica(node.name)
    two.held.add(DigestExtents)
    links = cluster.target.links
    cluster.step_until(lambda: links["replica-1"].is_in_doubt and links["replica-3"].is_in_doubt)
    cluster.power_off("replica-2")
    cluster.start_replica("replica-2")
    cluster.run(0.5)
    assert cluster.target._steward._quorum.membership.in_sync == ("replica-1", "replica-3")  # type: ignore[union-attr]
    reads = [cluster.read(0, BLOCK) for _ in range(4)]
    cluster.run()
    found = [bytes_of(read)[:1] for read in reads if read.status is GOOD]
    for node in (one, three):
        cluster.release(node.name)
    cluster.run(10)
    found += [cluster.get(0)[:1] for _ in range(4)]
    assert len(set(found)) == 1, found


def test_what_a_batch_did_write_is_acknowledged_only_by_all_when_its_other_part_has_failed() -> (
    None
):
    """H25. A batch of two writes: replica-1, the only sound one, fails the first and takes the
    second; replica-2, in doubt, has answered nothing. replica-1 reconnects: the batch ends. The
    second write is acknowledged, though replica-2 has not taken it and is not sent it any more."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    one, two = cluster.nodes.values()
    cluster.kill_replica("replica-2")
    two.held.add(DigestExtents)
    cluster.start_replica("replica-2")
    cluster.step_until(lambda: cluster.target.links["replica-2"].is_in_doubt)
    cluster.run()
    two.is_hung = True
    one.store.is_full = True
    one.store._allocated |= set(range(2 * MIB // BLOCK, 2 * MIB // BLOCK + 1))
    full, fits = cluster.submit(
        Request(Op.WRITE, 3 * MIB, BLOCK, memoryview(b"f" * BLOCK)),
        Request(Op.WRITE, 2 * MIB, BLOCK, memoryview(b"w" * BLOCK)),
    )
    cluster.run()
    one.store.is_full = False
    cluster.break_pipe("replica-1", "blip")
    cluster.run(0.5)
    cluster.break_pipe("replica-2", "blip")
    two.is_hung = False
    cluster.release("replica-2")
    cluster.run(10)
    assert full.status is not None
    assert set(cluster.states().values()) == {"in-sync"}
    assert fits.status is not None
    assert len(set(cluster.cached(2 * MIB))) == 1
    if fits.status is GOOD:
        assert cluster.cached(2 * MIB) == [b"w", b"w"]


def test_members_do_not_owe_what_was_copied_to_another() -> None:
    """H24. What is copied to a joiner is noted as written, in the account of all: nobody flushes on
    the members meanwhile, so that a rebuild of a terabyte leaves sixteen million granules there (a
    gigabyte), and a member that restarts then is written all of it again, though it wrote none.
    And the bound of 1 GiB is never met any more: each flush on the way begins the count anew."""
    cluster = opened(size_bytes=4 * REGION, opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    for at in range(0, 2 * REGION, MIB):
        write = cluster.write(at, b"m" * BLOCK)
        cluster.run(2)
        assert write.status is GOOD
    flush = cluster.flush()
    cluster.run(1)
    assert flush.status is GOOD
    unflushed = cluster.target._steward._unflushed
    one = cluster.target.links["replica-1"]
    assert not unflushed.since(one.flushed_epoch)
    cluster.start_replica("replica-3")
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert not unflushed.since(one.flushed_epoch)


def test_reads_come_to_an_end_beside_writes_that_keep_failing_elsewhere() -> None:
    """H26. All disks are full and a client keeps trying to write; each failure is an unrest, for
    the whole volume: a read of another extent that takes longer than from one failure to the next
    (a cold page: 5 ms) is begun again and again, until it is NOT READY."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    for node in cluster.nodes.values():
        node.store.is_full = True
        node.store.is_cold = True
        node.held.add(Fetch)
    read = cluster.read(0, BLOCK)
    for _ in range(50):
        cluster.run()
        write = cluster.write(3 * MIB, b"f" * BLOCK)
        cluster.step_until(partial(is_answered, write))
        for node in cluster.nodes.values():
            waiting, node.waiting = node.waiting, []
            for work in waiting:
                work()
        cluster.run()
        if read.status is not None:
            break
    assert read.status is GOOD


def test_the_last_flush_before_a_volume_rests_lets_its_marks_go() -> None:
    """H27. Write, flush, and a second later write, flush; then rest for good. What the second flush
    covers is looked at only with the first one's watch, as written since, and never again: the
    volume stays marked until somebody flushes. That is how most activity ends."""
    cluster = opened(opening_patience_s=0.1)
    for number in range(2):
        cluster.put(0, bytes([number]) * BLOCK)
        flush = cluster.flush()
        cluster.run(1)
        assert flush.status is GOOD
    cluster.run(60)
    assert not any(node.record.marked for node in cluster.nodes.values())


def test_a_full_disk_makes_nobody_in_doubt_a_source_of_what_a_sound_member_has() -> None:
    """H28. replica-1 has lost a page by a sync that failed unrecorded, and is in doubt. The copy
    from replica-2, which is sound, fails: replica-1's disk is full just then. The other source is
    tried, replica-1 itself: its old content is "written again", and it is sound."""
    cluster = opened(2, opening_patience_s=0.1)
    cluster.put(0, b"o" * BLOCK)
    flush = cluster.flush()
    cluster.run(1)
    assert flush.status is GOOD
    cluster.put(0, b"n" * BLOCK)
    one, two = cluster.nodes.values()
    one.store.syncs_to_fail = 1
    one.fail_save = OSError(errno.EIO, "planned")
    two.held.add(Sync)
    cluster.flush()
    cluster.step_until(lambda: one.replica is None)
    one.fail_save = None
    one.store.evict()
    cluster.release("replica-2")
    one.store.fail_write = OSError(errno.ENOSPC, "full")
    cluster.start_replica("replica-1")
    repair = cluster.target._steward.upkeep.repair
    cluster.step_until(lambda: bool(repair._failures))
    one.store.fail_write = None  # Somebody has made room.
    cluster.run(10)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"n", b"n"]
