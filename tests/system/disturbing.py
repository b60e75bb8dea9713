"""What goes wrong around a volume that is seen into: collectors, logs, exporters, who scrapes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from serving.processes import WAIT_S, wait_until
from serving.server import Server
from serving.volumes import jiva
from system.test_trace import tracing

SERVICES = ("service.forward", "service.otlp", "service.prometheus")
SCRAPE_COUNT = 100
#: Of a file system that is full soon.
LOGS_BYTES = 256 << 10
_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#: A slow one takes so little at a time.
_SIP_BYTES, _SIP_S = 16, 0.05

#: What a collector does with a connection until it is closed; the event is set at the end.
Behave = Callable[[socket.socket, threading.Event], None]


def hangs(_near: socket.socket, ended: threading.Event) -> None:
    """Take the connection, and nothing that comes on it."""
    ended.wait()


def is_slow(near: socket.socket, ended: threading.Event) -> None:
    """Take a few bytes at a time, and answer nothing."""
    while near.recv(_SIP_BYTES) and not ended.wait(_SIP_S):
        pass


def refuses(near: socket.socket, _ended: threading.Event) -> None:
    """Say that this is not wanted."""
    near.recv(1)
    near.sendall(_REFUSAL)
    near.shutdown(socket.SHUT_WR)
    while near.recv(1 << 16):
        pass


class Peer:
    """Where exporters send to, on loopback; without a behaviour nobody listens there.

    Attributes:
        port: Of it.
        asked: So many connections came.
    """

    def __init__(self, behave: Behave | None) -> None:
        self._behave = behave
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.asked = 0
        self._ended = threading.Event()
        self._taken: list[socket.socket] = []
        if behave is not None:
            self._listener.listen()
            threading.Thread(target=self._accept, args=(behave,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for one in (self._listener, *self._taken):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self, behave: Behave) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                self._taken.append(near)
                self.asked += 1
                threading.Thread(target=self._serve, args=(behave, near), daemon=True).start()

    def _serve(self, behave: Behave, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near:
            behave(near, self._ended)


def serve(server: Server, peer: Peer) -> str:
    """Serve one volume of three replicas with all exporters; return where metrics are asked for."""
    found = server.folder / "found.json"
    server.configure(
        jiva("demo", "16 MiB"),
        services={
            "prometheus": {"listen": ["127.0.0.1:0"], "discovery_file": str(found)},
            "otlp": {"endpoint": f"http://127.0.0.1:{peer.port}", "protocol": "http/protobuf"},
            "forward": {
                "address": f"127.0.0.1:{peer.port}",
                "records": True,
                # As little as it takes, so that there is soon too much.
                "buffer_count_max": 1000,
            },
        },
    )
    server.run("demo")
    wait_until(server.is_whole, "all replicas are in sync")
    wait_until(found.exists, "metrics can be asked for")
    # What was written before is not sent.
    log = server.data / "logs" / "service.otlp.log"
    wait_until(lambda: "sending to" in log.read_text(), "traces are sent")
    wait_until(lambda: set(SERVICES) <= server.pids().keys(), "all exporters are there")
    (address,) = json.loads(found.read_text())[0]["targets"]
    return str(address)


def scrape(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=WAIT_S) as answer:
        return str(answer.read().decode())


@contextlib.contextmanager
def every_io_slow(server: Server) -> Iterator[None]:
    """Have each I/O followed and called slow meanwhile, as many as there may be."""
    words = ("--every", "1", "--slow-ms", "0.001", "--for", "1h")
    with tracing(server, *words, stdout=subprocess.DEVNULL):
        yield


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Put a file system on the folder that has no byte left. Needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={LOGS_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tierce-test", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Leave no byte free."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(512)):
            pass


@contextlib.contextmanager
def scraped(address: str) -> Iterator[list[bytes]]:
    """Have a hundred ask at once, again and again; yields how each answer begins."""
    ended = threading.Event()
    answers: list[bytes] = []
    asking = threading.Thread(target=_ask, args=(address, answers, ended))
    asking.start()
    try:
        wait_until(lambda: answers, "the first are answered")
        yield answers
    finally:
        ended.set()
        asking.join()


def _ask(address: str, answers: list[bytes], ended: threading.Event) -> None:
    host, _, port = address.rpartition(":")
    while not ended.is_set():
        with contextlib.ExitStack() as stack:
            many = [
                stack.enter_context(socket.create_connection((host, int(port)), WAIT_S))
                for _ in range(SCRAPE_COUNT)
            ]
            for one in many:
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answers.extend(map(_begin, many))


def _begin(one: socket.socket) -> bytes:
    """Read an answer to its end; return its first line."""
    first = b""
    try:
        while data := one.recv(1 << 16):
            first = first or data.partition(b"\r\n")[0]
    except OSError as error:
        return str(error).encode()
    return first


def open_paths(pid: int) -> set[str]:
    """What a process has open, as links of /proc show it."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(link.readlink()))
    return found


def tcp_ports(pid: int) -> set[int]:
    """The ports at both ends of a process's TCP sockets."""
    found = set()
    for row in _sockets(pid, "tcp", 9) + _sockets(pid, "tcp6", 9):
        found |= {int(end.rpartition(":")[2], 16) for end in row[1:3]}
    return found


def control_connections(pid: int) -> list[list[str]]:
    """The Unix connections of a process by which others control it, or it them: SEQPACKET."""
    return [row for row in _sockets(pid, "unix", 6) if row[4:6] == ["0005", "03"]]


def _sockets(pid: int, kind: str, inode_at: int) -> list[list[str]]:
    lines = Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]
    ours = open_paths(pid)
    return [row for row in map(str.split, lines) if f"socket:[{row[inode_at]}]" in ours]
