"""How times, rates and shares are told."""

from __future__ import annotations

#: From here on a number is told without a fraction.
_WHOLE_FROM = 99.95
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def duration(ns: float) -> str:
    """Return a time: "12 s", "0.4 ms", "830 us"."""
    if ns <= 0:
        return "0 s"
    for size, unit in _UNITS:
        # Tenths of a millisecond read better than hundreds of microseconds.
        if ns >= size or (unit == "ms" and ns >= size / 10):
            return f"{number(ns / size)} {unit}"
    return f"{ns:.1f} ns"


def number(value: float) -> str:
    """Return a number with a digit behind the point where it is small, and none that is a zero."""
    text = f"{value:.1f}" if value < _WHOLE_FROM else f"{value:.0f}"
    return text.removesuffix(".0")


def amount(value: float) -> str:
    """Return how many, short: "950", "12.3k", "4.1M"."""
    for size, prefix in _PREFIXES:
        if value >= size * 0.99995:
            return f"{number(value / size)}{prefix}"
    return number(value)


def percent(share: float) -> str:
    """Return a share: "94 %"."""
    return f"{share * 100:.0f} %"


def count_of(count: int, what: str) -> str:
    """Return how many of something: "1 write", "3 writes"."""
    return f"{count:,} {what if count == 1 else several(what)}"


def several(what: str) -> str:
    """Return the word for several of something: "writes", "flushes"."""
    return f"{what}es" if what.endswith("sh") else f"{what}s"
