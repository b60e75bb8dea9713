"""What operators are told of a volume that does not do what it should."""

from __future__ import annotations

from typing import Any

from jiva.cluster import Cluster
from tierce_jiva.host import Volume
from tierce_jiva.status_reporter import TOLD_COUNT_MAX, StatusReporter
from tierce_jiva.target_actions import Agenda, Report


def serving(**options: Any) -> Cluster:
    cluster = Cluster(**options)
    cluster.run(3)
    assert cluster.published.state == "serving"
    return cluster


def test_a_volume_with_a_replica_missing_is_degraded_until_it_is_back() -> None:
    cluster = serving()
    cluster.kill_replica("replica-3")
    cluster.run(2)
    assert cluster.published.state == "degraded"
    cluster.start_replica("replica-3")
    cluster.run(5)
    assert cluster.published.state == "serving"


def test_a_volume_whose_majority_is_gone_is_stopped() -> None:
    cluster = serving()
    cluster.kill_replica("replica-2")
    cluster.kill_replica("replica-3")
    cluster.run(2)
    assert cluster.published.state == "stopped"
    assert "jiva.volume.no-majority" in cluster.codes()


def test_a_volume_whose_majority_hangs_says_so_once_and_recovers() -> None:
    cluster = serving(dead_s=0.5, flush_dead_s=1.0)
    for name in ("replica-2", "replica-3"):
        cluster.nodes[name].is_hung = True
    write = cluster.write(0, b"w" * 4096)
    cluster.run(4)
    assert write.status is None
    assert cluster.published.state == "stopped"
    assert cluster.codes().count("jiva.volume.no-majority") == 1
    for name in ("replica-2", "replica-3"):
        cluster.nodes[name].is_hung = False
    cluster.run(20)
    assert write.status is not None
    assert write.status.is_good
    assert cluster.published.state == "serving"


def test_many_extents_that_can_not_be_read_do_not_silence_another_trouble() -> None:
    agenda = Agenda()
    reporter = StatusReporter(Volume("demo", "00ff", 1 << 20, ("replica-1",), 1, "boot"), agenda)
    for number in range(TOLD_COUNT_MAX + 10):
        reporter.say_once("jiva.replica.read-failed", f"can't read {number}+512", "error")
    for _ in range(2):
        reporter.say_once("jiva.replica.failed", "its disk is full", "error")
    codes = [action.event.code for action in agenda.actions if isinstance(action, Report)]
    assert codes.count("jiva.replica.read-failed") == TOLD_COUNT_MAX
    assert codes.count("jiva.replica.failed") == 1
