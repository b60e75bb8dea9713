"""One connection on a real loop: order, bounds, and the end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tierce import READABLE
from tierce.volume.epoll import EpollReactor
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.socket_link import SocketLink, format_address, parse_address
from tierce_jiva.wire import Frame, Kind, encode

QUESTION = encode(Kind.FLUSH, 1, NO_BALLOT)
ANSWER = bytes(16 << 10)
LIMIT = 4 * len(ANSWER)


class Side:
    """A link that answers each question with much more than was asked, and a plain peer."""

    def __init__(self, limit: int | None) -> None:
        self.reactor = EpollReactor()
        listener = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(listener.getsockname())
        mine, _ = listener.accept()
        listener.close()
        for one in (mine, self.peer):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)
        # Each question travels at once: the bound is looked at after each receive.
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer.setblocking(False)
        self.answered = 0
        self.ends: list[str] = []
        self.link = SocketLink(
            mine,
            self.reactor,
            received=self.received,
            closed=self.ends.append,
            outgoing_bytes_max=limit,
        )

    def received(self, frames: list[Frame]) -> None:
        for _ in frames:
            self.answered += 1
            self.link.send([ANSWER])

    def turn(self, count: int = 20) -> None:
        """Let the loop go round."""
        for _ in range(count):
            self.reactor.call_soon(self.reactor.stop)
            self.reactor.run()

    def ask(self) -> None:
        self.peer.send(QUESTION)
        self.turn(2)


@pytest.fixture(params=[LIMIT])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    side = Side(request.param)
    yield side
    side.link.close()
    side.peer.close()
    side.reactor.close()


def test_nothing_is_taken_from_a_peer_that_does_not_read(side: Side) -> None:
    for _ in range(100):
        side.ask()
    stopped_at = side.answered
    assert stopped_at < 100
    assert side.link._queued_bytes <= LIMIT + len(ANSWER)
    assert not side.link._events & READABLE
    received = 0
    while received < 100 * len(ANSWER):
        with contextlib.suppress(BlockingIOError):
            received += len(side.peer.recv(1 << 20))
        side.turn(1)
    assert side.answered == 100
    assert side.link._queued_bytes == 0


def test_a_peer_that_hangs_up_is_noticed_while_nothing_is_taken_from_it(side: Side) -> None:
    for _ in range(100):
        side.ask()
    side.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    side.peer.close()
    side.turn(50)
    assert len(side.ends) == 1
    assert not side.link.is_open


def test_what_is_no_frame_ends_the_link(side: Side) -> None:
    side.peer.send(b"x" * 64)
    side.turn()
    assert "not the replica protocol" in side.ends[0]


@pytest.mark.parametrize("address", ["127.0.0.1:3260", "[::1]:3260"])
def test_an_address_is_written_as_it_was_read(address: str) -> None:
    _, name = parse_address(address)
    assert format_address(name) == address
