"""Sockets of services that other processes of the node find by name.

Under run/, which only the server's user may enter: whoever can connect is one of ours. The name is
held by a lock while its process lives, so that of two services one is refused and never hidden.
"""

from __future__ import annotations

import os
import re
import socket

from tierce.errors import ConflictError, TemporaryError, UsageError
from tierce.process.paths import Paths
from tierce.state import Lock, acquire
from tierce.unix_socket import listen_at_path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)


class Publisher:
    """The sockets that one process publishes.

    Args:
        paths: Where things lie.
        process: The process's name.
    """

    def __init__(self, paths: Paths, process: str) -> None:
        self._paths = paths
        self._process = process
        self._locks: dict[str, Lock] = {}

    def publish(self, name: str) -> socket.socket:
        """Return a socket that listens under a name, in place of one whose process has ended.

        Raises:
            UsageError: The name is no name.
            ConflictError: Another process has it; or this one, already.
        """
        _check(name)
        if name in self._locks:
            raise ConflictError(f"{self._process} has published the socket {name!r} already")
        note = {"name": self._process}
        what = f"the published socket {name!r}"
        lock = acquire(self._paths.published_lock(name), note, what=what)
        try:
            listener = listen_at_path(self._paths.published(name))
            # A service waits where it accepts.
            listener.setblocking(True)
        except BaseException:
            lock.release()
            raise
        self._locks[name] = lock
        return listener

    def close(self) -> None:
        """Take every name back; harmless twice."""
        for name, lock in self._locks.items():
            # While the lock is held nobody else listens under this name.
            self._paths.published(name).unlink(missing_ok=True)
            lock.release()
        self._locks.clear()


def find_service(paths: Paths, name: str) -> socket.socket:
    """Return a non-blocking connection to what was published under a name.

    Raises:
        UsageError: The name is no name.
        TemporaryError: Nobody listens there now, or too many wait for it.
    """
    _check(name)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        node = os.open(paths.published(name), os.O_PATH | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{node}")
        finally:
            os.close(node)
    except OSError as error:
        connection.close()
        raise TemporaryError(
            f"no service listens under the name {name!r} now ({error.strerror}); a service that "
            "publishes it has to run, see `services:` of the config file"
        ) from error
    return connection


def _check(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"a published socket can't be called {name!r}: expected a letter, then letters, "
            "digits, '-' and '_', 63 at most"
        )
