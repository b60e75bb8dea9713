"""What is sent, over connections that come and go; without sockets and without a clock.

::

    resting --its time has come--> connecting --> connected
       ^                               |              |
       +---- a growing pause ----------+--------------+   refused, closed, late, or not understood

A connection is made when there is something to send. At most `WINDOW` chunks are in flight. When a
connection is over, those are sent again on the next one, with the ids that they had. The pause
begins anew once something was acknowledged, not when a connection is made: a peer that takes
connections and nothing else is not asked more often.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping

import attrs

from tierce import ProtocolError
from tierce_exporters.forward.backlog import Backlog, Kind
from tierce_exporters.forward.messages import Secrets
from tierce_exporters.forward.session import Phase, Session

#: Chunks that are not acknowledged yet.
WINDOW = 8
#: The first pause, and the longest; each is twice the one before, less up to a half at random.
PAUSE_S = 0.5
PAUSE_S_MAX = 30.0


@attrs.frozen(kw_only=True)
class Conduct:
    """How it is sent.

    Attributes:
        tags: What each kind is routed by.
        host: What this end calls itself.
        secrets: What the peer asks for; None: nothing.
        ack_s: A chunk must be acknowledged within this time.
        is_compressed: Chunks are compressed.
    """

    tags: Mapping[Kind, str]
    host: str
    secrets: Secrets | None = None
    ack_s: float
    is_compressed: bool = False


class Sender:
    """Sends a backlog.

    Args:
        conduct: How.
        backlog: What.
        now: The time on any clock that never goes back, in seconds; of all calls.
        chance: For pauses.
        random_bytes: Returns so many random bytes.
    """

    def __init__(
        self,
        conduct: Conduct,
        backlog: Backlog,
        now: float,
        chance: random.Random,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.backlog = backlog
        #: Why the last connection is over; empty once something was acknowledged since.
        self.trouble = ""
        self._conduct = conduct
        self._chance = chance
        self._random_bytes = random_bytes
        self._session: Session | None = None
        self._pause_s = PAUSE_S
        self._connect_at = now
        self._is_connecting = False

    @property
    def is_connected(self) -> bool:
        """True while there is a connection; who has its socket closes it when this is over."""
        return self._session is not None

    @property
    def outgoing(self) -> deque[memoryview]:
        """What is to be sent on the connection."""
        return self._session.outgoing if self._session is not None else deque()

    @property
    def deadline(self) -> float | None:
        """When to call `step` again if nothing happens until then; None if there is no need."""
        if self._session is not None:
            return self._session.deadline
        is_resting = self._is_connecting or not self.backlog
        return None if is_resting else self._connect_at

    def step(self, now: float) -> bool:
        """Do what it is time for; return True if a connection is to be made now."""
        if self._session is not None:
            try:
                self._session.check_time(now)
            except ProtocolError as error:
                self.lost(str(error), now)
            else:
                self._send(self._session, now)
            return False
        if self._is_connecting or not self.backlog or now < self._connect_at:
            return False
        self._is_connecting = True
        return True

    def connected(self, now: float) -> None:
        """The connection that was to be made is there."""
        self._is_connecting = False
        conduct = self._conduct
        self._session = Session(
            now, conduct.host, conduct.secrets, conduct.ack_s, self._random_bytes
        )
        self._send(self._session, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take what has come on the connection."""
        assert self._session is not None, "what came has a connection"
        try:
            done = self._session.receive(data)
        except ProtocolError as error:
            self.lost(str(error), now)
            return
        for chunk_id in done:
            self.backlog.acknowledge(chunk_id)
            self.trouble, self._pause_s = "", PAUSE_S
        self._send(self._session, now)

    def sent(self, count: int) -> None:
        """So many bytes of `outgoing` are sent."""
        assert self._session is not None, "what was sent has a connection"
        self._session.sent(count)

    def lost(self, why: str, now: float) -> None:
        """The connection is over, or can't be made. One that rests may be closed by the peer."""
        session, self._session, self._is_connecting = self._session, None, False
        if session is None or session.phase is not Phase.OPEN or self.backlog.in_flight_count:
            self.trouble = why
        self._connect_at = now + self._pause_s * self._chance.uniform(0.5, 1.0)
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)
        self.backlog.send_again()

    def _send(self, session: Session, now: float) -> None:
        conduct, backlog = self._conduct, self.backlog
        while (
            session.phase is Phase.OPEN and backlog.has_waiting and backlog.in_flight_count < WINDOW
        ):
            chunk = backlog.take()
            tag = conduct.tags[chunk.kind]
            session.send(tag, chunk, now, is_compressed=conduct.is_compressed)
