"""Sizes, durations and addresses, as an operator writes them."""

from __future__ import annotations

import re
from decimal import Decimal

#: Binary units only: "GB" means two things, so it is refused with a hint.
SIZE_UNITS = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "PiB": 1 << 50,
}
DURATION_UNITS = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}

#: A number of at most 18 digits before the point and 9 behind, then a unit: longer ones are
#: mistakes, and arithmetic on them costs.
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(?:[ ]?([A-Za-z]+))?", re.ASCII)

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", re.ASCII)
PORT_MAX = 65535


def parse_size(text: str) -> int:
    """Return the bytes that "1 GiB", "64KiB" or "512" mean.

    Raises:
        ValueError: It is no size; the message says what was expected.
    """
    number, unit = _split(text, "a size such as 64 KiB or 1 GiB")
    if unit and unit not in SIZE_UNITS:
        raise ValueError(f"the unit {unit!r} is not known; expected {_hint(unit)}")
    size = number * SIZE_UNITS[unit or "B"]
    if size != size.to_integral_value():
        raise ValueError(f"{text!r} is no whole number of bytes")
    return int(size)


def parse_duration(text: str) -> float:
    """Return the seconds that "200 ms", "5 s" or "1.5" mean.

    Raises:
        ValueError: It is no duration; the message says what was expected.
    """
    number, unit = _split(text, "a duration such as 200 ms or 5 s")
    if unit and unit not in DURATION_UNITS:
        raise ValueError(
            f"the unit {unit!r} is not known; expected one of {', '.join(DURATION_UNITS)}"
        )
    return float(number * DURATION_UNITS[unit or "s"])


def check_address(text: str) -> str:
    """Return the address as it is, if it is "HOST:PORT" or "[V6]:PORT".

    Raises:
        ValueError: It is not; the message says what was expected.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f"expected HOST:PORT or [V6]:PORT, got {text!r}")
    if int(match[2]) > PORT_MAX:
        raise ValueError(f"port {match[2]} is above {PORT_MAX}")
    return text


def format_size(size_bytes: int) -> str:
    """Return the shortest exact text that `parse_size` reads back."""
    for unit, factor in reversed(SIZE_UNITS.items()):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return "0 B"


def _split(text: str, expected: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {expected}, got {text!r}")
    return Decimal(match[1]), match[2] or ""


def _hint(unit: str) -> str:
    """Name the unit that was probably meant, or all of them."""
    for known in SIZE_UNITS:
        if unit[0].upper() == known[0].upper() and known != "B":
            return f"{known} (1024-based), or a plain number of bytes"
    return f"one of {', '.join(SIZE_UNITS)}"
