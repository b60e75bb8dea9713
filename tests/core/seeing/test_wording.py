"""Times and rates are told as people say them."""

from __future__ import annotations

import pytest

from tierce.seeing.wording import amount, count_of, duration, percent


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (0.4, "0.4 ns"),
        (830, "830 ns"),
        (42_000, "42 us"),
        (400_000, "0.4 ms"),
        (20_100_000, "20.1 ms"),
        (300_000_000, "300 ms"),
        (10e9, "10 s"),
        (1.25e9, "1.2 s"),
    ],
)
def test_a_time(ns: float, text: str) -> None:
    assert duration(ns) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (950, "950"), (12_345, "12.3k"), (4_100_000, "4.1M"), (1e9, "1G")],
)
def test_an_amount(value: float, text: str) -> None:
    assert amount(value) == text


def test_a_share_and_a_count() -> None:
    assert percent(0.944) == "94 %"
    assert (count_of(1, "write"), count_of(1200, "write")) == ("1 write", "1,200 writes")
    assert count_of(2, "slow flush") == "2 slow flushes"
