"""Control messages between the processes of one machine.

One JSON object per packet of a Unix SOCK_SEQPACKET socket, descriptors beside it (SCM_RIGHTS).
The sockets lie in a folder that only their owner may enter: whoever can connect may command.

- A request is `{"do": VERB, "id": N, ...}`; its answer `{"id": N, "ok": {...}}` or
  `{"id": N, "error": TEXT}`. A request without id wants no answer.
- Before its answer a request may bring rows: `{"id": N, "row": {...}}`.
- What nobody asked for is `{"event": {...}}`, `{"phase": TEXT}` and `{"facts": {...}}`, to who has
  subscribed.
"""

from __future__ import annotations

import array
import collections
import json
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tierce.errors import ProtocolError
from tierce.process.descriptors import Door
from tierce.reactor import READABLE, WRITABLE, Reactor

#: A packet. Below the send buffer that Linux gives a Unix socket (net.core.wmem_default, 208 KiB).
MESSAGE_BYTES_MAX = 128 << 10
#: Descriptors in one packet; more are closed by the kernel.
DESCRIPTOR_COUNT_MAX = 2
#: Messages that wait for a peer that does not read; one more ends the connection.
QUEUE_COUNT_MAX = 8192
#: Messages taken from one peer before another has its turn.
TURN_COUNT_MAX = 64
#: Connections accepted before anything else has its turn.
ACCEPT_COUNT_MAX = 64

_ANCILLARY_BYTES = socket.CMSG_LEN(DESCRIPTOR_COUNT_MAX * array.array("i").itemsize)

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """Return a message as a packet.

    Raises:
        ProtocolError: It is too long.
    """
    # What is no JSON value in an event's fields is a plugin's mistake, and told as text.
    data = json.dumps(message, separators=(",", ":"), default=str).encode()
    if len(data) > MESSAGE_BYTES_MAX:
        raise ProtocolError(
            f"a control message of {len(data)} bytes; {MESSAGE_BYTES_MAX} are allowed"
        )
    return data


def decode(data: bytes) -> Message:
    """Return the message in a packet.

    Raises:
        ProtocolError: It is not a JSON object.
    """
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a control message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a control message is not a JSON object")
    return message


def send(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send one packet; raises BlockingIOError where the peer does not read."""
    rights = array.array("i", descriptors)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
    connection.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)


def receive(connection: socket.socket) -> tuple[Message, list[int]] | None:
    """Take one packet and its descriptors (the caller's now); None at the end.

    Raises:
        ProtocolError: It is no message; its descriptors are closed.
        OSError: As recvmsg.
    """
    data, ancillary, _flags, _address = connection.recvmsg(
        MESSAGE_BYTES_MAX, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
    )
    descriptors = _descriptors(ancillary) if ancillary else []
    if not data:
        close_all(descriptors)
        return None
    try:
        return decode(data), descriptors
    except ProtocolError:
        close_all(descriptors)
        raise


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    for descriptor in descriptors:
        os.close(descriptor)


def _copy_all(descriptors: Sequence[int]) -> list[int]:
    """Return copies, because the caller closes its own."""
    copies: list[int] = []
    try:
        copies.extend(map(os.dup, descriptors))
    except OSError as error:
        close_all(copies)
        raise ProtocolError(f"no descriptor is left: {error.strerror}") from error
    return copies


class Peer:
    """One control connection on a loop: messages out through a queue, in by a callback.

    Args:
        reactor: The loop.
        connection: A connected socket; the peer's from now on.
        received: Called with each message and its descriptors, which are its own to close.
        lost: Called once when the other side has gone; not after `close`.
    """

    def __init__(
        self,
        reactor: Reactor,
        connection: socket.socket,
        received: Callable[[Peer, Message, list[int]], None],
        lost: Callable[[Peer], None],
    ) -> None:
        self._reactor = reactor
        self._connection = connection
        self._received = received
        self._lost = lost
        self._queue: collections.deque[tuple[bytes, list[int]]] = collections.deque()
        self._answers: dict[int, Callable[[Message], None]] = {}
        self._rows: dict[int, Callable[[Message], None]] = {}
        self._next_id = 0
        self.is_open = True
        self.is_subscribed = False
        connection.setblocking(False)
        reactor.watch(connection.fileno(), READABLE, self._ready)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message. The descriptors stay the caller's. Harmless after the end.

        Raises:
            ProtocolError: It is too long, or there are no descriptors for it to wait with.
        """
        if not self.is_open:
            return
        data = encode(message)
        if not self._queue:
            try:
                send(self._connection, data, descriptors)
            except BlockingIOError:
                pass
            except OSError:
                self._end()
                return
            else:
                return
        if len(self._queue) >= QUEUE_COUNT_MAX:
            self._end()
            return
        self._queue.append((data, _copy_all(descriptors)))
        self._reactor.watch(self._connection.fileno(), READABLE | WRITABLE, self._ready)

    def ask(
        self,
        message: Message,
        answered: Callable[[Message], None],
        descriptors: Sequence[int] = (),
        *,
        row: Callable[[Message], None] | None = None,
    ) -> int:
        """Send a request; `answered` gets the answer, or an error when the peer goes first, and
        `row` what comes before. Returns its number.

        Raises:
            ProtocolError: As `send`; then it is not answered.
        """
        self._next_id = number = self._next_id + 1
        self._answers[number] = answered
        if row is not None:
            self._rows[number] = row
        try:
            self.send({**message, "id": number}, descriptors)
        except ProtocolError:
            del self._answers[number]
            self._rows.pop(number, None)
            raise
        if not self.is_open:
            self._fail_answers()
        return number

    def drain(self) -> None:
        """Take everything that has arrived, now: for the last words of a process that ended."""
        while self.is_open and self._read():
            pass

    def close(self) -> None:
        """Hang up; nothing is called any more. Harmless twice."""
        if not self.is_open:
            return
        self.is_open = False
        self._reactor.unwatch(self._connection.fileno())
        self._connection.close()
        for _data, descriptors in self._queue:
            close_all(descriptors)
        self._queue.clear()

    def _ready(self, events: int) -> None:
        if events & WRITABLE:
            self._flush()
        # What is neither (EPOLLHUP, EPOLLERR) shows itself by reading.
        if self.is_open and events & ~WRITABLE:
            self._read()

    def _read(self) -> bool:
        """Take one message; return True if there may be more. The loop comes again for the next:
        to look for it here would cost each message, mostly the only one, a call in vain."""
        try:
            packet = receive(self._connection)
        except BlockingIOError:
            return False
        except (OSError, ProtocolError):
            packet = None
        if packet is None:
            self._end()
            return False
        message, descriptors = packet
        if "do" not in message and "id" in message:
            close_all(descriptors)
            self._answer(message)
        else:
            self._received(self, message, descriptors)
        return True

    def _answer(self, message: Message) -> None:
        number = message["id"]
        if "row" in message:
            if number in self._rows:
                self._rows[number](message)
            return
        self._rows.pop(number, None)
        answered = self._answers.pop(number, None)
        if answered is not None:
            answered(message)

    def _flush(self) -> None:
        while self._queue:
            data, descriptors = self._queue[0]
            try:
                send(self._connection, data, descriptors)
            except BlockingIOError:
                return
            except OSError:
                self._end()
                return
            self._queue.popleft()
            close_all(descriptors)
        self._reactor.watch(self._connection.fileno(), READABLE, self._ready)

    def _end(self) -> None:
        if self.is_open:
            self.close()
            self._fail_answers()
            self._lost(self)

    def _fail_answers(self) -> None:
        waiting, self._answers = self._answers, {}
        self._rows.clear()
        for answered in waiting.values():
            answered({"error": "the process has gone"})


#: What carries out a request: (message, descriptors) -> the answer's values. It owns the
#: descriptors. A TierceError becomes the answer's error.
Command = Callable[[Message, list[int]], Message]


class ControlServer:
    """Answers requests on a listening socket, and tells those who subscribed.

    Args:
        reactor: The loop.
        listener: From `paths.listen`; the server's from now on.
        handle: Called with the peer, the message and its descriptors, which it owns.
        lost: Called with a peer that has gone.
    """

    #: Peers at once; one more is turned away.
    PEER_COUNT_MAX = 1024

    def __init__(
        self,
        reactor: Reactor,
        listener: socket.socket,
        handle: Callable[[Peer, Message, list[int]], None],
        lost: Callable[[Peer], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._listener = listener
        self._handle = handle
        self._lost = lost
        self._peers: set[Peer] = set()
        self._door = Door()
        reactor.watch(listener.fileno(), READABLE, self._accept)

    def add(self, connection: socket.socket) -> Peer:
        """Serve a connection that was made elsewhere."""
        peer = Peer(self._reactor, connection, self._handle, self._forget)
        self._peers.add(peer)
        return peer

    def tell(self, message: Message) -> bool:
        """Send a message to every subscriber; return True if there was one."""
        subscribers = [peer for peer in self._peers if peer.is_subscribed]
        for peer in subscribers:
            peer.send(message)
        return bool(subscribers)

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        self._reactor.unwatch(self._listener.fileno())
        self._listener.close()
        self._door.close()
        for peer in list(self._peers):
            peer.close()
        self._peers.clear()

    def _forget(self, peer: Peer) -> None:
        self._peers.discard(peer)
        if self._lost is not None:
            self._lost(peer)

    def _accept(self, _events: int) -> None:
        # Some at once: each login at the portal comes as one, and its socket holds some hundreds.
        for _count in range(ACCEPT_COUNT_MAX):
            try:
                accepted = self._door.accept(self._listener)
            except OSError:
                self._door.turn_away(self._listener)
                return
            if accepted is None:
                return
            if len(self._peers) >= self.PEER_COUNT_MAX:
                accepted[0].close()
            else:
                self.add(accepted[0])
