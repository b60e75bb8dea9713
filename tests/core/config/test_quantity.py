"""Sizes, durations and addresses as an operator writes them."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce.config.quantity import (
    DURATION_UNITS,
    SIZE_UNITS,
    check_address,
    check_path,
    find_variables,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("1B", 1), ("64KiB", 65536), ("1.5 GiB", 3 << 29), ("2 PiB", 2 << 50)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1  KiB", "-1", "1e3", "1,5 KiB", "½ KiB", "\uff11", "KiB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(("unit", "meant"), [("GB", "GiB"), ("k", "KiB"), ("mb", "MiB")])
def test_a_unit_with_two_meanings_is_refused_with_a_hint(unit: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"expected {meant} "):
        parse_size(f"1 {unit}")


def test_an_unknown_unit_names_all() -> None:
    with pytest.raises(ValueError, match="one of B, KiB"):
        parse_size("1 zettabyte")


def test_a_part_of_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number"):
        parse_size("0.5 B")


@given(st.integers(0, 1 << 59))
def test_a_size_is_shown_so_that_it_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10**6), st.sampled_from(list(SIZE_UNITS)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == parse_size(f"{number} {unit}")
    assert parse_size(f"{number}{unit}") == number * SIZE_UNITS[unit]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1.5", 1.5),
        ("200 ms", 0.2),
        ("5s", 5),
        ("2 min", 120),
        ("1h", 3600),
        ("1 d", 86400),
        ("3us", 3e-6),
    ],
)
def test_durations_are_read(text: str, duration: float) -> None:
    assert parse_duration(text) == duration


@given(st.integers(0, 10**6), st.sampled_from(list(DURATION_UNITS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_duration(f"{number} {unit}") == float(number * DURATION_UNITS[unit])


@pytest.mark.parametrize("text", ["", "soon", "-1 s", "1 s 2 ms", "1.s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_size, parse_duration, check_address):
        with contextlib.suppress(ValueError):
            parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:3260", "[::1]:0", "host-1.example:65535"])
def test_addresses_are_taken_as_they_are(text: str) -> None:
    assert check_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "host", ":1", "host:", "::1:5", "host:99999", "a b:1", "h:-1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|above 65535"):
        check_address(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("256.1.1.1:3260", "256.1.1.1 in '256.1.1.1:3260' is no IPv4 address"),
        ("1.2.3:3260", "is no IPv4 address"),
        ("[::1::2]:3260", "is no IPv6 address"),
        ("[fe80::1%eth0]:99999", "above 65535"),
        ("fe80::1:3260", "an IPv6 address is put in brackets"),
        ("127.0.0.1", "the port is missing"),
        ("iscsi://127.0.0.1:3260", "leave what stands before the host away"),
    ],
)
def test_a_mistaken_address_is_told_what_it_lacks(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_address(text)


@pytest.mark.parametrize(
    "text",
    ["a", "/a/b", "./~/a", "./$HOME", "a~", "100% %s {x} $HOME #y", "-rf", "two\nlines", "c:/x"],
)
def test_a_path_may_be_odd(text: str) -> None:
    check_path(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got empty text"),
        ("~", "'~' is not replaced"),
        ("~/data", "'~' is not replaced"),
        ("~tierce/data", "'~' is not replaced"),
        ("$HOME/data", "$HOME is not replaced"),
        ("${DATA}/x", "${DATA} is not replaced"),
        ("file:///srv/x", "which is a URL"),
        ("nfs://host/x", "which is a URL"),
    ],
)
def test_what_a_shell_or_a_browser_would_understand_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_path(text)


def test_what_looks_like_a_variable_is_found() -> None:
    assert find_variables("/srv/$HOST/${disk}/a$b") == ["$HOST", "${disk}", "$b"]
    assert find_variables("/srv/100$/$1") == []
