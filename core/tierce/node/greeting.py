"""One connection that has not yet said which volume it wants."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Protocol

from tierce.contexts import Greeter, Handover, Hangup, Route, Send
from tierce.errors import explain
from tierce.reactor import READABLE, WRITABLE, Reactor

#: A greeting takes as long, however much is said.
GREETING_TIMEOUT_S = 15.0
#: Read at once, and in all.
READ_BYTES = 16 << 10
READ_BYTES_MAX = 1 << 20
#: Answers that wait for an initiator that does not read.
SEND_BYTES_MAX = 1 << 20
assert READ_BYTES <= READ_BYTES_MAX


class Host(Protocol):
    """Who a greeting tells its end to. After any of these it closes itself, but for a handover that
    fails."""

    def hang_up(self, greeting: Greeting, reason: str) -> None:
        """Nothing came of it."""
        ...

    def hand_over(self, greeting: Greeting, volume: str, state: bytes) -> bool:
        """The connection goes to this volume's target; False if that can't take it now."""
        ...


class Greeting:
    """A connection and its greeter on the portal's loop.

    Args:
        reactor: The loop.
        connection: Non-blocking; the greeting's from now on.
        greeter: From the front end.
        routes: What the portal leads to; looked at whenever bytes arrive.
        host: The portal.
    """

    def __init__(
        self,
        reactor: Reactor,
        connection: socket.socket,
        greeter: Greeter,
        routes: Mapping[str, Route],
        host: Host,
    ) -> None:
        self.connection = connection
        peer = connection.getpeername()
        self.remote = f"{peer[0]}:{peer[1]}"
        self._reactor = reactor
        self._greeter = greeter
        self._routes = routes
        self._host = host
        self._read_count = 0
        self._out = bytearray()
        self._last: Handover | Hangup | None = None
        self._timer = reactor.call_later(GREETING_TIMEOUT_S, self._expired)
        reactor.watch(connection.fileno(), READABLE, self._ready)

    def close(self) -> None:
        """Let go of the connection; harmless twice.

        A target that got it holds a descriptor of its own, so the loop must forget ours first:
        epoll watches the connection, not the descriptor.
        """
        if self.connection.fileno() < 0:
            return
        self._timer.cancel()
        self._reactor.unwatch(self.connection.fileno())
        self.connection.close()

    def _expired(self) -> None:
        self._hang_up(f"no login within {GREETING_TIMEOUT_S:.0f} s")

    def _hang_up(self, reason: str) -> None:
        self._host.hang_up(self, reason)
        self.close()

    def _ready(self, events: int) -> None:
        if self._last is None and events & ~WRITABLE:
            self._read()
        elif self._last is not None and events & ~(READABLE | WRITABLE):
            self._hang_up("it went away")
        if self.connection.fileno() >= 0 and self._out:
            self._write()

    def _read(self) -> None:
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._hang_up(f"it went away ({error.strerror})")
            return
        self._read_count += len(data)
        if not data or self._read_count > READ_BYTES_MAX:
            self._hang_up("it sent too much" if data else "it went away")
            return
        try:
            wishes = self._greeter.receive(data, self._routes)
        except Exception as error:  # noqa: BLE001 - a plugin's parser ends one connection at worst
            self._hang_up(f"its greeter failed: {explain(error)}")
            return
        for wish in wishes:
            if isinstance(wish, Send):
                self._out += wish.data
            else:
                self._last = wish
        if len(self._out) > SEND_BYTES_MAX:
            self._hang_up("it does not read its answers")
            return
        self._write()

    def _write(self) -> None:
        if self._out:
            try:
                del self._out[: self.connection.send(self._out)]
            except BlockingIOError:
                pass
            except OSError as error:
                self._hang_up(f"it went away ({error.strerror})")
                return
        if not self._out and self._last is not None:
            self._finish(self._last)
            return
        # Nothing more is read once the last wish is known: what follows is the target's.
        events = (READABLE if self._last is None else 0) | (WRITABLE if self._out else 0)
        self._reactor.watch(self.connection.fileno(), events, self._ready)

    def _finish(self, wish: Handover | Hangup) -> None:
        if isinstance(wish, Handover):
            if not self._host.hand_over(self, wish.volume, wish.state):
                self._apologize()
                return
        else:
            # What was sent must arrive: a close with unread input would reset the connection.
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.recv(READ_BYTES)
            self._host.hang_up(self, wish.reason)
        self.close()

    def _apologize(self) -> None:
        """The target can't take the connection: say so in the greeter's own words, if it has any,
        rather than close without one."""
        failed = getattr(self._greeter, "handover_failed", None)
        self._last = Hangup("its volume's target could not take it")
        self._out += b"" if failed is None else failed()
        self._write()


class LogBudget:
    """Bounds what strangers can write into a log: so many lines in so many seconds."""

    LINE_COUNT = 20
    WINDOW_S = 60.0

    def __init__(self) -> None:
        self._window_end = 0.0
        self._count = 0
        self._skipped = 0

    def spend(self, now: float) -> int | None:
        """Return how many lines were left out before this one; None to leave out this one too."""
        if now >= self._window_end:
            self._window_end = now + self.WINDOW_S
            self._count = 0
        if self._count >= self.LINE_COUNT:
            self._skipped += 1
            return None
        self._count += 1
        skipped, self._skipped = self._skipped, 0
        return skipped
