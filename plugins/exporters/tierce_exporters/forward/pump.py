"""The shell of a sender: its socket, a clock, and the connection that is made aside."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable

from tierce import explain
from tierce_exporters.forward.aside import Aside
from tierce_exporters.forward.messages import RECEIVE_BYTES
from tierce_exporters.forward.sender import Sender

#: Given to the socket at once.
SEND_BYTES = 256 << 10
#: A socket says by these that it has nothing, or no room, now.
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Pump:
    """Moves what a sender has, and what comes for it.

    Args:
        sender: The sender.
        connect: Returns a connection that does not block; may take its time, and raise.
        clock: Returns the time, in seconds, on a clock that never goes back.
    """

    def __init__(
        self,
        sender: Sender,
        connect: Callable[[], socket.socket],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._connect = connect
        self._clock = clock
        self._peer: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for one in (self._woken, self._waker):
            one.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._connecting: Aside[socket.socket] = Aside("forward-connect", self.wake)

    def wake(self) -> None:
        """Have the turn that is under way, or the next one, end at once; from any thread."""
        # It may be closed, and it may be full: then it is awake.
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def turn(self, pause_s: float) -> None:
        """Wait for something to do, so long at most, and do it."""
        self._step()
        deadline = self._sender.deadline
        if deadline is not None:
            pause_s = min(pause_s, deadline - self._clock())
        for key, events in self._selector.select(max(0.0, pause_s)):
            if key.fileobj is self._woken:
                self._woken.recv(RECEIVE_BYTES)
                self._take_connection()
            elif self._peer is not None:
                self._move(self._peer, events)
        self._step()

    def close(self) -> None:
        """Close what there is."""
        if self._peer is not None:
            self._peer.close()
        for one in (self._woken, self._waker, self._selector):
            one.close()

    def _step(self) -> None:
        if self._sender.step(self._clock()):
            self._connecting.start(self._connect)
        self._watch()

    def _take_connection(self) -> None:
        outcome = self._connecting.outcome()
        if outcome is None:
            return
        if outcome.result is None:
            assert outcome.error is not None, "a connection or what went wrong"
            self._sender.lost(explain(outcome.error), self._clock())
            return
        self._peer = outcome.result
        self._selector.register(self._peer, selectors.EVENT_READ)
        self._sender.connected(self._clock())

    def _watch(self) -> None:
        """Watch for what the connection can do, and close it if it is over."""
        if self._peer is None:
            return
        if not self._sender.is_connected:
            self._selector.unregister(self._peer)
            self._peer.close()
            self._peer = None
            return
        wanted = selectors.EVENT_READ
        if self._sender.outgoing:
            wanted |= selectors.EVENT_WRITE
        self._selector.modify(self._peer, wanted)

    def _move(self, peer: socket.socket, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._sender.sent(peer.send(self._sender.outgoing[0][:SEND_BYTES]))
            if events & selectors.EVENT_READ:
                self._receive(peer)
        except _NOT_NOW:
            return
        except OSError as error:
            self._sender.lost(f"the connection is lost: {explain(error)}", self._clock())

    def _receive(self, peer: socket.socket) -> None:
        # Again, because what TLS has decrypted already is not seen by the selector.
        while self._sender.is_connected:
            data = peer.recv(RECEIVE_BYTES)
            if not data:
                self._sender.lost("the peer has closed the connection", self._clock())
                return
            self._sender.receive(data, self._clock())
