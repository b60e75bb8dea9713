"""Unix sockets at paths longer than their addresses hold."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tierce import listen_at_path


def connect(path: Path) -> socket.socket:
    folder = os.open(path.parent, os.O_PATH)
    client = socket.socket(socket.AF_UNIX)
    client.connect(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    return client


def test_a_path_of_any_length_is_listened_at_in_place_of_a_dead_one(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    for _start in range(2):
        with listen_at_path(folder / "socket") as listener, connect(folder / "socket") as client:
            accepted, _address = listener.accept()
            accepted.sendall(b"hello")
            assert client.recv(10) == b"hello"
            accepted.close()
    assert [one.name for one in folder.iterdir()] == ["socket"]
