"""Where something listens: the one parser of addresses."""

from __future__ import annotations

import re
import socket

import attrs

from tierce.errors import UsageError

PORT_MAX = 65535
#: What the address of a Unix socket starts with.
UNIX = "unix:"

_TCP = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", re.ASCII)


@attrs.frozen
class Address:
    """A TCP address, or the path of a Unix socket.

    Attributes:
        host: Name or number, an IPv6 one without brackets; empty for a Unix socket.
        port: The port; 0 is any free one.
        path: Path of the Unix socket; empty for TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return what "HOST:PORT", "[V6]:PORT" or "unix:PATH" says.

        Raises:
            UsageError: It is none of these; the message says what was expected.
        """
        if text.startswith(UNIX):
            path = text.removeprefix(UNIX)
            if not path or "\0" in path:
                raise UsageError(f"expected unix:PATH, got {text!r}")
            return cls(path=path)
        match = _TCP.fullmatch(text)
        if match is None:
            raise UsageError(f"expected HOST:PORT or [V6]:PORT, got {text!r}{_hint(text)}")
        host, port = match[1], int(match[2])
        if port > PORT_MAX:
            raise UsageError(f"port {match[2]} is above {PORT_MAX}")
        is_v6, is_v4 = host.startswith("["), host.replace(".", "").isdigit()
        host = host.strip("[]")
        try:
            if is_v6 or is_v4:
                family = socket.AF_INET6 if is_v6 else socket.AF_INET
                socket.inet_pton(family, host.partition("%")[0])
        except OSError as error:
            kind = "IPv6" if is_v6 else "IPv4"
            raise UsageError(f"{match[1]} in {text!r} is no {kind} address") from error
        return cls(host, port)

    @property
    def family(self) -> socket.AddressFamily:
        """Of the socket that listens there, or connects to it."""
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        if self.path:
            return UNIX + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _hint(text: str) -> str:
    """Say what was probably meant."""
    if "://" in text:
        return "; leave what stands before the host away"
    if text.count(":") > 1 and "[" not in text:
        return "; an IPv6 address is put in brackets"
    return "; the port is missing" if ":" not in text else ""
