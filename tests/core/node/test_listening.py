"""Listening, and who holds a taken port."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import ConflictError, UsageError
from tierce.node.listening import describe_holder, open_listener, split_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:3260", ("127.0.0.1", 3260)),
        ("[::1]:3260", ("::1", 3260)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_an_address_is_split(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        _host, port = split_address(text)
    except UsageError:
        return
    assert 0 <= port <= 65535


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


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match=r"can't listen at 192\.0\.2\.1:1"):
        open_listener("192.0.2.1:1")


def test_a_port_that_nobody_holds_names_nobody() -> None:
    with open_listener("127.0.0.1:0") as listener:
        port = listener.getsockname()[1]
    assert "may not see" in describe_holder(port)
