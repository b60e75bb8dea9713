"""One volume by three front ends at once: iSCSI writes; a stranger's two read beside it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from serving.processes import free_port
from serving.server import Server
from serving.strangers import STRANGERS

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]


class Client:
    """Speaks lines; the server has spoken first."""

    def __init__(self, connection: socket.socket, *said: bytes) -> None:
        self.connection = connection
        self.file = connection.makefile("rwb")
        for line in said:
            assert self.file.readline() == line

    def ask(self, words: bytes, data: bytes = b"") -> bytes:
        self.file.write(words + b"\n" + data)
        self.file.flush()
        answer: bytes = self.file.readline()
        if not answer.startswith(b"ok "):
            return answer
        return self.file.read(int(answer.split()[1]))

    def close(self) -> None:
        self.file.close()
        self.connection.close()


def test_what_one_writes_the_others_read_at_once_and_may_not_change(server: Server) -> None:
    server.install(STRANGERS / "lines")
    port = free_port()
    exports = [
        {"frontend": "iscsi"},
        {"frontend": "lines", "access": "ro"},
        {"frontend": "lines-local", "access": "ro"},
    ]
    where = {"options": {"path": "./demo.img"}}
    local_only = [{"frontend": "lines-local"}]
    server.configure(
        {"name": "demo", "size": "16 MiB", "engine": "file", **where, "exports": exports},
        {"name": "local", "size": "16 MiB", "engine": "memory", "exports": local_only},
        frontends={
            "iscsi": {"listen": [f"127.0.0.1:{server.port}"]},
            "lines": {"listen": [f"127.0.0.1:{port}"]},
        },
    )
    server.run("demo")
    usage = server.shown()["usage"]
    assert usage["url"] == server.url("demo")
    assert usage["lines url"] == f"lines://127.0.0.1:{port}/demo"
    assert (usage["lines access"], usage["lines-local access"]) == ("read only", "read only")
    tcp = Client(socket.create_connection(("127.0.0.1", port), timeout=20), b"which volume? demo\n")
    assert tcp.ask(b"demo") == b"ready 16777216\n"
    unix = socket.socket(socket.AF_UNIX)
    unix.settimeout(20)
    # The path may be longer than an address holds.
    path_of = Path(usage["lines-local url"].removeprefix("unix:"))
    folder = os.open(path_of.parent, os.O_PATH)
    unix.connect(f"/proc/self/fd/{folder}/{path_of.name}")
    os.close(folder)
    local = Client(unix, b"ready 16777216\n")
    session = server.session()
    for round_ in range(1, 20):
        data = bytes([round_]) * 4096
        session.write_now(8192, data)
        for client in (tcp, local):
            assert client.ask(b"READ 8192 4096") == data
            assert client.ask(b"WRITE 8192 4096", bytes(4096)).startswith(b"no ")
    assert session.read_now(8192, 4096) == data
    session.close()
    for client in (tcp, local):
        client.close()
    # Nothing of it goes through the portal, and it is reached all the same.
    assert "volume local: created" in server.said()
    server.stop()
