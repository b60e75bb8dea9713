"""What an operator can set: refused together, or advised against."""

from __future__ import annotations

from typing import Any

import pytest

from tierce_jiva.options import REPLICA_COUNT_MAX, JivaOptions, ReplicaOptions


def options(count: int, **others: Any) -> JivaOptions:
    return JivaOptions(tuple(ReplicaOptions(f"node-{n}") for n in range(count)), **others)


@pytest.mark.parametrize("count", [1, 2, 3, REPLICA_COUNT_MAX])
def test_one_to_seven_replicas_are_allowed(count: int) -> None:
    assert options(count).check() is None


@pytest.mark.parametrize("count", [0, REPLICA_COUNT_MAX + 1])
def test_none_and_too_many_replicas_are_refused(count: int) -> None:
    assert f"got {count}" in (options(count).check() or "")


def test_two_replicas_in_one_folder_are_refused_however_it_is_written() -> None:
    pair = JivaOptions((ReplicaOptions("./node"), ReplicaOptions("node/")))
    assert "share the folder" in (pair.check() or "")


@pytest.mark.parametrize("address", ["0.0.0.0:3000", "192.0.2.1:0", "[::]:0"])
def test_a_replica_listens_on_loopback_only(address: str) -> None:
    alone = JivaOptions((ReplicaOptions("node", address=address),))
    assert "loopback" in (alone.check() or "")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:3000", "localhost:0"])
def test_loopback_is_allowed_by_any_of_its_names(address: str) -> None:
    assert JivaOptions((ReplicaOptions("node", address=address),)).check() is None


def test_a_flush_is_given_at_least_as_long_as_the_rest() -> None:
    assert "flush_dead_s" in (options(3, dead_s=5.0, flush_dead_s=4.0).check() or "")


def test_two_replicas_are_advised_against() -> None:
    assert "first loss" in (options(2).advice() or "")
    assert options(1).advice() is None
    assert options(3).advice() is None
