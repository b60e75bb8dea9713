"""HTTP requests from bytes (RFC 9112), without a socket: what `GET` and `HEAD` need and no more.

Strict where two readers of the same bytes could disagree: lines end in CR LF, names of headers have
no space before the colon, no line is folded, HTTP/1.1 has one Host, and what announces a body is
refused, since nothing here takes one. So a request ends where its head does.

Bounds: a head has at most `HEAD_BYTES_MAX` bytes and `HEADER_COUNT_MAX` headers. The parser keeps
that and what was received with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from tierce import ProtocolError

HEAD_BYTES_MAX = 8192
HEADER_COUNT_MAX = 64

_END = b"\r\n\r\n"
_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rb"(" + _NAME + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
# The spaces around a value are its own: two patterns for them would try each way to share them.
_HEADER = re.compile(rb"(" + _NAME + rb"):([\t -~\x80-\xff]*)")
#: Scheme and host of a whole URL, as proxies send it.
_ABSOLUTE = re.compile(r"https?://[^/?#]+", re.IGNORECASE)


class BadRequestError(ProtocolError):
    """What came is no request that is taken; the connection ends after the answer.

    Args:
        status: The answer's status.
        message: What is wrong.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@attrs.frozen
class Request:
    """One request.

    Attributes:
        method: As it was sent: "GET".
        path: The path of its target, not decoded, without query.
        headers: By name in lower case; one that was sent more than once is joined by commas.
        keeps_alive: Another request may follow on the connection.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    keeps_alive: bool


class RequestParser:
    """The requests of one connection, one after the other."""

    def __init__(self) -> None:
        self._received = bytearray()

    @property
    def has_begun(self) -> bool:
        """True if a part of the next request has come."""
        return bool(self._received)

    def receive(self, data: bytes) -> None:
        """Take what has come."""
        self._received += data

    def next_request(self) -> Request | None:
        """Return the next request that is whole; None if more has to come first.

        Raises:
            BadRequestError: It is none. What follows it can't be told apart any more.
        """
        # What a client sends after a request, for want of better (RFC 9112 2.2).
        while self._received.startswith(b"\r\n"):
            del self._received[:2]
        end = self._received.find(_END, 0, HEAD_BYTES_MAX)
        if end < 0:
            self._check_length()
            return None
        head = bytes(self._received[:end])
        del self._received[: end + len(_END)]
        return _parse(head)

    def _check_length(self) -> None:
        if len(self._received) < HEAD_BYTES_MAX:
            return
        if b"\r\n" not in self._received:
            raise BadRequestError(414, f"expected a request line of {HEAD_BYTES_MAX} bytes at most")
        raise BadRequestError(431, f"expected headers of {HEAD_BYTES_MAX} bytes at most")


def _parse(head: bytes) -> Request:
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise BadRequestError(400, "expected METHOD TARGET HTTP/1.1")
    if line[3] != b"1":
        raise BadRequestError(505, "expected HTTP/1.1 or HTTP/1.0")
    if len(lines) > HEADER_COUNT_MAX:
        raise BadRequestError(431, f"expected {HEADER_COUNT_MAX} headers at most")
    headers = _headers(lines)
    is_newer = line[4] != b"0"
    if is_newer and ("host" not in headers or "," in headers["host"]):
        raise BadRequestError(400, "expected one header Host")
    _refuse_body(headers)
    words = {one.strip().lower() for one in headers.get("connection", "").split(",")}
    keeps_alive = "close" not in words if is_newer else "keep-alive" in words
    path = _path(line[2].decode("ascii"))
    return Request(line[1].decode("ascii"), path, headers, keeps_alive)


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise BadRequestError(400, "expected headers of the form NAME: VALUE")
        name, value = match[1].decode("ascii").lower(), match[2].strip(b" \t").decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _refuse_body(headers: Mapping[str, str]) -> None:
    if "transfer-encoding" in headers:
        raise BadRequestError(413, "expected a request without a body")
    lengths = {one.strip() for one in headers.get("content-length", "0").split(",")}
    if len(lengths) != 1 or not re.fullmatch(r"[0-9]+", length := lengths.pop(), re.ASCII):
        raise BadRequestError(400, "expected one Content-Length, a number")
    if length.strip("0"):
        raise BadRequestError(413, "expected a request without a body")


def _path(target: str) -> str:
    path = _ABSOLUTE.sub("", target, count=1).partition("?")[0]
    if target.startswith("/") or path != target.partition("?")[0]:
        return path or "/"
    raise BadRequestError(400, "expected a target that begins with /")
