"""Ladders: what happens around a replica while it is rebuilt."""

from __future__ import annotations

from jiva.cluster import Cluster, opened
from jiva.steps import carry_until_answered, flush, miss_a_write
from tierce import GOOD
from tierce_jiva.replica_actions import DigestExtents, Sync

BLOCK = 4096
MIB = 1 << 20
REGION = 4 * MIB
A, B, C = ("replica-1", "replica-2", "replica-3")
#: Written while C is rebuilt, in a region that it did not miss.
ELSEWHERE = 3 * REGION


def four_regions() -> Cluster:
    """Regions are compared one at a time."""
    return opened(
        size_bytes=4 * REGION, clean_after_s=0.5, rebuild_window=1, opening_patience_s=0.1
    )


def miss_two_regions(cluster: Cluster, name: str) -> None:
    """It misses a write to each extent of the first two regions, and is voted out."""
    cluster.kill_replica(name)
    for at in range(0, 2 * REGION, MIB):
        write = cluster.write(at, b"m" * BLOCK)
        cluster.run(2)
        assert write.status is GOOD


def catching_up() -> Cluster:
    """C has missed the first two regions, is back, and is compared; ELSEWHERE was written since."""
    cluster = four_regions()
    miss_two_regions(cluster, C)
    cluster.start_replica(C)
    cluster.step_until(lambda: cluster.target._controller._rebuilding.mirror is not None)
    write = cluster.write(ELSEWHERE, b"w" * BLOCK)
    carry_until_answered(cluster, write)
    assert write.status is GOOD
    assert catches_up(cluster)
    cluster.nodes[C].held.add(DigestExtents)
    return cluster


def catches_up(cluster: Cluster) -> bool:
    return bool(cluster.target._controller._rebuilding)


def test_what_is_written_and_cleaned_while_a_replica_catches_up_survives_its_loss_of_power() -> (
    None
):
    """The members flush a region that C was sent too, and clean it; C may not have flushed it, and
    would be let in again without being compared there."""
    cluster = catching_up()
    request = cluster.flush()
    carry_until_answered(cluster, request)
    assert request.status is GOOD
    cluster.step_until(lambda: 3 not in cluster.nodes[A].record.marks)
    assert catches_up(cluster)
    cluster.nodes[C].held.clear()
    cluster.power_off(C)
    cluster.run(1)
    cluster.start_replica(C)
    cluster.run(60)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(ELSEWHERE) == [b"w"] * 3


def test_what_a_catch_ups_last_flush_lost_is_written_again_wherever_it_was_written() -> None:
    """Not only what was copied to C is in doubt then, but also what clients wrote to it: its cache
    shows that, and its disk has lost it."""
    cluster = catching_up()
    node = cluster.nodes[C]
    node.held.clear()
    node.store.syncs_to_fail = 1
    assert cluster.durable(ELSEWHERE)[2] == b"\0"
    cluster.run(60)
    flush(cluster)
    assert set(cluster.states().values()) == {"in-sync"}
    assert node.store.renewals
    assert cluster.durable(ELSEWHERE) == [b"w"] * 3


def cut_off_with_a_page_in_its_cache() -> Cluster:
    """C is out of the set; what was written ELSEWHERE is in its cache, and not on its disk."""
    cluster = four_regions()
    write = cluster.write(ELSEWHERE, b"w" * BLOCK)
    carry_until_answered(cluster, write)
    assert write.status is GOOD
    cluster.cut.add(C)
    cluster.break_pipe(C, "cut")
    cluster.run(10)
    assert cluster.durable(ELSEWHERE)[2] == b"\0"
    return cluster


def assert_that_it_is_written_again_when_a_sync_fails(cluster: Cluster) -> None:
    """C is compared there, and found equal; then its sync fails."""
    node = cluster.nodes[C]
    node.store.syncs_to_fail = 1
    cluster.cut.clear()
    cluster.run(60)
    flush(cluster)
    assert set(cluster.states().values()) == {"in-sync"}
    assert node.store.renewals
    assert cluster.durable(ELSEWHERE) == [b"w"] * 3


def test_what_one_had_not_flushed_when_voted_out_is_written_again_if_its_sync_fails() -> None:
    cluster = cut_off_with_a_page_in_its_cache()
    flush(cluster)
    assert_that_it_is_written_again_when_a_sync_fails(cluster)


def test_another_target_also_writes_again_what_one_that_is_out_had_not_flushed() -> None:
    cluster = cut_off_with_a_page_in_its_cache()
    cluster.target = cluster.start_target()
    cluster.run(10)
    flush(cluster)
    assert_that_it_is_written_again_when_a_sync_fails(cluster)


def test_a_catch_up_begins_anew_when_all_its_members_have_lost_what_it_was_copied_from() -> None:
    """Both members lose a page that C has: they are made equal from what their disks have, and C
    must not be let in with what it was sent before."""
    cluster = catching_up()
    for name in (A, B):
        cluster.nodes[name].store.syncs_to_fail = 1
    request = cluster.flush()
    cluster.step_until(lambda: all(cluster.target.links[name].doubt for name in (A, B)))
    for name in (A, B):
        cluster.nodes[name].store.evict()
    assert cluster.cached(ELSEWHERE) == [b"\0", b"\0", b"w"]
    cluster.release(C)
    cluster.run(60)
    assert request.status is not None
    assert set(cluster.states().values()) == {"in-sync"}
    assert len(set(cluster.cached(ELSEWHERE))) == 1


def test_a_catch_ups_last_flush_has_the_time_that_a_flush_has() -> None:
    """All that was copied is flushed at the end, which may be gigabytes. Judged like a question, it
    would be hung up on, copied to anew, and so on for ever."""
    cluster = opened(opening_patience_s=0.1)
    miss_a_write(cluster, C)
    node = cluster.nodes[C]
    node.held.add(Sync)
    cluster.start_replica(C)
    cluster.step_until(lambda: bool(node.waiting))
    assert cluster.options.dead_s + 2 < cluster.options.flush_dead_s / 2
    cluster.run(cluster.options.dead_s + 2)
    assert node.waiting
    assert cluster.states()[C] == "rebuilding"
    cluster.release(C)
    cluster.run(0.5)
    assert "jiva.replica.not-let-in" not in cluster.codes()
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_catch_up_goes_on_where_it_stopped_when_a_connection_breaks() -> None:
    """C's process and its memory are as they were: what was copied to it needs no second copy."""
    cluster = four_regions()
    miss_two_regions(cluster, C)
    cluster.start_replica(C)
    link = cluster.target.links[C]
    cluster.step_until(lambda: len(link.missed) == 1)
    store = cluster.nodes[C].store
    before = store.write_count
    assert before
    cluster.break_pipe(C, "blip")
    cluster.run(60)
    assert set(cluster.states().values()) == {"in-sync"}
    # One copy was under way, and one was left.
    assert 1 <= store.write_count - before <= 3


def test_a_member_that_is_copied_from_may_break_its_connection_for_a_moment() -> None:
    cluster = opened(size_bytes=4 * REGION, rebuild_window=1, opening_patience_s=0.1)
    miss_a_write(cluster, C)
    for name in (A, B):
        cluster.nodes[name].held.add(DigestExtents)
    cluster.start_replica(C)
    cluster.step_until(lambda: cluster.target._controller._rebuilding.mirror is not None)
    cluster.run()
    (source,) = (name for name in (A, B) if cluster.nodes[name].waiting)
    cluster.break_pipe(source, "blip")
    for name in (A, B):
        cluster.release(name)
    cluster.run(10)
    assert cluster.codes().count("jiva.replica.voted-out") == 1, "C, at the beginning"
    assert set(cluster.states().values()) == {"in-sync"}


def test_the_account_of_what_a_mirror_has_not_flushed_stays_small() -> None:
    """C flushes nothing while it is only compared, for hours perhaps, and every flush of a client
    leaves an epoch behind: a million of them would cost a gigabyte, and minutes to forget."""
    cluster = opened(opening_patience_s=0.1)
    miss_a_write(cluster, C)
    cluster.start_replica(C)
    cluster.step_until(lambda: cluster.target._controller._rebuilding.mirror is not None)
    cluster.nodes[C].held.add(DigestExtents)
    for number in range(500):
        cluster.write(2 * MIB, bytes([number % 256]) * BLOCK)
        request = cluster.flush()
        carry_until_answered(cluster, request)
        assert request.status is GOOD
    assert catches_up(cluster)
    assert len(cluster.target._controller._unflushed._ended) < 100


def test_members_do_not_owe_what_was_copied_to_another() -> None:
    """They wrote none of it. A rebuild of a terabyte, taken for theirs, would fill the account, and
    a member that restarts then would be written all of it again."""
    cluster = four_regions()
    miss_two_regions(cluster, C)
    flush(cluster)
    unflushed = cluster.target._controller._unflushed
    member = cluster.target.links[A]
    assert not unflushed.since(member.flushed_epoch)
    cluster.start_replica(C)
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.nodes[C].store.write_count == 2 * REGION // MIB
    assert not unflushed.since(member.flushed_epoch)
