"""One connection on a real loop: order, bounds, and the end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from tierce import READABLE
from tierce.process.epoll import EpollReactor
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.socket_link import SocketLink, tune
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


def test_nothing_is_received_while_a_link_is_paused_and_all_of_it_after(side: Side) -> None:
    side.link.pause()
    for _ in range(3):
        side.ask()
    assert side.answered == 0
    side.link.send([b"x"])
    side.turn()
    assert side.answered == 0, "what is sent meanwhile changes nothing"
    assert side.peer.recv(1) == b"x"
    side.link.resume()
    side.turn()
    assert side.answered == 3


def test_a_connection_that_breaks_while_a_link_is_paused_ends_it(side: Side) -> None:
    side.link.pause()
    side.ask()
    side.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    side.peer.close()
    side.turn(50)
    assert side.ends == ["connection broken"]
    assert side.answered == 0


class Pair:
    """A link over TCP, and a plain peer that sends questions."""

    def __init__(self, *, ends_at_hangup: bool = False) -> None:
        self.reactor = EpollReactor()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.peer = socket.create_connection(listener.getsockname())
            mine, _ = listener.accept()
        self.frames: list[int] = []
        self.ends: list[str] = []
        self.link = SocketLink(
            mine,
            self.reactor,
            received=lambda frames: self.frames.extend(frame.sequence for frame in frames),
            closed=self.ends.append,
            ends_at_hangup=ends_at_hangup,
        )

    def turn(self, count: int = 10) -> None:
        for _ in range(count):
            self.reactor.call_soon(self.reactor.stop)
            self.reactor.run()

    def close(self) -> None:
        self.link.close()
        self.peer.close()
        self.reactor.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


@pytest.fixture
def strict() -> Iterator[Pair]:
    """A link that takes nothing more once the other side has hung up."""
    pair = Pair(ends_at_hangup=True)
    yield pair
    pair.close()


def receive_all(peer: socket.socket, count: int, turn: Callable[[], None]) -> bytes:
    """Return so many bytes, while the link's loop goes round."""
    peer.setblocking(False)
    received = bytearray()
    while len(received) < count:
        with contextlib.suppress(BlockingIOError):
            received += peer.recv(1 << 20)
        turn()
    return bytes(received)


def hang_up(peer: socket.socket) -> None:
    peer.sendall(QUESTION)
    peer.close()


def half_close(peer: socket.socket) -> None:
    peer.sendall(QUESTION)
    peer.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("end", [hang_up, half_close])
def test_what_a_peer_had_sent_when_it_hung_up_is_taken(
    pair: Pair, end: Callable[[socket.socket], None]
) -> None:
    end(pair.peer)
    pair.turn()
    assert pair.frames == [1]
    assert pair.ends == ["closed by the other side"]


@pytest.mark.parametrize("end", [hang_up, half_close])
def test_what_a_peer_had_sent_when_it_hung_up_is_dropped_where_it_has_given_it_up(
    strict: Pair, end: Callable[[socket.socket], None]
) -> None:
    end(strict.peer)
    strict.turn()
    assert strict.frames == []
    assert strict.ends == ["closed by the other side"]
    assert not strict.link.is_open


def test_what_came_before_the_hangup_was_seen_is_taken(strict: Pair) -> None:
    strict.peer.sendall(QUESTION)
    strict.turn()
    strict.peer.close()
    strict.turn()
    assert strict.frames == [1]
    assert len(strict.ends) == 1


def test_what_is_sent_arrives_in_order_however_much_and_in_however_many_pieces(
    pair: Pair,
) -> None:
    pieces: list[bytes | memoryview] = [b"%06d" % number for number in range(3000)]
    large = memoryview(bytes(range(256)) * (64 << 10))
    pair.link.send(pieces)
    pair.link.send([large])
    pair.link.send([b"end"])
    wanted = b"".join(bytes(piece) for piece in [*pieces, large, b"end"])
    assert receive_all(pair.peer, len(wanted), lambda: pair.turn(1)) == wanted
    assert pair.ends == []


def test_a_link_that_is_closed_sends_and_tells_nothing(pair: Pair) -> None:
    pair.peer.sendall(QUESTION)
    pair.link.close()
    pair.link.close()
    pair.link.send([b"too late"])
    pair.turn()
    assert (pair.frames, pair.ends) == ([], [])


def reset(peer: socket.socket) -> None:
    """Close it so that the other side's next send or receive fails."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def test_a_send_that_fails_is_told_from_the_loop_and_once(pair: Pair) -> None:
    pair.link._socket.shutdown(socket.SHUT_WR)
    pair.link.send([b"x"])
    pair.link.send([b"x"])
    assert pair.ends == [], "whoever sends is in the midst of something"
    pair.turn()
    assert pair.ends == ["can't send: Broken pipe"]


def test_a_connection_that_breaks_is_told(pair: Pair) -> None:
    reset(pair.peer)
    pair.turn()
    assert pair.ends == ["connection broken: Connection reset by peer"]


def test_what_is_queued_on_a_connection_that_breaks_is_dropped(pair: Pair) -> None:
    pair.link.send([memoryview(bytes(64 << 20))])
    assert pair.link._queued_bytes
    reset(pair.peer)
    pair.turn(50)
    assert len(pair.ends) == 1
    assert pair.link._queued_bytes == 0


def connecting(address: tuple[str, int]) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        connection.connect(address)
    return connection


def test_what_is_sent_while_it_connects_is_sent_when_it_has(pair: Pair) -> None:
    notes: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = SocketLink(
            connecting(listener.getsockname()),
            pair.reactor,
            received=lambda _frames: None,
            closed=notes.append,
            connected=lambda: notes.append("connected"),
        )
        link.send([b"first ", b"second"])
        assert notes == []
        pair.turn()
        assert notes == ["connected"]
        accepted, _ = listener.accept()
        with accepted:
            assert receive_all(accepted, 12, lambda: pair.turn(1)) == b"first second"
        link.close()


def test_a_connection_that_is_refused_is_told(pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = listener.getsockname()
    ends: list[str] = []
    SocketLink(
        connecting(nowhere),
        pair.reactor,
        received=lambda _frames: None,
        closed=ends.append,
        connected=lambda: ends.append("connected"),
    )
    pair.turn()
    assert ends == ["can't connect: Connection refused"]


def test_a_path_that_swallows_what_is_sent_is_noticed_as_soon_as_silence() -> None:
    # A keepalive is only sent where nothing is on its way: else TCP tries for a quarter of an hour.
    with socket.socket() as connection:
        tune(connection)
        idle_s, count, interval_s, bytes_ms = (
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPCNT,
                socket.TCP_KEEPINTVL,
                socket.TCP_USER_TIMEOUT,
            )
        )
    assert bytes_ms == 1000 * (idle_s + count * interval_s)
