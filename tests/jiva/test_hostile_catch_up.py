"""Hostile ladders: what goes wrong around a replica that catches up. Each fails today."""

from __future__ import annotations

from jiva.cluster import Cluster, opened
from tierce import GOOD
from tierce_jiva.replica_actions import DigestExtents, Sync

BLOCK = 4096
MIB = 1 << 20
REGION = 4 * MIB


def let_time_pass(cluster: Cluster, seconds: float, hops: int = 0) -> None:
    """Time passes while little is carried."""
    cluster._pass_time(seconds)
    for _ in range(hops):
        cluster.connect()
        cluster.step()


def settle(cluster: Cluster, *requests: object) -> None:
    """Carry on hop by hop until these have their status, and no further."""
    cluster.step_until(lambda: all(r.status is not None for r in requests))  # type: ignore[attr-defined]


def away_and_back(cluster: Cluster, name: str) -> None:
    """It misses a write to each extent of the first two regions, is voted out, and returns."""
    cluster.kill_replica(name)
    for at in range(0, 2 * REGION, MIB):
        write = cluster.write(at, b"m" * BLOCK)
        cluster.run(2)
        assert write.status is GOOD
    cluster.start_replica(name)


def test_what_is_written_and_cleaned_while_a_replica_catches_up_survives_its_loss_of_power() -> (
    None
):
    """H1. A region that is written during a catch-up, flushed by the members and cleaned, is
    cleaned on the mirror too, which has not flushed it. It loses power, and is let in without
    being compared there."""
    cluster = opened(
        size_bytes=4 * REGION, clean_after_s=0.1, rebuild_window=1, opening_patience_s=0.1
    )
    away_and_back(cluster, "replica-3")
    readmission = cluster.target._steward._readmission
    cluster.step_until(lambda: readmission.mirror is not None)
    cluster.nodes["replica-3"].held.add(DigestExtents)  # Long enough: most volumes are larger.
    write = cluster.write(3 * REGION, b"w" * BLOCK)  # A region that it did not miss.
    settle(cluster, write)
    flush = cluster.flush()
    settle(cluster, flush)
    assert flush.status is GOOD
    cluster.step_until(lambda: 3 not in cluster.nodes["replica-1"].record.marks)
    assert readmission, "it still catches up"
    cluster.nodes["replica-3"].held.clear()
    cluster.power_off("replica-3")
    cluster.run(1)
    cluster.start_replica("replica-3")
    cluster.run(60)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(3 * REGION) == [b"w", b"w", b"w"]


def test_what_a_catch_ups_last_flush_lost_is_written_again_wherever_it_was_written() -> None:
    """H3. The last flush of a catch-up fails. What was copied is in doubt, but not what the
    replica took as a mirror: that is compared with its cache only, and never written again."""
    cluster = opened(size_bytes=4 * REGION, rebuild_window=1, opening_patience_s=0.1)
    away_and_back(cluster, "replica-3")
    node = cluster.nodes["replica-3"]
    readmission = cluster.target._steward._readmission
    cluster.step_until(lambda: readmission.mirror is not None)
    write = cluster.write(3 * REGION, b"w" * BLOCK)
    settle(cluster, write)
    assert readmission, "it still catches up"
    node.store.syncs_to_fail = 1
    cluster.run(60)
    flush = cluster.flush()
    cluster.run(10)
    assert flush.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}
    assert node.store.renewals
    assert cluster.durable(3 * REGION) == [b"w", b"w", b"w"]


def test_a_catch_up_begins_anew_when_all_its_members_have_lost_what_it_was_copied_from() -> None:
    """H4. Both members fail a sync and lose the page while a third catches up that has the newer
    content already: they are made equal from the older one, it is let in with the newer."""
    cluster = opened(size_bytes=4 * REGION, rebuild_window=1, opening_patience_s=0.1)
    away_and_back(cluster, "replica-3")
    readmission = cluster.target._steward._readmission
    cluster.step_until(lambda: readmission.mirror is not None)
    write = cluster.write(3 * REGION, b"w" * BLOCK)
    settle(cluster, write)
    assert readmission, "it still catches up"
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].store.syncs_to_fail = 1
    cluster.nodes["replica-3"].held.add(DigestExtents)
    flush = cluster.flush()
    cluster.step_until(lambda: all(cluster.target.links[f"replica-{n}"].doubt for n in (1, 2)))
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].store.evict()
    cluster.release("replica-3")
    cluster.run(60)
    assert flush.status is not None
    assert set(cluster.states().values()) == {"in-sync"}
    assert len(set(cluster.cached(3 * REGION))) == 1


def test_a_catch_ups_last_flush_has_the_time_that_a_flush_has() -> None:
    """H16. All that was copied is flushed at once at the end: gigabytes. That flush is judged like
    a question, by `dead_s`; it is hung up on, all that was copied is in doubt and is copied anew,
    and so on: a large rebuild never ends."""
    cluster = opened(opening_patience_s=0.1)
    away_and_back_small(cluster, "replica-3")
    node = cluster.nodes["replica-3"]
    node.held.add(Sync)
    began = cluster.now
    while not node.waiting:
        cluster.run(0.1)
        assert cluster.now < began + 5
    cluster.run(cluster.options.dead_s + 2)  # Less than half of `flush_dead_s`.
    cluster.release("replica-3")
    cluster.run(0.5)
    assert "jiva.replica.not-let-in" not in cluster.codes()
    assert set(cluster.states().values()) == {"in-sync"}


def away_and_back_small(cluster: Cluster, name: str) -> None:
    cluster.kill_replica(name)
    write = cluster.write(0, b"m" * BLOCK)
    cluster.run(2)
    assert write.status is GOOD
    cluster.start_replica(name)


def test_a_catch_up_goes_on_where_it_stopped_when_a_connection_breaks() -> None:
    """H17. The connection of the one that catches up breaks; its process and its memory are as they
    were. All that was copied to it is copied again."""
    cluster = opened(size_bytes=4 * REGION, rebuild_window=1, opening_patience_s=0.1)
    away_and_back(cluster, "replica-3")
    link = cluster.target.links["replica-3"]
    cluster.step_until(lambda: len(link.missed) == 1)
    copies = 0

    def count(offset: int, data: memoryview) -> None:
        nonlocal copies
        copies += 1
        original(offset, data)

    store = cluster.nodes["replica-3"].store
    original, store.write = store.write, count  # type: ignore[method-assign]
    cluster.break_pipe("replica-3", "blip")
    cluster.run(60)
    assert set(cluster.states().values()) == {"in-sync"}
    assert copies <= 3  # One was under way, one was left.
