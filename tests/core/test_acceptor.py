"""Accepting within limits."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from core.fake_reactor import FakeReactor
from tierce import Acceptor
from tierce.acceptor import PAUSE_S


class Scene:
    def __init__(self) -> None:
        self.reactor: Any = FakeReactor()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.kept: list[socket.socket] = []
        self.clients: list[socket.socket] = []

    def accept(self, connection: socket.socket) -> bool:
        self.kept.append(connection)
        return True

    def connect(self) -> socket.socket:
        self.clients.append(socket.create_connection(self.address, timeout=5))
        return self.clients[-1]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for one in (made.listener, *made.kept, *made.clients):
        one.close()


def test_one_more_than_may_be_kept_is_closed_until_another_goes(scene: Scene) -> None:
    acceptor = Acceptor(scene.reactor, scene.listener, scene.accept, count_max=1)
    first, second = scene.connect(), scene.connect()
    scene.reactor.turn()
    assert (len(scene.kept), second.recv(1)) == (1, b"")
    assert scene.kept[0].getblocking() is False
    acceptor.release()
    third = scene.connect()
    scene.reactor.turn()
    assert len(scene.kept) == 2
    scene.kept[1].sendall(b"x")
    assert third.recv(1) == b"x"
    acceptor.close()
    acceptor.close()
    assert not scene.reactor.watched
    assert first.fileno() >= 0


def test_without_a_descriptor_the_loop_rests_and_tries_again_later(scene: Scene) -> None:
    class Full:
        """A listener for which there is no descriptor left."""

        def __init__(self, listener: socket.socket) -> None:
            self.listener, self.is_full = listener, True

        def fileno(self) -> int:
            return self.listener.fileno()

        def accept(self) -> Any:
            if self.is_full:
                raise OSError(errno.EMFILE, "Too many open files")
            return self.listener.accept()

        def close(self) -> None:
            self.listener.close()

    full = Full(scene.listener)
    acceptor = Acceptor(scene.reactor, cast("socket.socket", full), scene.accept, count_max=9)
    scene.connect()
    scene.reactor.turn()
    assert not scene.reactor.watched
    full.is_full = False
    scene.reactor.advance(PAUSE_S)
    assert len(scene.kept) == 1
    acceptor.close()
