"""Accepting at a listening socket, within limits: what a front end that listens itself needs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from tierce.reactor import READABLE, Reactor, Timer

#: Connections accepted before other events have their turn.
ACCEPT_COUNT_MAX = 64
#: Without a descriptor to accept with, the next try comes so much later: a connection that stays
#: in the queue would wake the loop for ever.
PAUSE_S = 1.0
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """A listening socket on the loop.

    Args:
        reactor: The loop.
        listener: Listens, non-blocking; the acceptor's from now on.
        accepted: Takes a connection, non-blocking, which is its own from now on, and returns
            whether it keeps it.
        count_max: Connections that are kept at once. One more is closed at once, unanswered.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing: a connection that can't be accepted is gone; where there is no
        descriptor for it, it waits and is tried again after a second.
    Since: contract 2.
    """

    def __init__(
        self,
        reactor: Reactor,
        listener: socket.socket,
        accepted: Callable[[socket.socket], bool],
        count_max: int,
    ) -> None:
        assert count_max > 0
        self._reactor = reactor
        self._listener = listener
        self._accepted = accepted
        self._count_max = count_max
        self._count = 0
        self._pause: Timer | None = None
        self._watch()

    def release(self) -> None:
        """One of those that were kept is gone."""
        assert self._count > 0, "no more are released than were kept"
        self._count -= 1

    def close(self) -> None:
        """Stop listening; harmless twice. Those that were accepted stay."""
        if self._listener.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._reactor.unwatch(self._listener.fileno())
        self._listener.close()

    def _watch(self) -> None:
        self._pause = None
        self._reactor.watch(self._listener.fileno(), READABLE, self._ready)

    def _ready(self, _events: int) -> None:
        for _count in range(ACCEPT_COUNT_MAX):
            try:
                connection = self._listener.accept()[0]
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._reactor.unwatch(self._listener.fileno())
                    self._pause = self._reactor.call_later(PAUSE_S, self._watch)
                    return
                if error.errno == errno.EAGAIN:
                    return
                # Linux reports what happened to a connection that waits: that one is gone.
                continue
            if self._count >= self._count_max:
                connection.close()
                continue
            connection.setblocking(False)
            if self._accepted(connection):
                self._count += 1
            if self._listener.fileno() < 0:
                return
