"""The portal process: one set of listening sockets for all volumes.

It accepts, lets a connection router answer what needs no volume, and passes the connection with
what that has read to the volume's target (SCM_RIGHTS). It never sees data; killing it stops no I/O.

What live options of a front end change is for who comes from then on: addresses that stay are not
closed, and who has not named a volume yet goes on.

It accepts nothing before the supervisor has sent every route and `open`: an initiator that comes
while the portal restarts waits in the kernel's backlog, instead of being told that its target
does not exist.

Memory is bounded against whoever connects: so many connections at once that have named no volume
yet (the oldest makes room for the newest), so many bytes each, so many seconds each. Where it
listens, and where it can't, the supervisor hears as facts (tierce.node.ports).
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Mapping
from typing import Any

from tierce.errors import ConflictError, PluginError, ProtocolError, explain
from tierce.frontend import Route
from tierce.node.connection_routing import ROUTER_S_MAX, LogBudget, UnroutedConnection
from tierce.node.ports import Ports
from tierce.node.timebox import TooLongError, limited
from tierce.process.descriptors import Door
from tierce.process.messages import MESSAGE_BYTES_MAX, Command, Message, close_all, encode, send
from tierce.process.paths import connect
from tierce.process.process_loop import Process
from tierce.process.settings import load_section, load_volume_options
from tierce.registry import Registry, blaming, resolve
from tierce.spec import Event

#: Makes a connection router of a connection's two ends, ours first.
MakeRouter = Callable[[tuple[str, int], tuple[str, int]], Any]

#: Connections that have named no volume yet, over all front ends.
UNROUTED_COUNT_MAX = 256
#: Connections accepted before other events have their turn.
ACCEPT_COUNT_MAX = 64
#: What a connection router may pass on: base64 of it and a few words fit a control message.
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
        self._unrouted: dict[UnroutedConnection, None] = {}
        self._routers: dict[str, MakeRouter] = {}
        self._log_budget = LogBudget()
        self._door = Door()
        self._ports = Ports(process.reactor, self)
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._use(process.plan.live)

    @property
    def commands(self) -> Mapping[str, Command]:
        """`route`: this volume may be led to; `unroute`: no more; `open`: begin to accept;
        `reconfigure`: take other live options of front ends."""
        return {
            "route": self._route,
            "unroute": self._unroute,
            "open": self._open,
            "reconfigure": self._reconfigure,
        }

    def close(self, closed: Callable[[], None]) -> None:
        """Stop accepting, drop who has named no volume yet, then `closed()`."""
        self._ports.close()
        self._door.close()
        for unrouted in list(self._unrouted):
            unrouted.close()
        self._unrouted.clear()
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
        routes = self._routes.get(str(message["frontend"]), {})
        routes.pop(str(message["volume"]), None)
        return {}

    def _open(self, _message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        self._ports.open()
        return {}

    def _reconfigure(self, message: Message, descriptors: list[int]) -> Message:
        close_all(descriptors)
        self._use(message["live"])
        return {}

    def _use(self, live: Mapping[str, Any]) -> None:
        """Take the sections of the front ends, for who comes from now on."""
        for name, fixed in self._process.plan.settings["frontends"].items():
            try:
                section = {**fixed, **live.get(name, {})}
                self._bind(name, load_section(self._registry, name, section))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, others are fine
                what = "keeps its options" if name in self._routers else "can't be served"
                message = f"portal: front end {name!r} {what}: {explain(error)}"
                self.tell(Event("portal.frontend-failed", message, "process/portal", "error"))
        self._ports.use(self._addresses)
        self.ports_changed()

    # -- connections -------------------------------------------------------------------------------

    def _bind(self, name: str, options: Any) -> None:
        with blaming(self._registry, "front end", name, "listening"):
            reference = self._registry.frontends[name].router
            router = resolve(reference)
            if not callable(router):
                why = f"its connection router {reference} is no class or function"
                raise PluginError(why, plugin=name)
        self._routes.setdefault(name, {})
        self._routers[name] = lambda local, remote: router(options, local, remote)
        self._addresses[name] = tuple(options.listen)

    def accept(self, frontend: str, listener: socket.socket) -> None:
        """Accept those who have come, and hear which volumes they name."""
        for _count in range(ACCEPT_COUNT_MAX):
            try:
                accepted = self._door.accept(listener)
            except OSError as error:
                # Out of descriptors: whoever has been here longest makes room.
                self._log(f"can't accept: {explain(error)}", "portal.accept-failed")
                if self._unrouted:
                    self._evict()
                else:
                    self._door.turn_away(listener)
                return
            if accepted is None:
                return
            while len(self._unrouted) >= UNROUTED_COUNT_MAX:
                self._evict()
            self._route_connection(frontend, *accepted)

    def _route_connection(self, frontend: str, connection: socket.socket, remote: Any) -> None:
        connection.setblocking(False)
        try:
            with blaming(self._registry, "front end", frontend, "making a connection router"):
                ends = connection.getsockname()[:2], remote[:2]
                router = limited(lambda: self._routers[frontend](*ends), ROUTER_S_MAX)
            unrouted = UnroutedConnection(
                self._process.reactor,
                connection,
                frontend,
                self._registry.origin("front end", frontend),
                f"{remote[0]}:{remote[1]}",
                router,
                self._routes[frontend],
                self,
            )
        except (Exception, TooLongError) as error:  # noqa: BLE001 - a plugin's bug ends one connection at worst
            self._log(f"{remote[0]}:{remote[1]}: {explain(error)}", "portal.routing-failed")
            connection.close()
        else:
            self._unrouted[unrouted] = None
            unrouted.start()

    def _evict(self) -> None:
        oldest = next(iter(self._unrouted))
        self._log(f"{oldest.remote}: others came before it named a volume", "portal.evicted")
        self.forget(oldest)
        oldest.close()

    # -- what its ports tell -----------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Report an event."""
        self._process.emit(event)

    def ports_changed(self) -> None:
        """Where it listens has changed."""
        self._process.show(self._ports.facts())

    # -- what unrouted connections ask for ---------------------------------------------------------

    def forget(self, unrouted: UnroutedConnection) -> None:
        """It is over, or its target's."""
        self._unrouted.pop(unrouted, None)

    def hang_up(self, unrouted: UnroutedConnection, reason: str) -> None:
        """A connection ended without a target: say why."""
        self.forget(unrouted)
        self._log(f"{unrouted.remote}: {reason}", "portal.hangup")

    def hand_over(self, unrouted: UnroutedConnection, volume: str, state: bytes) -> bool:
        """Pass the connection to the volume's target, which owns it from now on; False if that
        can't be now: the target is not there, or so many wait for it that it takes no more."""
        if len(state) > HANDOVER_BYTES_MAX:
            self._log(
                f"its connection router passes on {len(state)} bytes", "portal.handover-failed"
            )
            return False
        try:
            packet = encode(
                {
                    "do": "adopt-connection",
                    "frontend": unrouted.frontend,
                    "handover": base64.b64encode(state).decode(),
                }
            )
            target = connect(self._process.paths.socket(f"target.{volume}"))
            with target:
                send(target, packet, [unrouted.connection.fileno()])
        except (ConflictError, ProtocolError, OSError) as error:
            self._log(
                f"{unrouted.remote}: volume {volume}: {explain(error)}", "portal.handover-failed"
            )
            return False
        self.forget(unrouted)
        return True

    def _log(self, text: str, code: str) -> None:
        skipped = self._log_budget.spend(self._process.reactor.now())
        if skipped is None:
            return
        more = f" ({skipped} such lines were left out before)" if skipped else ""
        self._process.log(Event(code, text + more, "process/portal"))
