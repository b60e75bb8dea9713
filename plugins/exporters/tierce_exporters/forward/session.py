"""One connection to a peer, without its socket and without a clock.

::

    greeting --HELO--> knocking --PONG--> open          with a shared key
    open                                                without

While it is open chunks are sent, and each must be acknowledged within a time of its own. Whatever
goes wrong is a ProtocolError: the connection is over then, and who has it closes it.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable

from tierce import ProtocolError
from tierce_exporters.forward.backlog import Chunk
from tierce_exporters.forward.messages import (
    Ack,
    Helo,
    PeerReader,
    Pong,
    Secrets,
    check_pong,
    chunk_message,
    ping,
)
from tierce_exporters.outgoing import drop_sent

#: HELO and PONG must come within this time.
HANDSHAKE_S = 10.0
SALT_BYTES = 16


class Phase(enum.Enum):
    """Where a connection stands."""

    GREETING = enum.auto()
    KNOCKING = enum.auto()
    OPEN = enum.auto()


class Session:
    """What has come on a connection, and what is to be sent.

    Args:
        now: The time on any clock that never goes back, in seconds; of all calls.
        host: What this end calls itself.
        secrets: What the peer asks for; None: it asks for nothing.
        ack_s: A chunk must be acknowledged within this time.
        random_bytes: Returns so many random bytes, for the handshake.
    """

    def __init__(
        self,
        now: float,
        host: str,
        secrets: Secrets | None,
        ack_s: float,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.phase = Phase.OPEN if secrets is None else Phase.GREETING
        #: What is to be sent, in order.
        self.outgoing: deque[memoryview] = deque()
        self._host = host
        self._secrets = secrets
        self._salt = random_bytes(SALT_BYTES)
        self._helo: Helo | None = None
        self._ack_s = ack_s
        self._handshake_at = now + HANDSHAKE_S
        #: By chunk, until when it must be acknowledged; in the order in which they were sent.
        self._due: dict[str, float] = {}
        self._reader = PeerReader()

    @property
    def deadline(self) -> float | None:
        """When it is over if nothing comes until then; None while nothing has to."""
        if self.phase is not Phase.OPEN:
            return self._handshake_at
        return next(iter(self._due.values()), None)

    def receive(self, data: bytes) -> list[str]:
        """Take what has come; return the ids of the chunks that are acknowledged by it.

        Raises:
            ProtocolError: The peer has not done what it should.
        """
        done = []
        for message in self._reader.receive(data):
            match message:
                case Ack(chunk):
                    if self._due.pop(chunk, None) is None:
                        raise ProtocolError(f"the peer acknowledges {chunk[:40]!r}, never sent")
                    done.append(chunk)
                case Helo():
                    self._greet(message)
                case Pong():
                    self._enter(message)
        return done

    def check_time(self, now: float) -> None:
        """Find out whether the peer is late.

        Raises:
            ProtocolError: It is.
        """
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        if self.phase is Phase.GREETING:
            raise ProtocolError(
                f"no HELO within {HANDSHAKE_S:g} s: it asks for no shared key, or speaks something "
                "else"
            )
        if self.phase is Phase.KNOCKING:
            raise ProtocolError(f"no PONG within {HANDSHAKE_S:g} s")
        raise ProtocolError(f"nothing is acknowledged within {self._ack_s:g} s")

    def send(self, tag: str, chunk: Chunk, now: float, *, is_compressed: bool) -> None:
        """Send a chunk; the connection is open."""
        assert self.phase is Phase.OPEN
        message = chunk_message(
            tag, chunk.entries, chunk.count, chunk.id, is_compressed=is_compressed
        )
        self.outgoing.append(memoryview(message))
        self._due[chunk.id] = now + self._ack_s

    def sent(self, count: int) -> None:
        """So many bytes of `outgoing` are sent."""
        drop_sent(self.outgoing, count)

    def _greet(self, helo: Helo) -> None:
        if self._secrets is None:
            raise ProtocolError("the peer asks for a shared key: name it by `shared_key_file`")
        if self.phase is not Phase.GREETING:
            raise ProtocolError("the peer sent a second HELO")
        if helo.auth and not self._secrets.user:
            raise ProtocolError("the peer asks for a user: name it by `user` and `password_file`")
        self._helo, self.phase = helo, Phase.KNOCKING
        self.outgoing.append(memoryview(ping(helo, self._host, self._salt, self._secrets)))

    def _enter(self, pong: Pong) -> None:
        if self.phase is not Phase.KNOCKING:
            raise ProtocolError("the peer sent a PONG that was not asked for")
        assert self._helo is not None and self._secrets is not None  # noqa: PT018
        check_pong(pong, self._helo, self._host, self._salt, self._secrets)
        self.phase = Phase.OPEN
