"""A pool in small: a service keeps the bytes of all volumes, their engines find it by name."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path

import attrs

import tierce

#: b"R" or b"W", the volume's uuid, offset and length; a write's bytes follow, a read's come back.
ORDER = struct.Struct(">c32sQQ")
#: The service may be about to start again.
PATIENCE_S = 20.0


@attrs.frozen
class BlobsOptions:
    """The section under `services:`."""

    folder: str = tierce.option(doc="Where the bytes lie.", unit="folder")


@tierce.hookimpl
def tierce_services() -> list[tierce.ServiceDescription]:
    """Name the service."""
    return [
        tierce.ServiceDescription(
            name="blobs",
            summary="Keeps the bytes of volumes of the engine blob.",
            factory="tierce_blobs:Blobs",
            options=BlobsOptions,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Name the engine."""
    return [
        tierce.EngineDescription(
            name="blob",
            summary="Bytes that the service blobs keeps.",
            factory="tierce_blobs:Blob",
            concurrency=tierce.Concurrency.SERIAL,
            contract=2,
        )
    ]


class Blobs(tierce.Service):
    """One file a volume, behind a socket."""

    def run(self) -> None:
        """Answer whoever comes, until told to stop."""
        folder = Path(self.context.options.folder)
        folder.mkdir(parents=True, exist_ok=True)
        with self.context.publish_socket("blobs") as listener:
            listener.setblocking(False)
            while self.context.wait(0.01):
                with contextlib.suppress(BlockingIOError):
                    connection, _ = listener.accept()
                    connection.setblocking(True)
                    threading.Thread(
                        target=self.serve, args=(folder, connection), daemon=True
                    ).start()

    def serve(self, folder: Path, connection: socket.socket) -> None:
        """Answer one engine until it goes."""
        with connection, contextlib.suppress(EOFError, OSError):
            while True:
                kind, uuid, offset, length = ORDER.unpack(receive(connection, ORDER.size))
                path = folder / uuid.decode()
                path.touch()
                with path.open("r+b") as file:
                    file.seek(offset)
                    if kind == b"W":
                        file.write(receive(connection, length))
                        file.flush()
                        connection.sendall(b"\1")
                    else:
                        connection.sendall(file.read(length).ljust(length, b"\0"))


class Blob:
    """One volume, in its target process; its calls come on a thread that may wait."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.context = context
        self.uuid = context.volume.uuid.encode()
        self.connection: socket.socket | None = None

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        order = ORDER.pack(b"R", self.uuid, offset, len(buffer))
        buffer[:] = self.ask(order, len(buffer))

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`."""
        order = ORDER.pack(b"W", self.uuid, offset, len(data))
        self.ask(order + bytes(data), 1)

    def ask(self, order: bytes, length: int) -> bytes:
        """Send an order, again if the service was started anew meanwhile: it can be repeated."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self.connection is None:
                    self.connection = self.context.find_service("blobs")
                    self.connection.setblocking(True)
                self.connection.sendall(order)
                return receive(self.connection, length)
            except (OSError, EOFError, tierce.TemporaryError):
                self.connection = None
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


def receive(connection: socket.socket, length: int) -> bytes:
    """Return so many bytes."""
    parts = []
    while length:
        part = connection.recv(length)
        if not part:
            raise EOFError("the service has gone")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
