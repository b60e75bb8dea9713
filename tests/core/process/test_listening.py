"""Listening, and who holds a taken port."""

from __future__ import annotations

import errno
import os
import socket
from types import SimpleNamespace

import pytest

from tierce import Address, ConflictError, TemporaryError, TierceError, UsageError
from tierce.process.listening import (
    describe_holder,
    dialled,
    find_port_holder,
    open_listener,
)


def test_a_taken_port_names_the_process_that_holds_it() -> None:
    with open_listener("127.0.0.1:0") as first:
        port = first.getsockname()[1]
        with pytest.raises(ConflictError, match=rf"taken by process {os.getpid()} \("):
            open_listener(f"127.0.0.1:{port}")


def test_a_port_is_free_again_at_once_after_connections_on_it() -> None:
    with open_listener("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with socket.create_connection(first.getsockname()):
            accepted, _remote = first.accept()
            accepted.close()
    open_listener(address).close()


def test_an_address_that_is_not_there_may_be_there_later() -> None:
    with pytest.raises(TemporaryError, match=r"203\.0\.113\.1:1: it is no address of this machine"):
        open_listener("203.0.113.1:1")


def test_a_host_without_an_address_is_refused_in_words() -> None:
    with pytest.raises(
        TierceError, match=r"no-such-host\.invalid:1: the host's name has no address"
    ):
        open_listener("no-such-host.invalid:1")


def test_a_port_that_needs_root_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(
        socket,
        "socket",
        lambda *_kind: SimpleNamespace(
            setsockopt=lambda *_option: None, bind=refuse, close=lambda: None
        ),
    )
    with pytest.raises(UsageError, match="this user may not; ports below 1024 need root"):
        open_listener("127.0.0.1:80")


def test_users_are_told_addresses_that_they_can_dial() -> None:
    assert dialled(["127.0.0.1:3260", "[::1]:3260"]) == ("127.0.0.1:3260", "[::1]:3260")
    # Nobody knows the port yet.
    assert dialled(["127.0.0.1:0"]) == ()
    for wildcard in ("0.0.0.0:3260", "[::]:3260"):
        found = dialled([wildcard])
        assert found
        for address in found:
            where = Address.parse(address)
            assert (where.host not in {"0.0.0.0", "::"}, where.port) == (True, 3260)
            # An address of this machine: it can be bound.
            with open_listener(str(Address(where.host, 0))):
                pass


def test_a_port_that_nobody_holds_names_nobody() -> None:
    with open_listener("127.0.0.1:0") as listener:
        port = listener.getsockname()[1]
    assert "may not see" in describe_holder(port)
    assert find_port_holder(port) == 0
