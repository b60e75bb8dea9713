"""Descriptors: raised, kept in reserve, refused one at a time."""

from __future__ import annotations

import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tierce import TemporaryError
from tierce.process import descriptors
from tierce.process.descriptors import RESERVE_COUNT, Door, demand, is_spare
from tierce.process.listening import open_listener


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def lowest_free() -> int:
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    return probe


def test_the_soft_limit_is_raised_to_the_hard_one_and_children_inherit_it() -> None:
    code = (
        "import resource, subprocess, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))\n"
        "from tierce.process.descriptors import raise_limit\n"
        "print(raise_limit())\n"
        "child = 'import resource as r; print(*r.getrlimit(r.RLIMIT_NOFILE))'\n"
        "print(subprocess.check_output([sys.executable, '-c', child], text=True))\n"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)
    assert out.split() == ["200", "200", "200"]


def test_a_process_is_refused_before_the_last_descriptor_is_gone(limits: tuple[int, int]) -> None:
    room = 4
    soft = lowest_free() + room + RESERVE_COUNT
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limits[1]))
    demand(room)
    with pytest.raises(TemporaryError, match=rf"{soft} may be open; raise the hard limit"):
        demand(room + 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free(), limits[1]))
    with pytest.raises(TemporaryError, match="no descriptors are left"):
        demand(1)


def test_the_reserve_is_what_is_left_below_the_limit(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    assert is_spare(99 - RESERVE_COUNT)
    assert not is_spare(100 - RESERVE_COUNT)
    assert descriptors.limit() == 100


def test_without_descriptors_one_who_waits_is_turned_away(limits: tuple[int, int]) -> None:
    door = Door()
    with open_listener("127.0.0.1:0") as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        select.select([listener], [], [], 5)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free(), limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            door.accept(listener)
        door.turn_away(listener)
        client.settimeout(5)
        assert client.recv(1) == b""
        # Nobody waits any more: the loop may sleep.
        assert select.select([listener], [], [], 0)[0] == []
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert door.accept(listener) is None
        with socket.create_connection(listener.getsockname()):
            accepted = door.accept(listener)
            assert accepted is not None
            accepted[0].close()
    door.close()
    door.close()
