"""What a front end need not write itself."""

from __future__ import annotations

import socket
from pathlib import Path

import attrs
import pytest

from tierce import (
    ConnectionRouter,
    Frontend,
    FrontendContext,
    Geometry,
    Route,
    ServiceContext,
    TlsMaterial,
    UsageError,
)


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


def test_where_nothing_says_otherwise_there_is_no_tls_and_a_volume_is_served_here() -> None:
    assert Route("demo", None).elsewhere == ""
    for context in (FrontendContext, ServiceContext):
        assert attrs.fields_dict(context)["tls"].default is None
    files = TlsMaterial(certificate=Path("cert.pem"), key=Path("key.pem"), trusted=Path("ca.pem"))
    assert files == attrs.evolve(files)
