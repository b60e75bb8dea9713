"""A slow link: a relay between a target and one replica, which passes on everything later."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from pathlib import Path

CHUNK = 1 << 20


class Relay:
    """Listens in place of a replica, whose address it is told in the file where targets read it.

    Args:
        address: The file in which the replica says where it listens.

    Attributes:
        delay_s: How much later what a target sends comes to the replica.
    """

    def __init__(self, address: Path) -> None:
        self.delay_s = 0.0
        host, _, port = address.read_text().strip().rpartition(":")
        self._replica = host.strip("[]"), int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        address.write_text(f"127.0.0.1:{self._listener.getsockname()[1]}")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._replica)
            except OSError:
                return
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            later: queue.Queue[tuple[float, bytes]] = queue.Queue()
            for work in (
                lambda near=near, later=later: self._take(near, later),
                lambda far=far, later=later: self._give(far, later),
                lambda near=near, far=far: self._answer(far, near),
            ):
                threading.Thread(target=work, daemon=True).start()

    def _take(self, near: socket.socket, later: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"?"
        while data:
            with contextlib.suppress(OSError):
                data = near.recv(CHUNK)
                later.put((time.monotonic() + self.delay_s, data))
                continue
            later.put((0.0, b""))
            return

    def _give(self, far: socket.socket, later: queue.Queue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while True:
                at, data = later.get()
                time.sleep(max(at - time.monotonic(), 0.0))
                if not data:
                    far.shutdown(socket.SHUT_WR)
                    return
                far.sendall(data)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := far.recv(CHUNK):
                near.sendall(data)
