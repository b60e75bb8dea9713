"""HTTP responses as bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus

import attrs

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (*("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),)


@attrs.frozen(eq=False)
class Response:
    """What is answered.

    Attributes:
        status: Its status: 200.
        content_type: Of the body.
        body: The body in pieces, which many connections may share.
        headers: Further headers.
    """

    status: int
    content_type: str
    body: tuple[bytes, ...]
    headers: Mapping[str, str] = attrs.field(factory=dict)


def plain(status: int, text: str, **headers: str) -> Response:
    """Return a line of text as an answer."""
    return Response(status, "text/plain; charset=utf-8", (f"{text}\n".encode(),), headers)


def head_of(response: Response, *, keeps_alive: bool, now: float) -> bytes:
    """Return what goes before the body.

    Args:
        response: The answer.
        keeps_alive: Another request may follow on the connection.
        now: The time, in seconds since the epoch.
    """
    fields = {
        "Content-Type": response.content_type,
        "Content-Length": str(sum(map(len, response.body))),
        "Date": _date(now),
        "Connection": "keep-alive" if keeps_alive else "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _date(now: float) -> str:
    """Return a time as RFC 9110 5.6.7 has it, whatever the locale says."""
    at = time.gmtime(now)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{day}, {at.tm_mday:02} {month} {at.tm_year} {clock} GMT"
