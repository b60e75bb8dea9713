"""One parser of addresses."""

from __future__ import annotations

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import Address, UsageError


@pytest.mark.parametrize(
    ("text", "address", "family"),
    [
        ("127.0.0.1:3260", Address("127.0.0.1", 3260), socket.AF_INET),
        ("[::1]:3260", Address("::1", 3260), socket.AF_INET6),
        ("localhost:0", Address("localhost", 0), socket.AF_INET),
        ("unix:run/a socket", Address(path="run/a socket"), socket.AF_UNIX),
    ],
)
def test_an_address_is_read_and_written_back(
    text: str, address: Address, family: socket.AddressFamily
) -> None:
    assert Address.parse(text) == address
    assert (str(address), address.family) == (text, family)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unix:", "expected unix:PATH"),
        ("fe80::1:3260", "an IPv6 address is put in brackets"),
        ("h:65536", "port 65536 is above 65535"),
        ("256.1.1.1:1", "is no IPv4 address"),
    ],
)
def test_what_is_none_is_told_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        Address.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except UsageError:
        return
    assert 0 <= address.port <= 65535
    assert Address.parse(str(address)) == address
