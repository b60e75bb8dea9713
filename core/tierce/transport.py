"""A connection on the loop: what every protocol over a stream needs and none wants to write.

Bytes that arrive are kept until their owner takes them, bytes to send until the other side takes
them, both within bounds::

    socket -> incoming -> received(incoming)            stops while incoming is full,
    socket <- unsent   <- send(data)                    or more is unsent than `unsent_bytes_max`

**Back-pressure.** While more than `unsent_bytes_max` waits to be sent, nothing is received: who
does not read its answers can ask no more. `drained` says when half of that is free again. What is
sent all the same may reach twice the bound; one byte more ends the connection.

**Ends.** `finish` sends what waits, says that no more comes, and closes; `close` closes at once.
`ended` is called once, unless it was the owner who closed.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from tierce.reactor import READABLE, WRITABLE, Reactor, Timer

INCOMING_BYTES_MAX = 1 << 20
UNSENT_BYTES_MAX = 1 << 20
#: Received in one call.
RECEIVE_BYTES = 64 << 10
#: An orderly end waits so long for a peer that does not read.
FINISH_TIMEOUT_S = 5.0


def _nothing() -> None:
    pass


class Transport:
    """A non-blocking stream socket.

    Args:
        reactor: The loop.
        connection: Connected and non-blocking; the transport's from now on.
        received: Called when bytes have come, with all that are kept: the owner deletes those that
            it takes (`del incoming[:count]`), never keeps the buffer.
        ended: Called once, with the reason, when the connection is closed by anything but `close`.
        drained: Called when there is room to send again after there was none.
        incoming: What was received before: of a handover. Offered from the loop.
        incoming_bytes_max: Received bytes that are kept at most.
        unsent_bytes_max: Bytes to send that wait before nothing more is received.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing: whatever ends the connection is told by `ended`.
    Since: contract 2.
    """

    def __init__(
        self,
        reactor: Reactor,
        connection: socket.socket,
        *,
        received: Callable[[bytearray], None],
        ended: Callable[[str], None],
        drained: Callable[[], None] = _nothing,
        incoming: bytes = b"",
        incoming_bytes_max: int = INCOMING_BYTES_MAX,
        unsent_bytes_max: int = UNSENT_BYTES_MAX,
    ) -> None:
        assert incoming_bytes_max > 0
        assert unsent_bytes_max > 0
        self.connection = connection
        self._reactor = reactor
        self._received = received
        self._ended = ended
        self._drained = drained
        self._incoming_bytes_max = incoming_bytes_max
        self._unsent_bytes_max = unsent_bytes_max
        self._incoming = bytearray(incoming)
        self._unsent = bytearray()
        self._is_paused = self._was_full = False
        self._finish_reason: str | None = None
        self._sent: Callable[[], None] | None = None
        self._timer: Timer | None = None
        self._watched = -1
        self._watch()
        if incoming:
            reactor.call_soon(self._offer)

    @property
    def is_closed(self) -> bool:
        """True once it is over."""
        return self.connection.fileno() < 0

    @property
    def unsent_count(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._unsent)

    @property
    def is_full(self) -> bool:
        """True if nothing should be sent before `drained`."""
        return len(self._unsent) > self._unsent_bytes_max

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes after those that wait; they may change once this has returned. Harmless when
        it is over."""
        if self.is_closed or self._finish_reason is not None:
            return
        self._unsent += data
        self._flush()
        if self.is_closed:
            return
        if len(self._unsent) > 2 * self._unsent_bytes_max:
            self._end("it does not read its answers")
            return
        self._was_full = self._was_full or self.is_full
        self._watch()

    def when_sent(self, sent: Callable[[], None]) -> None:
        """Call once, when nothing waits to be sent any more: now, if that is so."""
        self._sent = sent
        self._flush()

    def pause(self) -> None:
        """Receive nothing more until `resume`; what has come stays in the kernel."""
        self._is_paused = True
        self._watch()

    def resume(self) -> None:
        """Receive again. What is kept is offered at once, from the loop."""
        self._is_paused = False
        self._watch()
        if self._incoming:
            self._reactor.call_soon(self._offer)

    def finish(self, reason: str) -> None:
        """Receive nothing more, send what waits, then close; `ended(reason)` follows, perhaps from
        within."""
        if self.is_closed or self._finish_reason is not None:
            return
        self._finish_reason = reason
        self._timer = self._reactor.call_later(FINISH_TIMEOUT_S, lambda: self._end(reason))
        self._flush()
        self._watch()

    def close(self) -> None:
        """Close at once; nothing is called any more. Harmless twice.

        Whoever got the connection by a descriptor of its own keeps it: the loop forgets ours first,
        since epoll watches the connection, not the descriptor.
        """
        if self.is_closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._reactor.unwatch(self.connection.fileno())
        self.connection.close()
        self._incoming.clear()
        self._unsent.clear()

    # -- on the loop -------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self.is_closed:
            return
        wants_more = (
            not self._is_paused
            and self._finish_reason is None
            and not self._was_full
            and len(self._incoming) < self._incoming_bytes_max
        )
        events = (READABLE if wants_more else 0) | (WRITABLE if self._unsent else 0)
        if events != self._watched:
            self._watched = events
            self._reactor.watch(self.connection.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        if self._unsent:
            self._flush()
        if not self.is_closed and self._watched & READABLE and events & ~WRITABLE:
            self._receive()
        elif not self.is_closed and events & ~(READABLE | WRITABLE):
            self._end("it went away")
        self._watch()

    def _receive(self) -> None:
        room = min(RECEIVE_BYTES, self._incoming_bytes_max - len(self._incoming))
        try:
            data = self.connection.recv(room)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"it went away ({error.strerror})")
            return
        if not data:
            self._end("it went away")
            return
        self._incoming += data
        self._offer()

    def _offer(self) -> None:
        if not self.is_closed and not self._is_paused and self._finish_reason is None:
            self._received(self._incoming)
            self._watch()

    def _flush(self) -> None:
        if self._unsent:
            try:
                del self._unsent[: self.connection.send(self._unsent)]
            except BlockingIOError:
                pass
            except OSError as error:
                self._end(f"it went away ({error.strerror})")
                return
        if self._was_full and len(self._unsent) <= self._unsent_bytes_max // 2:
            self._was_full = False
            self._drained()
        if not self._unsent and self._sent is not None:
            sent, self._sent = self._sent, None
            sent()
        if not self._unsent and self._finish_reason is not None and not self.is_closed:
            # What was sent must arrive: a close with unread input would reset the connection.
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.recv(RECEIVE_BYTES)
            self._end(self._finish_reason)

    def _end(self, reason: str) -> None:
        if not self.is_closed:
            self.close()
            self._ended(reason)
