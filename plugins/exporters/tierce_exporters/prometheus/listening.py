"""Where the exporter listens, and the file that tells Prometheus so."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

from tierce import Address, TemporaryError, explain
from tierce_exporters.http.serving import BACKLOG

#: Addresses that mean every one of a machine: others need its name.
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def listen_all(addresses: Sequence[str]) -> list[socket.socket]:
    """Listen at each address.

    Raises:
        TemporaryError: One of them can't be listened at; then none is.
    """
    listeners: list[socket.socket] = []
    for text in addresses:
        try:
            listeners.append(_listen(Address.parse(text)))
        except OSError as error:
            for one in listeners:
                one.close()
            raise TemporaryError(
                f"can't listen at {text}: {explain(error)}; free the address, or name another one "
                "in `listen` of the service"
            ) from error
    return listeners


def _listen(address: Address) -> socket.socket:
    where = (address.host, address.port)
    return socket.create_server(where, family=address.family, backlog=BACKLOG)


def addresses(listeners: Sequence[socket.socket]) -> list[str]:
    """Return where they listen, with the ports that were taken."""
    return [str(Address(*one.getsockname()[:2])) for one in listeners]


def discovery(listeners: Sequence[socket.socket], host_name: str) -> bytes:
    """Return what Prometheus' `file_sd_configs` read: the addresses, with the ports that were
    taken.

    Args:
        listeners: They listen.
        host_name: This machine's name, for those that listen at every address.
    """
    targets = []
    for one in listeners:
        host, port = one.getsockname()[:2]
        name = host_name if host in _WILDCARDS else host
        targets.append(str(Address(name, port)))
    return json.dumps([{"targets": targets}]).encode() + b"\n"


def write_discovery(path: str, listeners: Sequence[socket.socket]) -> None:
    """Write the file that names these addresses.

    Raises:
        TemporaryError: It can't be written.
    """
    # Prometheus is another user, and never sees a half of it.
    fresh = Path(f"{path}.new")
    try:
        fresh.write_bytes(discovery(listeners, socket.gethostname()))
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError as error:
        raise TemporaryError(f"the discovery file can't be written: {explain(error)}") from error
