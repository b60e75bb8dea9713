"""The listening sockets of a portal. An address that can't be had now (its network is not up, its
port is taken) keeps no other from being served: it is told once, and tried again until it is
there."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from tierce.address import Address
from tierce.errors import TierceError, explain
from tierce.process.listening import open_listener
from tierce.reactor import READABLE, Reactor, Timer
from tierce.spec import Event

#: Between two tries: the first wait, doubled each time up to the last.
RETRY_S_MIN = 1.0
RETRY_S_MAX = 10.0

_SUBJECT = "process/portal"


class Host(Protocol):
    """Who has the listening sockets."""

    def accept(self, frontend: str, listener: socket.socket) -> None:
        """Somebody has come."""
        ...

    def tell(self, event: Event) -> None:
        """Report an event."""
        ...

    def ports_changed(self) -> None:
        """`Ports.facts` says something else now."""
        ...


@attrs.define(eq=False)
class _Port:
    """One address of one front end.

    Attributes:
        frontend: Its name.
        address: As it was configured.
        listener: What listens there, None while nothing can.
        trouble: Why nothing listens there.
        delay_s: Until the next try.
        retry: The next try.
    """

    frontend: str
    address: str
    listener: socket.socket | None = None
    trouble: str = ""
    delay_s: float = RETRY_S_MIN
    retry: Timer | None = None


class Ports:
    """All listening sockets of a portal.

    Args:
        reactor: The portal's loop.
        host: The portal.
    """

    def __init__(self, reactor: Reactor, host: Host) -> None:
        self._reactor = reactor
        self._host = host
        self._ports: list[_Port] = []
        self._is_open = False

    def use(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Listen at these addresses of each front end and nowhere else, as far as it can be done
        now. Where it listens already it goes on: nobody who waits there is turned away."""
        before = {(port.frontend, port.address): port for port in self._ports}
        wanted = [(name, one) for name, listed in addresses.items() for one in listed]
        # First: what one front end leaves another may take.
        for key in before.keys() - set(wanted):
            self._drop(before[key])
        for key in wanted:
            if key not in before:
                self._add(_Port(*key))

    def open(self) -> None:
        """Begin to accept."""
        self._is_open = True
        for port in self._ports:
            if port.listener is not None:
                self._watch(port.frontend, port.listener)

    def close(self) -> None:
        """Stop listening; harmless twice."""
        self.use({})

    def facts(self) -> dict[str, Any]:
        """Return where the portal listens and where it can't, by front end and configured address;
        JSON values."""
        listening: dict[str, dict[str, str]] = {}
        missing: dict[str, dict[str, str]] = {}
        for port in self._ports:
            if port.listener is not None:
                where = str(Address(*port.listener.getsockname()[:2]))
                listening.setdefault(port.frontend, {})[port.address] = where
            else:
                missing.setdefault(port.frontend, {})[port.address] = port.trouble
        return {"listening": listening, "missing": missing}

    def _add(self, port: _Port) -> None:
        self._ports.append(port)
        try:
            port.listener = open_listener(port.address)
        except (TierceError, OSError) as error:
            self._miss(port, error)
        else:
            if self._is_open:
                self._watch(port.frontend, port.listener)

    def _drop(self, port: _Port) -> None:
        self._ports.remove(port)
        if port.retry is not None:
            port.retry.cancel()
        if port.listener is not None:
            self._reactor.unwatch(port.listener.fileno())
            port.listener.close()

    def _watch(self, frontend: str, listener: socket.socket) -> None:
        self._reactor.watch(
            listener.fileno(), READABLE, lambda _events: self._host.accept(frontend, listener)
        )

    def _miss(self, port: _Port, error: BaseException) -> None:
        """Tell it once, and try again later."""
        trouble = explain(error)
        if trouble != port.trouble:
            port.trouble = trouble
            message = f"portal: {trouble}; it is tried again until it can be done"
            self._host.tell(Event("portal.address-missing", message, _SUBJECT, "error"))
        port.retry = self._reactor.call_later(port.delay_s, lambda: self._try_again(port))
        port.delay_s = min(2 * port.delay_s, RETRY_S_MAX)

    def _try_again(self, port: _Port) -> None:
        """Off the loop: a host's name may take its time."""

        def tried(listener: socket.socket | None, error: BaseException | None) -> None:
            if port not in self._ports:
                # It is wanted no more.
                if listener is not None:
                    listener.close()
            elif error is not None:
                self._miss(port, error)
                self._host.ports_changed()
            else:
                assert listener is not None, "without an error it listens"
                self._found(port, listener)

        self._reactor.offload(lambda: open_listener(port.address), tried)

    def _found(self, port: _Port, listener: socket.socket) -> None:
        port.listener, port.trouble, port.retry = listener, "", None
        message = f"portal: it listens at {port.address} now"
        self._host.tell(Event("portal.listening", message, _SUBJECT))
        if self._is_open:
            self._watch(port.frontend, listener)
        self._host.ports_changed()
