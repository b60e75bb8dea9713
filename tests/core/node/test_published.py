"""Sockets that processes of one node find by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierce import ConflictError, TemporaryError, UsageError
from tierce.node.published import Publisher, find_service
from tierce.process.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    # Longer than an address of a Unix socket may be.
    made = Paths(tmp_path / ("d" * 120))
    made.make()
    return made


def test_two_processes_do_not_publish_one_name(paths: Paths) -> None:
    one, two = Publisher(paths, "service.one"), Publisher(paths, "service.two")
    with one.publish("blobs"):
        with pytest.raises(ConflictError, match="'blobs' is held by process"):
            two.publish("blobs")
        one.close()
    with two.publish("blobs"), find_service(paths, "blobs"):
        two.close()


def test_the_socket_of_a_process_that_was_killed_is_replaced(paths: Paths) -> None:
    dead = Publisher(paths, "service.one")
    dead.publish("blobs").close()
    # The kernel lets go of the lock; the socket's file stays.
    for lock in dead._locks.values():
        lock.release()
    with pytest.raises(TemporaryError, match="no service listens"):
        find_service(paths, "blobs")
    with Publisher(paths, "service.one").publish("blobs"):
        find_service(paths, "blobs").close()


@pytest.mark.parametrize("name", ["", "../serve", "a/b", "a.b", "x" * 64])
def test_a_name_is_no_path(paths: Paths, name: str) -> None:
    with pytest.raises(UsageError, match="can't be called"):
        Publisher(paths, "service.one").publish(name)
    with pytest.raises(UsageError, match="can't be called"):
        find_service(paths, name)
