"""Listening TCP sockets, who holds a port that is taken, and which addresses users can dial."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tierce.address import Address
from tierce.errors import ConflictError, TemporaryError, TierceError, UsageError
from tierce.unix_socket import BACKLOG

#: State "listening" in /proc/net/tcp.
_LISTEN = "0A"


def open_listener(address: str) -> socket.socket:
    """Listen at "HOST:PORT" or "[V6]:PORT", non-blocking; a portal that restarts gets it back at
    once.

    Raises:
        ConflictError: The port is taken; the message names who holds it.
        TemporaryError: It is no address of this machine, which may be for now.
        UsageError: This user may not listen there, or the host has no address.
    """
    where = Address.parse(address)
    listener = socket.socket(where.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if where.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((where.host, where.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refusal(address, where.port, error) from error
    except BaseException:
        listener.close()
        raise
    return listener


def _refusal(address: str, port: int, error: OSError) -> TierceError:
    """Say why an address can't be listened at, and what to do."""
    if isinstance(error, socket.gaierror):
        kind = TemporaryError if error.errno == socket.EAI_AGAIN else UsageError
        return kind(f"can't listen at {address}: the host's name has no address: {error.strerror}")
    if error.errno == errno.EADDRINUSE:
        return ConflictError(
            f"{address} is taken by {describe_holder(port)}; end that, or set another "
            "`listen:` address in the config file"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return TemporaryError(f"can't listen at {address}: it is no address of this machine now")
    if error.errno == errno.EACCES:
        return UsageError(
            f"can't listen at {address}: this user may not; ports below 1024 need root or "
            "CAP_NET_BIND_SERVICE, so take a higher one"
        )
    return UsageError(f"can't listen at {address}: {error.strerror}")


def describe_holder(port: int) -> str:
    """Name the process that listens on a TCP port of this machine, as far as one may see."""
    pid = find_port_holder(port)
    return _describe(pid) if pid else "a process that this user may not see"


def find_port_holder(port: int) -> int:
    """Return the process that listens on a TCP port of this machine; 0 if none can be seen."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for link in folder.iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(link) in inodes:
                        return int(folder.parent.name)
    return 0


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
    """Return "process PID (its name: its command line)"; a forked process's name is its own."""
    words: list[bytes] = []
    name = ""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    command = b" ".join(words).decode(errors="replace")[:120]
    return f"process {pid} ({name}: {command})"


# -- what users can dial ---------------------------------------------------------------------------

#: ioctl(2): the address of an interface, and its flags.
_SIOCGIFADDR = 0x8915
_SIOCGIFFLAGS = 0x8913
_IFF_UP = 0x1
_WILDCARDS = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}  # noqa: S104 - read, not bound
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def is_wildcard(address: str) -> bool:
    """True if it means every address of the machine."""
    return Address.parse(address).host in _WILDCARDS


def dialled(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses as users can dial them: for a wildcard those of this machine, the ones
    beyond loopback first; an address whose port nobody knows (0) not at all."""
    found: dict[str, None] = {}
    for address in addresses:
        where = Address.parse(address)
        if where.port:
            family = _WILDCARDS.get(where.host)
            hosts = [where.host] if family is None else _hosts(family)
            found |= dict.fromkeys(str(Address(one, where.port)) for one in hosts)
    return tuple(found)


def _hosts(family: socket.AddressFamily) -> list[str]:
    find = _ipv4_hosts if family == socket.AF_INET else _ipv6_hosts
    found = list(dict.fromkeys(find()))
    return [one for one in found if not _is_loopback(one)] or [_LOOPBACK[family]]


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")


def _ipv4_hosts() -> Iterator[str]:
    """Yield the IPv4 address of each interface that is up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _index, name in socket.if_nameindex():
            request = struct.pack("16s24x", name.encode()[:15])
            with contextlib.suppress(OSError):
                flags = fcntl.ioctl(probe, _SIOCGIFFLAGS, request)
                if struct.unpack_from("H", flags, 16)[0] & _IFF_UP:
                    yield socket.inet_ntoa(fcntl.ioctl(probe, _SIOCGIFADDR, request)[20:24])


def _ipv6_hosts() -> Iterator[str]:
    """Yield the global IPv6 addresses; link-local ones can't be dialled without their interface."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            raw, _index, _prefix, scope, *_rest = line.split()
            if int(scope, 16) == 0:
                yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(raw))
