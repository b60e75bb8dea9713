"""A server of which only its answers are there, written before anybody asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

from tierce.process.messages import Message, encode, receive, send
from tierce.process.paths import Paths, listen


class ScriptedServer:
    """Answers one connection after another, each with its replies, and notes what was asked.

    A reply that is bytes is sent as it is; what follows the last reply is the end of the server.

    Args:
        data: The data folder.
        scripts: The replies to each connection's request.
    """

    def __init__(self, data: Path, *scripts: list[Message | bytes]) -> None:
        paths = Paths(data)
        paths.make()
        self.asked: list[dict[str, Any]] = []
        self._listener = listen(paths.socket("serve"))
        self._listener.setblocking(True)
        self._scripts = scripts
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, and wait for it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.setblocking(True)
                packet = receive(connection)
                if packet is None:
                    continue
                self.asked.append(packet[0])
                # Who asked may have hung up.
                with contextlib.suppress(OSError):
                    for reply in script:
                        one = reply if isinstance(reply, bytes) else encode({"id": 1, **reply})
                        send(connection, one)
