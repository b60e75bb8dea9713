"""Sizes, durations, addresses and paths, as an operator writes them."""

from __future__ import annotations

import re
from decimal import Decimal

from tierce.address import Address
from tierce.errors import UsageError

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
    try:
        address = Address.parse(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    if address.path:
        raise ValueError(f"expected HOST:PORT or [V6]:PORT, got {text!r}")
    return text


#: What looks like a place of another kind, or is replaced by a shell and by nobody here.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|\{\w+\})", re.ASCII)


def check_path(text: str) -> None:
    """See whether a path is one.

    Raises:
        ValueError: It is not; the message says what was expected.
    """
    if not text:
        raise ValueError("expected a path, got empty text")
    if _SCHEME.match(text):
        raise ValueError(f"expected a path on this machine, got {text!r}, which is a URL")
    if text.startswith("~"):
        raise ValueError(
            f"expected a path, got {text!r}: '~' is not replaced, write the home folder out "
            "(or './~...' for a name that begins so)"
        )
    if variable := _VARIABLE.match(text):
        raise ValueError(
            f"expected a path, got {text!r}: {variable[0]} is not replaced, write its value "
            "(or './$...' for a name that begins so)"
        )


def find_variables(text: str) -> list[str]:
    """Return what in a path looks like a variable of a shell."""
    return _VARIABLE.findall(text)


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
