"""Listening TCP sockets, and who holds a port that is taken."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from tierce.errors import ConflictError, UsageError
from tierce.node.layout import BACKLOG

#: State "listening" in /proc/net/tcp.
_LISTEN = "0A"


def open_listener(address: str) -> socket.socket:
    """Listen at "HOST:PORT" or "[V6]:PORT", non-blocking; a portal that restarts gets it back at
    once.

    Raises:
        ConflictError: The port is taken; the message names who holds it.
        UsageError: It is no address of this machine.
    """
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"{address} is taken by {describe_holder(port)}; end that, or set another "
                "`listen:` address in the config file"
            ) from error
        raise UsageError(f"can't listen at {address}: {error.strerror}") from error
    except BaseException:
        listener.close()
        raise
    return listener


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT" or "[V6]:PORT".

    Raises:
        UsageError: It is neither.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{address!r} is not an address; expected HOST:PORT or [V6]:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def describe_holder(port: int) -> str:
    """Name the process that listens on a TCP port of this machine, as far as one may see."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for link in folder.iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(link) in inodes:
                        return _describe(int(folder.parent.name))
    return "a process that this user may not see"


def _listening_inodes(port: int) -> set[str]:
    """Return the names, as /proc/*/fd shows them, of the sockets that listen on a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _describe(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    command = b" ".join(words).decode(errors="replace")[:120]
    return f"process {pid} ({command})"
