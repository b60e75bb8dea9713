"""The HTTP server on loopback, with a site of the test's own."""

from __future__ import annotations

import errno
import http.client
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tierce_exporters.http import serving
from tierce_exporters.http.connection import ANSWER_S, HEAD_S
from tierce_exporters.http.request import Request
from tierce_exporters.http.response import Response, plain
from tierce_exporters.http.serving import HttpServer

WORK = b"GET /work HTTP/1.1\r\nHost: a\r\n\r\n"
FAST = b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT_S = 60.0


class Gate:
    """A site whose work waits until the test lets it go on."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self.rounds: list[int] = []
        self.page = (b"page" * 1000,)

    def answer(self, request: Request) -> Response | None:
        return plain(200, "fast") if request.path == "/fast" else None

    def work(self, requests: Sequence[Request]) -> list[Response]:
        self.rounds.append(len(requests))
        self.began.release()
        assert self.may_go_on.acquire(timeout=WAIT_S)
        response = Response(200, "text/plain", self.page)
        return [response] * len(requests)


class Listener(socket.socket):
    """One that has no descriptor to give while `is_full`."""

    def __init__(self) -> None:
        made = socket.create_server(("127.0.0.1", 0), backlog=serving.BACKLOG)
        super().__init__(fileno=made.detach())
        self.is_full = False
        self.refused = threading.Semaphore(0)

    def accept(self) -> tuple[socket.socket, Any]:
        if self.is_full:
            self.refused.release()
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


class Scene:
    """A server that runs, and clients of it."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.dropped = 0
        self.listener = Listener()
        self.address = self.listener.getsockname()
        self.now = 0.0
        self.server = HttpServer([self.listener], self.gate, self.drop, lambda: self.now)
        self.thread = threading.Thread(target=self.server.run)
        self.clients: list[socket.socket] = []
        self.thread.start()

    def drop(self) -> None:
        self.dropped += 1

    def client(self) -> socket.socket:
        made = socket.create_connection(self.address, timeout=WAIT_S)
        self.clients.append(made)
        return made

    def close(self) -> None:
        for _round in range(200):
            self.gate.may_go_on.release()
        self.server.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        for one in self.clients:
            one.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Read one answer."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response.read()


def fast(client: socket.socket) -> None:
    client.sendall(FAST)
    assert answer(client) == (200, b"fast\n")


def test_a_hundred_who_ask_at_once_cost_two_rounds_of_work(scene: Scene) -> None:
    clients = [scene.client() for _index in range(100)]
    for client in clients:
        fast(client)
    clients[0].sendall(WORK)
    assert scene.gate.began.acquire(timeout=WAIT_S)
    for client in clients[1:]:
        client.sendall(WORK)
    # Answered while the work of the first waits: all were read before.
    fast(scene.client())
    scene.gate.may_go_on.release(2)
    for client in clients:
        assert answer(client) == (200, scene.gate.page[0])
    assert scene.gate.rounds == [1, 99]


def test_who_reads_nothing_holds_up_nobody(scene: Scene) -> None:
    scene.gate.page = (bytes(32 << 20),)
    slow = scene.client()
    slow.sendall(WORK)
    scene.gate.may_go_on.release()
    assert scene.gate.began.acquire(timeout=WAIT_S)
    assert slow.recv(1)
    scene.gate.page = (b"small",)
    other = scene.client()
    other.sendall(WORK)
    scene.gate.may_go_on.release()
    assert answer(other) == (200, b"small")


def filled(scene: Scene) -> list[socket.socket]:
    """Return clients that read nothing more of as many long answers as there may be."""
    clients = []
    for _index in range(serving.ANSWER_COUNT_MAX):
        scene.gate.page = (bytes(32 << 20),)
        client = scene.client()
        client.sendall(WORK)
        scene.gate.may_go_on.release()
        assert client.recv(1)
        clients.append(client)
    return clients


def test_slow_readers_of_old_answers_are_dropped_so_that_memory_is_bounded(scene: Scene) -> None:
    slow = filled(scene)
    scene.now = serving.PATIENCE_S
    other = scene.client()
    other.sendall(WORK)
    scene.gate.may_go_on.release()
    assert other.recv(1)
    assert scene.dropped == 1
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        read_all(slow[0])
    assert read_all(other) >= 32 << 20


def test_who_reads_an_answer_in_time_keeps_it_however_many_ask(scene: Scene) -> None:
    reading = filled(scene)
    scene.gate.page = (b"small",)
    waiting = scene.client()
    waiting.sendall(WORK)
    # By its answer what was sent before is known to have been taken, and does not begin.
    fast(scene.client())
    assert len(scene.gate.rounds) == len(reading)
    assert [read_all(one) >= 32 << 20 for one in reading] == [True] * len(reading)
    scene.gate.may_go_on.release()
    assert answer(waiting) == (200, b"small")
    assert scene.dropped == 0


def read_all(client: socket.socket) -> int:
    """Read what an answer of 32 MiB has left, and return how much that was."""
    count = 0
    while count < 32 << 20:
        data = client.recv(1 << 20)
        if not data:
            raise http.client.IncompleteRead(b"")
        count += len(data)
    return count


def test_a_connection_that_rests_makes_room_for_a_new_one(scene: Scene) -> None:
    first = scene.client()
    fast(first)
    for _index in range(serving.CONNECTION_COUNT_MAX):
        fast(scene.client())
    assert first.recv(1) == b""
    assert scene.dropped == 0


def test_without_room_the_new_connection_is_closed_and_counted(scene: Scene) -> None:
    clients = [scene.client() for _index in range(serving.CONNECTION_COUNT_MAX)]
    for client in clients:
        fast(client)
        client.sendall(FAST + WORK)
        # Once this is answered, the server has the other in its hands too.
        assert answer(client) == (200, b"fast\n")
    assert scene.client().recv(1) == b""
    assert scene.dropped == 1


def test_without_descriptors_new_connections_wait_and_others_are_served(scene: Scene) -> None:
    busy = scene.client()
    busy.sendall(WORK)
    assert scene.gate.began.acquire(timeout=WAIT_S)
    scene.listener.is_full = True
    new = scene.client()
    new.sendall(FAST)
    assert scene.listener.refused.acquire(timeout=WAIT_S)
    scene.gate.may_go_on.release()
    assert answer(busy) == (200, scene.gate.page[0])
    for _index in range(20):
        fast(busy)
    # It is not asked for again and again meanwhile.
    assert not scene.listener.refused.acquire(blocking=False)
    scene.listener.is_full = False
    scene.now += serving.ACCEPT_AGAIN_S
    assert answer(new) == (200, b"fast\n")


def test_who_is_too_slow_with_a_request_is_closed_and_who_waits_for_us_is_not(
    scene: Scene,
) -> None:
    slow, waiting = scene.client(), scene.client()
    for client in (slow, waiting):
        fast(client)
    waiting.sendall(FAST + WORK)
    assert answer(waiting) == (200, b"fast\n")
    slow.sendall(FAST + b"GET /")
    assert answer(slow) == (200, b"fast\n")
    scene.now += HEAD_S
    # The server looks at its clock whenever something happens.
    fast(scene.client())
    assert slow.recv(1) == b""
    scene.gate.may_go_on.release()
    assert answer(waiting) == (200, scene.gate.page[0])


def test_who_does_not_take_an_answer_in_time_is_closed(scene: Scene) -> None:
    scene.gate.page = (bytes(32 << 20),)
    client = scene.client()
    client.sendall(WORK)
    scene.gate.may_go_on.release()
    assert client.recv(1)
    scene.now += ANSWER_S
    fast(scene.client())
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        read_all(client)


def test_a_client_that_resets_its_connection_while_it_is_answered_costs_nothing(
    scene: Scene,
) -> None:
    scene.gate.page = (bytes(32 << 20),)
    client = scene.client()
    client.sendall(WORK)
    scene.gate.may_go_on.release()
    assert client.recv(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    fast(scene.client())


def test_a_wrong_request_gets_its_answer_before_the_end(scene: Scene) -> None:
    client = scene.client()
    client.sendall(b"POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsomething")
    assert answer(client) == (413, b"expected a request without a body\n")
    assert client.recv(1) == b""


def test_a_client_that_goes_away_costs_nothing(scene: Scene) -> None:
    for data in (b"", b"GET /", WORK):
        client = scene.client()
        client.sendall(data)
        client.close()
    scene.gate.may_go_on.release()
    fast(scene.client())
