"""What a front end need not write itself."""

from __future__ import annotations

import socket

import pytest

from tierce import ConnectionRouter, Frontend, Geometry, UsageError


def test_a_front_end_that_says_nothing_ends_and_is_fenced_and_refuses_options() -> None:
    front, closed = Frontend(), list[bool]()
    front.abandon("another target has it")
    front.resized(Geometry(4096))
    for reconfigure in (front.reconfigure, front.reconfigure_volume):
        with pytest.raises(UsageError, match="no other options"):
            reconfigure(None)
    front.close(lambda: closed.append(True))
    assert closed == [True]


def test_a_connection_that_nobody_takes_is_closed() -> None:
    ours, theirs = socket.socketpair()
    Frontend().adopt(theirs, b"")
    assert ours.recv(1) == b""
    ours.close()


def test_a_connection_router_is_silent_before_it_has_heard_something() -> None:
    router = ConnectionRouter()
    assert (router.connected({}), router.handover_failed()) == ([], b"")
