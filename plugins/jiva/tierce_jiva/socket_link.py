"""One TCP connection on a reactor: bytes in through a `FrameReader`, buffers out without copying.

The thin shell that target and replica share; it knows no message.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable
from functools import partial

from tierce import READABLE, WRITABLE, Address, ProtocolError, Reactor
from tierce_jiva.wire import Frame, FrameReader

#: sendmsg takes at most this many buffers (IOV_MAX).
_BUFFER_COUNT_MAX = 1024
#: The other side has closed, or shut down its sending: select.EPOLLRDHUP.
_HANGUP = 0x2000
_KEEPALIVE_IDLE_S = 5
_KEEPALIVE_INTERVAL_S = 2
_KEEPALIVE_COUNT = 3


class SocketLink:
    """A connected, or connecting, non-blocking socket.

    Args:
        connection: The socket; it belongs to the link from now on.
        reactor: The process's loop.
        received: Called with the frames that have arrived; they die when it returns.
        closed: Called once with the reason when the link ends by itself.
        connected: Called once when a connecting socket is connected; None if it is already.
        ends_at_hangup: Once the other side has closed, nothing more of what it had sent is taken:
            it has given up on what was not answered.
        outgoing_bytes_max: While more than this is queued to be sent, nothing is received: whoever
            asks must take the answers. None for the asking side, which must always read: two
            sides that wait for each other to read would wait for ever.
    """

    def __init__(
        self,
        connection: socket.socket,
        reactor: Reactor,
        *,
        received: Callable[[list[Frame]], None],
        closed: Callable[[str], None],
        connected: Callable[[], None] | None = None,
        outgoing_bytes_max: int | None = None,
        ends_at_hangup: bool = False,
    ) -> None:
        self._socket = connection
        self._descriptor = connection.fileno()
        self._reactor = reactor
        self._received = received
        self._closed = closed
        self._connected = connected
        self._reader = FrameReader()
        self._outgoing: deque[memoryview] = deque()
        #: Bytes in `_outgoing`.
        self._queued_bytes = 0
        self._outgoing_bytes_max = outgoing_bytes_max
        self._always = _HANGUP if ends_at_hangup else 0
        self._events = self._always | READABLE | (WRITABLE if connected else 0)
        self.is_open = True
        self._is_paused = False
        connection.setblocking(False)
        tune(connection)
        reactor.watch(self._descriptor, self._events, self._ready)

    def send(self, buffers: list[bytes | memoryview]) -> None:
        """Send the buffers in order. They must not change until the other side has answered or
        the link is closed."""
        if not self.is_open:
            return
        if self._outgoing or self._connected is not None:
            self._queue(buffers)
            return
        try:
            sent = self._socket.sendmsg(buffers[:_BUFFER_COUNT_MAX])
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # Reported from the loop: the caller is in the midst of something.
            self._reactor.call_soon(partial(self._end, f"can't send: {error.strerror}"))
            return
        if sent < sum(map(len, buffers)) or len(buffers) > _BUFFER_COUNT_MAX:
            self._queue(buffers)
            self._drop_sent(sent)
            self._watch_all()

    def pause(self) -> None:
        """Receive nothing, so that the frames that have arrived stay where they lie. That the other
        side has closed is noticed all the same, if the link ends at that."""
        self._is_paused = True
        self._watch_all()

    def resume(self) -> None:
        """Receive again."""
        self._is_paused = False
        self._watch_all()

    def close(self) -> None:
        """Close now; what was not sent is dropped. `closed` is not called."""
        if self.is_open:
            self.is_open = False
            self._reactor.unwatch(self._descriptor)
            self._outgoing.clear()
            self._queued_bytes = 0
            self._socket.close()

    def _ready(self, events: int) -> None:
        if self._connected is not None:
            self._finish_connecting()
            return
        if events & self._always:
            self._end("closed by the other side")
            return
        if events & WRITABLE and self._outgoing:
            self._flush()
        if not self.is_open:
            return
        if events & READABLE and self._events & READABLE:
            self._receive()
        elif events & ~(READABLE | WRITABLE):
            # An error or the end, reported even where nothing is to be received.
            if self._is_paused:
                self._end("connection broken")
            else:
                self._receive()

    def _finish_connecting(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._end(f"can't connect: {os.strerror(error)}")
            return
        connected, self._connected = self._connected, None
        self._watch(self._always | READABLE)
        assert connected is not None
        connected()
        if self._outgoing:
            self._flush()

    def _receive(self) -> None:
        try:
            count = self._socket.recv_into(self._reader.space())
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"connection broken: {error.strerror}")
            return
        if not count:
            self._end("closed by the other side")
            return
        try:
            frames = self._reader.received(count)
            if frames:
                self._received(frames)
        except ProtocolError as error:
            self._end(str(error))

    def _flush(self) -> None:
        try:
            while self._outgoing:
                first = [self._outgoing[i] for i in range(min(len(self._outgoing), 64))]
                self._drop_sent(self._socket.sendmsg(first))
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(f"can't send: {error.strerror}")
            return
        self._watch_all()

    def _drop_sent(self, count: int) -> None:
        outgoing = self._outgoing
        self._queued_bytes -= count
        while count:
            first = outgoing.popleft()
            if count < len(first):
                outgoing.appendleft(first[count:])
                return
            count -= len(first)

    def _queue(self, buffers: list[bytes | memoryview]) -> None:
        self._outgoing.extend(map(memoryview, buffers))
        self._queued_bytes += sum(map(len, buffers))
        if self._connected is None:
            self._watch_all()

    def _watch_all(self) -> None:
        """Wait for what there is to send, and for what may be received."""
        limit = self._outgoing_bytes_max
        is_receiving = not self._is_paused and (limit is None or self._queued_bytes <= limit)
        wanted = (READABLE if is_receiving else 0) | (WRITABLE if self._outgoing else 0)
        self._watch(self._always | wanted)

    def _watch(self, events: int) -> None:
        if self.is_open and events != self._events:
            self._events = events
            self._reactor.watch(self._descriptor, events, self._ready)

    def _end(self, reason: str) -> None:
        if self.is_open:
            self.close()
            self._closed(reason)


def connect(address: str) -> socket.socket:
    """Begin to connect to "HOST:PORT".

    Raises:
        OSError: It can't be, and that is known already; or no descriptor is left.
        UsageError: It is no address.
    """
    where = Address.parse(address)
    connection = socket.socket(where.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.setblocking(False)
    try:
        connection.connect((where.host, where.port))
    except BlockingIOError:
        pass
    except OSError:
        connection.close()
        raise
    return connection


def listen(address: str) -> socket.socket:
    """Listen at "HOST:PORT", without blocking.

    Raises:
        OSError: It can't be.
        UsageError: It is no address.
    """
    where = Address.parse(address)
    listener = socket.socket(where.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((where.host, where.port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def tune(connection: socket.socket) -> None:
    """Send at once, and notice a dead machine within about 11 s of silence."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT)
    # While bytes are on their way there is no silence to be noticed.
    silence_s = _KEEPALIVE_IDLE_S + _KEEPALIVE_COUNT * _KEEPALIVE_INTERVAL_S
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * silence_s)
