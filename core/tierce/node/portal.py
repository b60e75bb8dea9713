"""The portal process: one set of listening sockets for all volumes.

It accepts, lets a greeter answer what needs no volume, and passes the connection with what the
greeter read to the volume's target (SCM_RIGHTS). It never sees data; killing it stops no I/O.

It accepts nothing before the supervisor has sent every route and `open`: an initiator that comes
while the portal restarts waits in the kernel's backlog, instead of being told that its target
does not exist.

Memory is bounded against whoever connects: so many greetings at once (the oldest makes room for
the newest), so many bytes each, so many seconds each.
"""

from __future__ import annotations

import base64
import errno
import socket
from collections.abc import Callable, Mapping
from typing import Any

from tierce.contexts import Route
from tierce.errors import ConflictError, ProtocolError
from tierce.node.control import MESSAGE_BYTES_MAX, Command, Message, close_all, encode, send
from tierce.node.greeting import Greeting, LogBudget
from tierce.node.layout import connect
from tierce.node.listening import open_listener
from tierce.node.process import Process, write_log
from tierce.node.settings import load_section, load_volume_options
from tierce.reactor import READABLE
from tierce.registry import Registry, resolve
from tierce.spec import Event

#: Connections that are being greeted at once, over all front ends.
GREETING_COUNT_MAX = 256
#: Connections accepted before other events have their turn.
ACCEPT_COUNT_MAX = 64
#: What a greeter may pass on: base64 of it and a few words fit a control message.
HANDOVER_BYTES_MAX = 64 << 10
assert HANDOVER_BYTES_MAX * 4 // 3 + 4096 < MESSAGE_BYTES_MAX


def start_portal(process: Process, registry: Registry) -> Portal:
    """Bind every front end's addresses."""
    return Portal(process, registry)


class Portal:
    """The portal in this process.

    Args:
        process: The process.
        registry: The plugins.
    """

    def __init__(self, process: Process, registry: Registry) -> None:
        self._process = process
        self._registry = registry
        self._routes: dict[str, dict[str, Route]] = {}
        self._greetings: dict[Greeting, None] = {}
        self._listeners: list[tuple[socket.socket, Callable[[int], None]]] = []
        self._log_budget = LogBudget()
        try:
            for name, section in process.plan.settings["frontends"].items():
                self._bind(name, load_section(registry, name, section))
        except BaseException:
            self._close_listeners()
            raise

    @property
    def commands(self) -> Mapping[str, Command]:
        """`route`: this volume may be led to; `unroute`: no more; `open`: begin to accept."""
        return {"route": self._route, "unroute": self._unroute, "open": self._open}

    def close(self, closed: Callable[[], None]) -> None:
        """Stop accepting, drop who is being greeted, then `closed()`."""
        self._close_listeners()
        for greeting in list(self._greetings):
            greeting.close()
        self._greetings.clear()
        closed()

    # -- commands ----------------------------------------------------------------------------------

    def _route(self, message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        frontend, volume = str(message["frontend"]), str(message["volume"])
        options = load_volume_options(self._registry, frontend, message["options"])
        routes = self._routes.setdefault(frontend, {})
        routes[volume] = Route(volume, options, is_up=bool(message["is_up"]))
        return {}

    def _unroute(self, message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        for routes in self._routes.values():
            routes.pop(str(message["volume"]), None)
        return {}

    def _open(self, _message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        for listener, accept in self._listeners:
            self._process.reactor.watch(listener.fileno(), READABLE, accept)
        return {}

    # -- connections -------------------------------------------------------------------------------

    def _bind(self, name: str, options: Any) -> None:
        greeter = resolve(self._registry.frontends[name].greeter)
        assert callable(greeter), "a front end's greeter is a class or function"
        routes = self._routes.setdefault(name, {})
        for address in options.listen:
            listener = open_listener(address)

            def accept(_events: int, listener: socket.socket = listener) -> None:
                self._accept(
                    listener, lambda local, remote: greeter(options, local, remote), routes
                )

            self._listeners.append((listener, accept))

    def _close_listeners(self) -> None:
        for listener, _accept in self._listeners:
            self._process.reactor.unwatch(listener.fileno())
            listener.close()
        self._listeners.clear()

    def _accept(
        self,
        listener: socket.socket,
        make_greeter: Callable[[tuple[str, int], tuple[str, int]], Any],
        routes: Mapping[str, Route],
    ) -> None:
        for _count in range(ACCEPT_COUNT_MAX):
            try:
                connection, remote = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory: whoever has been greeted longest makes room.
                self._log(f"can't accept: {error.strerror}", "portal.accept-failed")
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._greetings:
                    self._evict()
                return
            while len(self._greetings) >= GREETING_COUNT_MAX:
                self._evict()
            connection.setblocking(False)
            try:
                greeter = make_greeter(connection.getsockname()[:2], remote[:2])
                greeting = Greeting(self._process.reactor, connection, greeter, routes, self)
            except Exception as error:  # noqa: BLE001 - a plugin's bug ends one connection at worst
                self._log(f"{remote[0]}:{remote[1]}: {error!r}", "portal.greeting-failed")
                connection.close()
            else:
                self._greetings[greeting] = None

    def _evict(self) -> None:
        oldest = next(iter(self._greetings))
        self._log(
            f"{oldest.remote}: others came before it had said whom it wants", "portal.evicted"
        )
        self.forget(oldest)
        oldest.close()

    # -- what a greeting asks for ------------------------------------------------------------------

    def forget(self, greeting: Greeting) -> None:
        """The greeting is over."""
        self._greetings.pop(greeting, None)

    def hang_up(self, greeting: Greeting, reason: str) -> None:
        """The greeting ended without a target: say why."""
        self.forget(greeting)
        self._log(f"{greeting.remote}: {reason}", "portal.hangup")

    def hand_over(self, greeting: Greeting, volume: str, state: bytes) -> bool:
        """Pass the connection to the volume's target, which owns it from now on; False if that
        can't be now: the target is not there, or so many wait for it that it takes no more."""
        if len(state) > HANDOVER_BYTES_MAX:
            self._log(f"its greeter passes on {len(state)} bytes", "portal.handover-failed")
            return False
        try:
            packet = encode(
                {"do": "adopt-connection", "handover": base64.b64encode(state).decode()}
            )
            target = connect(self._process.layout.socket(f"target.{volume}"))
            with target:
                send(target, packet, [greeting.connection.fileno()])
        except (ConflictError, ProtocolError, OSError) as error:
            self._log(f"{greeting.remote}: volume {volume}: {error}", "portal.handover-failed")
            return False
        self.forget(greeting)
        return True

    def _log(self, text: str, code: str) -> None:
        skipped = self._log_budget.spend(self._process.reactor.now())
        if skipped is None:
            return
        more = f" ({skipped} such lines were left out before)" if skipped else ""
        write_log(self._process.plan.name, Event(code, text + more, "process/portal"))
