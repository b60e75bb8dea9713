"""Hostile ladders: what never comes to an end, or punishes the innocent. Each fails today."""

from __future__ import annotations

import errno

from jiva.cluster import opened
from tierce import GOOD, Code
from tierce_jiva.replica_actions import DigestExtents, Save

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


def test_a_replica_with_a_bad_sector_is_not_voted_out_and_let_in_for_ever() -> None:
    """H11. Voted out for a read that failed, it is let in again at once without that extent having
    been compared or written, and voted out by the next read of it: without end, each time two
    votes and two events, and a set that is one short half of the time."""
    cluster = opened(opening_patience_s=0.1)
    cluster.nodes["replica-1"].store.fail_read = OSError(errno.EIO, "bad sector")
    for _ in range(60):
        cluster.read(0, BLOCK)
        cluster.run(1)
    assert cluster.codes().count("jiva.replica.voted-out") <= 5


def test_full_disks_eject_nobody_when_a_torn_write_is_to_be_made_equal() -> None:
    """H12. All disks are full; a write fails everywhere and is half applied on one. The copy of
    the whole extent, holes and all, has no room on any: whoever is tried last is voted out."""
    cluster = opened(opening_patience_s=0.1)
    cluster.put(MIB // 2, b"d" * BLOCK)
    for node in cluster.nodes.values():
        node.store.fail_write = OSError(errno.ENOSPC, "full")
        node.store.is_full = node is not cluster.nodes["replica-2"]
    cluster.nodes["replica-2"].store.tears = True
    write = cluster.write(0, b"w" * 2 * BLOCK)
    cluster.step_until(lambda: cluster.nodes["replica-2"].store.cached[:1] == b"w")
    for node in cluster.nodes.values():
        node.store.fail_write = None
        node.store.is_full = True
    cluster.run(10)
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert "jiva.replica.voted-out" not in cluster.codes()


def test_copies_come_to_an_end_beside_a_replica_whose_connection_keeps_breaking() -> None:
    """H13. All members are in doubt, so reads wait for repair. Each loss of a third one's
    connection begins every copy under way anew."""
    cluster = opened(opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"o" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    cluster.start_replica("replica-3")
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].store.syncs_to_fail = 1
    cluster.flush()
    cluster.step_until(lambda: all(cluster.target.links[f"replica-{n}"].doubt for n in (1, 2)))
    read = cluster.read(0, BLOCK)
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].held.add(DigestExtents)
    for _ in range(100):
        cluster.run()
        cluster.break_pipe("replica-3", "it keeps breaking")
        for name in ("replica-1", "replica-2"):
            # A digest takes a little longer than the next break.
            waiting, cluster.nodes[name].waiting = cluster.nodes[name].waiting, []
            for work in waiting:
                work()
        cluster.run()
        cluster._pass_time(0.1)
    assert read.status is GOOD


def test_a_joiner_in_doubt_that_is_gone_for_good_keeps_no_mark_and_no_tick() -> None:
    """H19. It restarts between its proposal and that coming into force, is in doubt, and dies. The
    proposal never was in force, so nobody forgets its doubt: no mark is ever taken away again, not
    at an orderly end either, and the volume never sleeps."""
    cluster = opened(opening_patience_s=0.1)
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"m" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    quorum = cluster.target._steward._quorum
    cluster.start_replica("replica-3")
    cluster.step_until(lambda: "replica-3" in quorum.latest.in_sync)
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].held.add(Save)
    write = cluster.write(0, b"w" * BLOCK)
    cluster.run()
    assert write.status is GOOD
    assert quorum.is_voting
    cluster.kill_replica("replica-3")
    cluster.start_replica("replica-3")
    cluster.run()
    cluster.kill_replica("replica-3")
    cluster.run(3)
    for name in ("replica-1", "replica-2"):
        cluster.release(name)
    cluster.run(3)
    flush = cluster.flush()
    cluster.run(20)
    assert flush.status is GOOD
    assert not any(cluster.nodes[f"replica-{n}"].record.marked for n in (1, 2))
    assert not cluster.target.is_busy
