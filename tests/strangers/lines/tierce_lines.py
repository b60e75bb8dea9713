"""Two front ends of one protocol, in which the server speaks first.

`lines` has the portal listen for it: the server asks which volume, the client names it.
`lines-local` listens itself, at a Unix socket of each volume. Then it is the same for both: the
server says "ready SIZE", the client asks "READ OFFSET LENGTH", "WRITE OFFSET LENGTH" (its bytes
follow) or "FLUSH"; answers are "ok LENGTH" (its bytes follow) or "no REASON".
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from tierce import (
    Acceptor,
    Address,
    ConnectionRouter,
    Export,
    Frontend,
    FrontendContext,
    FrontendDescription,
    Geometry,
    Handover,
    Hangup,
    Listens,
    LocalVolume,
    NoOptions,
    Op,
    Request,
    Route,
    Send,
    Transport,
    hookimpl,
    listen_at_path,
    make_folder,
    option,
)

LINE_BYTES_MAX = 200
IO_BYTES_MAX = 256 << 10
SESSION_COUNT_MAX = 8


@attrs.frozen
class LinesOptions:
    """The section `lines:` under `frontends:`."""

    listen: tuple[str, ...] = option(
        default=("127.0.0.1:7470",), unit="address", doc="Where the portal listens."
    )


class LinesRouter(ConnectionRouter):
    """Asks for a volume, and passes the connection on to it."""

    def __init__(self, *_ends: object) -> None:
        self._said = b""

    def connected(self, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        return [Send(b"which volume? %s\n" % " ".join(sorted(routes)).encode())]

    def receive(self, data: bytes, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        self._said += data
        name, newline, rest = self._said.partition(b"\n")
        if newline and name.decode(errors="replace") in routes:
            return [Handover(name.decode(), rest)]
        if newline or len(name) > LINE_BYTES_MAX:
            return [Send(b"no such volume\n"), Hangup("it wants a volume that is not here")]
        return []

    def handover_failed(self) -> bytes:
        return b"try again\n"


class Session:
    """One client: one request at a time."""

    def __init__(
        self,
        context: FrontendContext,
        connection: socket.socket,
        gone: Callable[[Session], None],
        said: bytes,
    ) -> None:
        self._device = context.device
        self._gone = gone
        self._is_busy = self._is_gone = False
        self._finish = ""
        self.transport = Transport(
            context.reactor,
            connection,
            received=self.received,
            ended=lambda _reason: self._check_gone(),
            incoming=said,
            incoming_bytes_max=LINE_BYTES_MAX + IO_BYTES_MAX,
            unsent_bytes_max=2 * IO_BYTES_MAX,
        )
        self.transport.send(b"ready %d\n" % context.device.geometry.size_bytes)

    def received(self, incoming: bytearray) -> None:
        while not self._is_busy and not self.transport.is_full:
            end = incoming.find(b"\n")
            if end < 0:
                if len(incoming) > LINE_BYTES_MAX:
                    self.transport.finish("a line that has no end")
                return
            words = bytes(incoming[:end]).split()
            try:
                op = {b"READ": Op.READ, b"WRITE": Op.WRITE, b"FLUSH": Op.FLUSH}[words[0]]
                offset, length = (int(words[1]), int(words[2])) if len(words) == 3 else (0, 0)
                assert 0 <= length <= IO_BYTES_MAX, "it asks for too much at once"
            except (AssertionError, KeyError, IndexError, ValueError):
                self.transport.send(b"no what?\n")
                self.transport.finish("a line that is no request")
                return
            data_end = end + 1 + (length if op is Op.WRITE else 0)
            if len(incoming) < data_end:
                return
            buffer = bytearray(length) if op is Op.READ else incoming[end + 1 : data_end]
            del incoming[:data_end]
            view = None if op is Op.FLUSH else memoryview(buffer)
            self._submit(Request(op, offset, length, view))

    def _submit(self, request: Request) -> None:
        self._is_busy = True
        self._device.submit([request], self._completed)
        if request.status is not None:
            self._answer(request)

    def _completed(self, requests: list[Request]) -> None:
        for request in requests:
            self._answer(request)
        # What has come meanwhile waits in the transport.
        self.transport.resume()

    def _answer(self, request: Request) -> None:
        self._is_busy = False
        assert request.status is not None
        if not request.status.is_good:
            reason = request.status.reason or request.status.code.value
            self.transport.send(b"no %s\n" % reason.encode())
        else:
            data = bytes(request.buffer or b"") if request.op is Op.READ else b""
            self.transport.send(b"ok %d\n" % len(data) + data)
        if self._finish:
            self.transport.finish(self._finish)
        self._check_gone()

    def _check_gone(self) -> None:
        """What is under way when the client goes must come back before the target may close."""
        if self.transport.is_closed and not self._is_busy and not self._is_gone:
            self._is_gone = True
            self._gone(self)

    def finish(self, reason: str) -> None:
        """Answer what is under way, then end."""
        if self._is_busy:
            self._finish = reason
        else:
            self.transport.finish(reason)


class LinesFrontend(Frontend):
    """Serves clients that the portal hands over."""

    def __init__(self, context: FrontendContext) -> None:
        self.context = context
        self.sessions: set[Session] = set()
        self._closed: Callable[[], None] | None = None

    def adopt(self, connection: socket.socket, handover: bytes) -> None:
        self.welcome(connection, handover)

    def welcome(self, connection: socket.socket, said: bytes) -> None:
        self.sessions.add(Session(self.context, connection, self.gone, said))

    def gone(self, session: Session) -> None:
        self.sessions.discard(session)
        if self._closed is not None and not self.sessions:
            self._closed()

    def resized(self, geometry: Geometry) -> None:
        for session in self.sessions:
            session.transport.send(b"resized %d\n" % geometry.size_bytes)

    def close(self, closed: Callable[[], None]) -> None:
        if not self.sessions:
            closed()
            return
        self._closed = closed
        for session in list(self.sessions):
            session.finish("the target goes down")

    def abandon(self, reason: str) -> None:
        for session in self.sessions:
            session.transport.close()
        self.sessions.clear()


class LocalFrontend(LinesFrontend):
    """The same at a Unix socket in the front end's own folder."""

    def __init__(self, context: FrontendContext) -> None:
        super().__init__(context)
        make_folder(context.folder)
        listener = listen_at_path(socket_path(context.volume))
        self._acceptor = Acceptor(context.reactor, listener, self._accepted, SESSION_COUNT_MAX)

    def _accepted(self, connection: socket.socket) -> bool:
        self.welcome(connection, b"")
        return True

    def gone(self, session: Session) -> None:
        self._acceptor.release()
        super().gone(session)

    def close(self, closed: Callable[[], None]) -> None:
        self._acceptor.close()
        super().close(closed)

    def abandon(self, reason: str) -> None:
        self._acceptor.close()
        super().abandon(reason)


def socket_path(volume: LocalVolume) -> Any:
    return volume.frontend_folder("lines-local") / "socket"


def identity(_options: Any, volume_name: str, _volume_options: Any) -> str:
    return volume_name


def usage(options: LinesOptions, volume: LocalVolume, _export: Export) -> dict[str, str]:
    return {"url": f"lines://{options.listen[0]}/{volume.name}"}


def local_usage(_options: NoOptions, volume: LocalVolume, _export: Export) -> dict[str, str]:
    return {"url": str(Address(path=str(socket_path(volume))))}


@hookimpl
def tierce_frontends() -> Iterable[FrontendDescription]:
    """Name both."""
    return (
        FrontendDescription(
            name="lines",
            summary="Lines of text over TCP; the server speaks first.",
            factory="tierce_lines:LinesFrontend",
            router="tierce_lines:LinesRouter",
            usage="tierce_lines:usage",
            identity="tierce_lines:identity",
            options=LinesOptions,
            contract=2,
        ),
        FrontendDescription(
            name="lines-local",
            summary="Lines of text at a Unix socket of each volume.",
            factory="tierce_lines:LocalFrontend",
            listens=Listens.ITSELF,
            usage="tierce_lines:local_usage",
            identity="tierce_lines:identity",
            contract=2,
        ),
    )
