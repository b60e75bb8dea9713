"""One connection that has not yet said which volume it wants."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from tierce.errors import explain
from tierce.frontend import ConnectionRouter, Handover, Hangup, Route, Send
from tierce.node.timebox import TooLongError, limited
from tierce.reactor import Reactor
from tierce.registry import is_promise
from tierce.transport import Transport

#: It takes as long, however much is said.
ROUTING_TIMEOUT_S = 15.0
#: Read in all.
READ_BYTES_MAX = 1 << 20
#: One call of a router: the portal, which is one for all volumes, waits no longer for a stranger's.
ROUTER_S_MAX = 2.0
#: Answers that wait for an initiator that does not read.
SEND_BYTES_MAX = 1 << 20


#: What a router may want, and of which types it is made.
_HOLDS: Mapping[type, Mapping[str, type]] = {
    Send: {"data": bytes},
    Handover: {"volume": str, "state": bytes},
    Hangup: {"reason": str},
}


class Host(Protocol):
    """Whom a connection's end is told to. After any of these it closes itself, but for a handover
    that fails."""

    def hang_up(self, unrouted: UnroutedConnection, reason: str) -> None:
        """Nothing came of it."""
        ...

    def hand_over(self, unrouted: UnroutedConnection, volume: str, state: bytes) -> bool:
        """The connection goes to this volume's target; False if that can't take it now."""
        ...


class UnroutedConnection:
    """A connection and its router on the portal's loop.

    Args:
        reactor: The loop.
        connection: Non-blocking; ours from now on.
        frontend: The front end that it came for.
        origin: Who brings the front end, as messages name it.
        remote: Whose it is, for the log.
        router: From the front end.
        routes: What the portal leads to; looked at whenever bytes arrive.
        host: The portal.
    """

    def __init__(
        self,
        reactor: Reactor,
        connection: socket.socket,
        frontend: str,
        origin: str,
        remote: str,
        router: ConnectionRouter,
        routes: Mapping[str, Route],
        host: Host,
    ) -> None:
        self.connection = connection
        self.frontend = frontend
        self._origin = origin
        self.remote = remote
        self._router = router
        self._routes = routes
        self._host = host
        self._read_count = 0
        self._transport = Transport(
            reactor,
            connection,
            received=self._received,
            ended=self._hang_up,
            unsent_bytes_max=SEND_BYTES_MAX,
        )
        self._timer = reactor.call_later(ROUTING_TIMEOUT_S, self._expired)

    def start(self) -> None:
        """Let the router say what it has to say first."""
        self._ask(lambda: self._router.connected(self._routes))

    def close(self) -> None:
        """Let go of the connection; harmless twice."""
        self._timer.cancel()
        self._transport.close()

    def _expired(self) -> None:
        self._hang_up(f"no login within {ROUTING_TIMEOUT_S:.0f} s")

    def _hang_up(self, reason: str) -> None:
        self._host.hang_up(self, reason)
        self.close()

    def _received(self, incoming: bytearray) -> None:
        data = bytes(incoming)
        incoming.clear()
        self._read_count += len(data)
        if self._read_count > READ_BYTES_MAX:
            self._hang_up("it sent too much")
            return
        self._ask(lambda: self._router.receive(data, self._routes))

    def _ask(self, ask: Callable[[], list[Send | Handover | Hangup]]) -> None:
        try:
            wishes = checked(limited(ask, ROUTER_S_MAX))
        except TooLongError:
            self._blame(f"takes longer than {ROUTER_S_MAX:g} s")
            return
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's parser ends one connection at worst
            self._blame(f"failed: {explain(error)}")
            return
        out = b"".join(wish.data for wish in wishes if isinstance(wish, Send))
        if self._transport.unsent_count + len(out) > SEND_BYTES_MAX:
            self._hang_up("it does not read its answers")
            return
        last = wishes[-1] if wishes else None
        if isinstance(last, Handover):
            # Nothing more is read: what follows is the target's.
            self._transport.pause()
        self._transport.send(out)
        if isinstance(last, Hangup):
            self._transport.finish(last.reason)
        elif isinstance(last, Handover):
            self._transport.when_sent(lambda: self._hand_over(last))

    def _hand_over(self, wish: Handover) -> None:
        if self._host.hand_over(self, wish.volume, wish.state):
            self.close()
            return
        # Better the protocol's own words than an end without any.
        with contextlib.suppress(Exception, SystemExit, TooLongError):
            self._transport.send(limited(self._router.handover_failed, ROUTER_S_MAX))
        self._transport.finish("its volume's target could not take it")

    def _blame(self, what: str) -> None:
        self._hang_up(f"the connection router of {self.frontend} ({self._origin}) {what}")


def checked(answer: object) -> list[Send | Handover | Hangup]:
    """Return a router's answer, if it is one.

    Raises:
        TypeError: It is none, and what it is.
    """
    if is_promise(answer):
        raise TypeError("it is an `async def`; nobody awaits it")
    if not isinstance(answer, list | tuple):
        raise TypeError(f"it returned {type(answer).__name__}; expected a list")
    for one in answer:
        kind = next((kind for kind in _HOLDS if isinstance(one, kind)), None)
        if kind is None:
            raise TypeError(
                f"it returned {type(one).__name__} in its list; expected Send, Handover or Hangup"
            )
        for name, expected in _HOLDS[kind].items():
            given = getattr(one, name)
            if not isinstance(given, expected):
                raise TypeError(
                    f"{kind.__name__}.{name} is {type(given).__name__}; "
                    f"expected {expected.__name__}"
                )
    return list(answer)


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
