"""Ladders: who is late is voted out, but not at any price."""

from __future__ import annotations

import errno
from typing import Any

from jiva.cluster import Cluster, opened
from tierce import GOOD, Code
from tierce_jiva.rebuilding import LATE_S_MIN, STEADY_S
from tierce_jiva.replica_actions import Sync

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
#: Quick to judge: late after 1 s, alone after 4 s.
QUICK: dict[str, Any] = {
    "dead_s": 1.0,
    "flush_dead_s": 3.0,
    "alone_after_s": 4.0,
    "not_ready_after_s": 20.0,
}


def two_of_three() -> Cluster:
    """C is out and away: two copies are left."""
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    cluster.cut = {C}
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    return cluster


def voted_out(cluster: Cluster) -> list[str]:
    return [event.message for event in cluster.events if event.code == "jiva.replica.voted-out"]


def test_one_that_lags_two_others_is_voted_out_and_the_write_goes_on() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    cluster.nodes[B].is_hung = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(0.9)
    assert write.status is None
    cluster.run(0.5)
    assert write.status is GOOD
    assert voted_out(cluster) == ["demo: replica-2 is voted out: has not answered for 1 s"]


def test_lateness_leaves_two_copies_and_a_dead_one_goes_in_the_end() -> None:
    cluster = two_of_three()
    cluster.cut = set()
    cluster.nodes[C].store.fail_write = OSError(errno.ENOSPC, "planned")
    cluster.start_replica(C)
    cluster.run(0.5)
    out = len(voted_out(cluster))
    # C answers, but can't be made a copy: without B, A would be the only one.
    cluster.nodes[B].is_hung = True
    write = cluster.write(3 << 20, b"b" * BLOCK)
    cluster.run(3)
    assert write.status is None
    assert len(voted_out(cluster)) == out
    cluster.run(2)
    assert write.status is GOOD
    assert len(voted_out(cluster)) == out + 1


def test_one_of_two_copies_that_comes_back_in_time_is_kept() -> None:
    cluster = two_of_three()
    cluster.nodes[B].is_hung = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(3)
    cluster.nodes[B].is_hung = False
    cluster.run(3)
    assert write.status is GOOD
    assert len(voted_out(cluster)) == 1
    assert cluster.states()[B] == "in-sync"


def test_one_of_two_copies_that_is_slow_but_lives_is_kept() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.nodes[B].held = {Sync}
    flush = cluster.flush()
    # It does not flush, but it answers.
    for _ in range(60):
        cluster.run(0.1)
        cluster.put(0, b"b" * BLOCK)
    assert flush.status is None
    assert len(voted_out(cluster)) == 1
    cluster.release(B)
    cluster.run()
    assert flush.status is GOOD


def test_if_all_are_late_nobody_is_voted_out() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    for node in cluster.nodes.values():
        node.is_hung = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(10)
    assert write.status is None
    assert voted_out(cluster) == []
    for node in cluster.nodes.values():
        node.is_hung = False
    cluster.run(0.5)
    assert write.status is GOOD


def test_the_targets_own_stall_is_forgiven() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    # Its process stands still while answers lie in its sockets, from one only.
    cluster.nodes[B].is_mute = cluster.nodes[C].is_mute = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(0.2)
    cluster.now += 15.0
    cluster.tick()
    cluster.run(0.2)
    assert voted_out(cluster) == []
    assert write.status is None
    cluster.nodes[B].is_mute = cluster.nodes[C].is_mute = False
    cluster.run()
    assert write.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_connection_that_was_away_while_the_target_stood_still_gets_its_grace() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    cluster.kill_replica(B)
    cluster.run(0.2)
    cluster.now += 60.0
    cluster.tick()
    assert voted_out(cluster) == []
    cluster.start_replica(B)
    cluster.run(0.5)
    assert voted_out(cluster) == []
    assert set(cluster.states().values()) == {"in-sync"}


def hang_until_voted_out(cluster: Cluster, name: str) -> None:
    before = len(voted_out(cluster))
    cluster.nodes[name].is_hung = True
    cluster.write(0, b"x" * BLOCK)
    cluster.run(1.5)
    cluster.nodes[name].is_hung = False
    assert len(voted_out(cluster)) == before + 1


def seconds_until_in_sync(cluster: Cluster, name: str) -> float:
    began = cluster.now
    while cluster.states()[name] != "in-sync":
        assert cluster.now < began + 2000
        cluster.run(1)
    return cluster.now - began


def test_one_that_hangs_again_and_again_waits_longer_each_time() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    waits = []
    for _ in range(4):
        hang_until_voted_out(cluster, B)
        waits.append(seconds_until_in_sync(cluster, B))
    # The first time costs nothing; then it doubles.
    assert waits[0] < 5
    assert waits[1] >= LATE_S_MIN
    assert waits[1] * 1.8 < waits[2] < waits[1] * 2.3
    assert waits[2] * 1.8 < waits[3] < waits[2] * 2.3


def test_one_that_has_been_steady_is_forgiven() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    for _ in range(2):
        hang_until_voted_out(cluster, B)
        waited = seconds_until_in_sync(cluster, B)
    assert waited >= LATE_S_MIN
    cluster.run(STEADY_S + 1)
    hang_until_voted_out(cluster, B)
    assert seconds_until_in_sync(cluster, B) < 5


def test_one_that_failed_and_was_not_late_comes_back_at_once() -> None:
    cluster = opened(**QUICK)
    cluster.put(0, b"a" * BLOCK)
    for _ in range(3):
        cluster.kill_replica(B)
        cluster.run(2)
        cluster.start_replica(B)
        assert seconds_until_in_sync(cluster, B) < 5


def test_one_that_catches_up_and_hangs_is_hung_up_on() -> None:
    cluster = opened(**QUICK)
    cluster.kill_replica(C)
    cluster.run(2)
    cluster.put(0, b"a" * BLOCK)
    cluster.start_replica(C)
    cluster.step_until(lambda: cluster.states()[C] == "rebuilding")
    cluster.nodes[C].is_hung = True
    write = cluster.write(3 << 20, b"b" * BLOCK)
    cluster.run(1.5)
    assert write.status is GOOD
    assert "jiva.replica.not-let-in" in cluster.codes()
    cluster.nodes[C].is_hung = False
    cluster.run(5)
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_lone_pair_waits_for_the_other_and_answers_not_ready_in_time() -> None:
    cluster = opened(2, **QUICK)
    cluster.put(0, b"a" * BLOCK)
    cluster.cut = {B}
    cluster.kill_replica(B)
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(19)
    assert write.status is None
    cluster.run(2)
    assert write.status is not None
    assert write.status.code is Code.NOT_READY
