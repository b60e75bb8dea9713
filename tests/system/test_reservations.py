"""A cluster's fence over everything that starts a target anew; real processes, raw sockets."""

from __future__ import annotations

import signal
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from iscsi.initiator import LOGIN_KEYS, Answer, answers, command, login, write_10
from serving.processes import WAIT_S, wait_until
from serving.server import IQN, Server
from serving.volumes import jiva, volume

pytestmark = pytest.mark.system

GOOD, CONFLICT, RESTARTED = 0, 0x18, (6, 0x2900)
REGISTER, RESERVE, WRITE_EXCLUSIVE = 0, 1, 1


class Node:
    """A cluster's node: one initiator port on one blocking socket."""

    def __init__(self, server: Server, number: int) -> None:
        self.number = 0
        self.key = 0xA0 + number
        self._port = server.port
        self._isid = bytes((0x80, 0, 0, 0, 9, number))
        self._socket = socket.socket()
        self._socket.settimeout(WAIT_S)

    def login(self) -> bool:
        """Log in; False if the target can't be reached yet."""
        self._socket.connect(("127.0.0.1", self._port))
        keys = LOGIN_KEYS | {"TargetName": f"{IQN}:demo"}
        self._socket.sendall(login(keys, isid=self._isid))
        return not self._hear().login_status

    def _hear(self) -> Answer:
        header = self._take(48)
        length = int.from_bytes(header[5:8], "big")
        return answers(header + self._take(length + (-length & 3)))[0]

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the target closed the connection")
            data += piece
        return data

    def do(self, cdb: bytes, data: bytes = b"") -> Answer:
        self.number += 1
        self._socket.sendall(command(cdb, self.number, write=len(data), data=data))
        return self._hear()

    def order(self, action: int, kind: int, key: int, new: int = 0) -> int:
        cdb = struct.pack(">BBB2xIx", 0x5F, action, kind, 24)
        return self.do(cdb, struct.pack(">QQ8x", key, new)).status

    def write(self) -> Answer:
        return self.do(write_10(0, 1), b"n" * 512)

    def close(self) -> None:
        self._socket.close()


Login = Callable[[int], Node]


@pytest.fixture
def node(server: Server) -> Iterator[Login]:
    """Log in as soon as that is possible; every session is closed with the test."""
    made: list[Node] = []

    def log_in(number: int) -> Node:
        def try_it() -> bool:
            made.append(Node(server, number))
            try:
                return made[-1].login()
            except OSError:
                return False

        wait_until(try_it, f"node {number} is logged in")
        return made[-1]

    yield log_in
    for one in made:
        one.close()


def kill_target(server: Server) -> None:
    server.kill(["target.demo"])


def kill_everything(server: Server) -> None:
    server.kill_all()
    server.start()


def stop_and_start(server: Server) -> None:
    server.stop()
    server.start()


def reload_with_another_vendor(server: Server) -> None:
    before = server.pids()["target.demo"]
    server.configure({**jiva("demo"), "frontend_options": {"vendor": "OTHER"}})
    server.send(signal.SIGHUP)
    wait_until(
        lambda: server.pids().get("target.demo", before) != before, "the target was started anew"
    )


@pytest.mark.parametrize(
    "start_anew", [kill_target, kill_everything, stop_and_start, reload_with_another_vendor]
)
def test_whatever_starts_a_target_anew_keeps_the_fence_and_is_told(
    server: Server, node: Login, start_anew: Callable[[Server], None]
) -> None:
    server.configure(jiva("demo"))
    server.start()
    one, two = node(1), node(2)
    assert one.order(REGISTER, 0, 0, one.key) == GOOD
    assert one.order(RESERVE, WRITE_EXCLUSIVE, one.key) == GOOD
    assert two.write().status == CONFLICT
    start_anew(server)
    one, two = node(1), node(2)
    assert two.write().sense == RESTARTED
    assert two.write().status == CONFLICT
    assert one.write().sense == RESTARTED
    assert one.write().status == GOOD
    assert not list((server.data / "volumes/demo/frontend.iscsi").glob("*.new"))


def test_a_deleted_volume_leaves_no_reservation_for_the_next_of_its_name(
    server: Server, node: Login
) -> None:
    server.configure(volume("other", "memory"))
    server.start()
    words = ("volume", "create", "demo", "--size", "8MiB", "--engine", "memory")
    wait_until(lambda: server.command(*words).returncode == 0, "the volume is made")
    one = node(1)
    assert one.order(REGISTER, 0, 0, one.key) == GOOD
    assert one.order(RESERVE, WRITE_EXCLUSIVE, one.key) == GOOD
    assert (server.data / "volumes/demo/frontend.iscsi/reservations").exists()
    assert server.command("volume", "delete", "--yes", "demo").returncode == 0
    assert not (server.data / "volumes/demo").exists()
    assert server.command(*words).returncode == 0
    assert node(2).write().status == GOOD
