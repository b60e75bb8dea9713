"""Descriptors, the first limit that a busy server meets: raised at start, and kept in reserve, so
that what is refused is one connection or one process, and nobody dies of it."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from typing import Any

from tierce.errors import TemporaryError

#: What a process raises its limit to at most: room for the largest data folder's supervisor (4096
#: volumes of 8 processes, 2 descriptors each), and no more, because the hard limit may be 2^30.
DESCRIPTOR_COUNT_MAX = 1 << 17
#: Kept free of connections and children, for files, replicas' links and commands.
RESERVE_COUNT = 16

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE})


def raise_limit() -> int:
    """Raise this process's soft limit of descriptors as far as it may, and return what it is now.
    Processes that are started from here inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTOR_COUNT_MAX if hard == resource.RLIM_INFINITY else hard
    wanted = min(wanted, DESCRIPTOR_COUNT_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some containers forbid it: then it stays.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """Return how many descriptors this process may have."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return DESCRIPTOR_COUNT_MAX if soft == resource.RLIM_INFINITY else soft


def is_spare(descriptor: int) -> bool:
    """True if a descriptor that was just made leaves the reserve alone: the kernel gives the lowest
    number that is free, so its number says how many there are."""
    return descriptor < limit() - RESERVE_COUNT


def demand(count: int) -> None:
    """See to it that so many descriptors can be had without the reserve.

    Raises:
        TemporaryError: They can't.
    """
    try:
        probe = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.close(probe)
    except OSError:
        probe = limit()
    if not is_spare(probe + count - 1):
        raise TemporaryError(
            f"no descriptors are left for another process: {limit()} may be open; raise the hard "
            "limit (`ulimit -Hn`; LimitNOFILE= of a systemd unit)"
        )


class Door:
    """Accepts at listening sockets, and with no descriptor left turns away whoever comes: a
    connection that stays in the queue would wake the loop for ever."""

    def __init__(self) -> None:
        self._spare = self._reserve()

    def accept(self, listener: socket.socket) -> tuple[socket.socket, Any] | None:
        """Return a connection and its address; None if there is nobody, or nobody any more.

        Raises:
            OSError: There is no descriptor for it (EMFILE, ENFILE): make room and try again, or
                `turn_away` whoever waits.
        """
        try:
            return listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            # Linux reports what happened to a connection that waits: that one is gone.
            return None

    def turn_away(self, listener: socket.socket) -> None:
        """Hang up on one who waits, by means of the reserve."""
        if self._spare >= 0:
            os.close(self._spare)
        with contextlib.suppress(OSError):
            listener.accept()[0].close()
        self._spare = self._reserve()

    def close(self) -> None:
        """Give the reserve back; harmless twice."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _reserve(self) -> int:
        try:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1
