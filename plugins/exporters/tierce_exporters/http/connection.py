"""One connection of an HTTP server, without its socket and without a clock.

::

    reading --a whole request--> answering --the answer is sent--> reading, or draining
        |                                                             |
        +--time is up--> over                    all is read, or time is up--> over

While a request is answered nothing more is read: who asks faster than it reads has to wait.
Draining is for the last answer: a socket that is closed with unread bytes would be reset, and the
answer lost.
"""

from __future__ import annotations

import enum
from collections import deque

from tierce_exporters.http.request import BadRequestError, Request, RequestParser
from tierce_exporters.http.response import Response, head_of, plain
from tierce_exporters.outgoing import drop_sent

#: So long may a connection rest between two requests: longer than one scrapes.
IDLE_S = 300.0
#: A request that has begun must be whole within this time.
HEAD_S = 10.0
#: An answer must be taken within this time.
ANSWER_S = 30.0
DRAIN_S = 2.0


class Phase(enum.Enum):
    """Where a connection stands."""

    READING = enum.auto()
    #: A request is with who answers it.
    ANSWERING = enum.auto()
    SENDING = enum.auto()
    DRAINING = enum.auto()


class Connection:
    """What has come on a connection, and what is to be sent.

    Args:
        now: The time on any clock that never goes back, in seconds; of all calls.
    """

    def __init__(self, now: float) -> None:
        self.phase = Phase.READING
        #: When it is over if nothing happens until then; None while it waits for us.
        self.deadline: float | None = now + IDLE_S
        #: The answer that is being sent.
        self.response: Response | None = None
        #: What of it is still to be sent.
        self.outgoing: deque[memoryview] = deque()
        self._parser = RequestParser()
        self._request: Request | None = None
        self._keeps_alive = False

    @property
    def is_idle(self) -> bool:
        """True if it has no request under way, not even a part of one."""
        return self.phase is Phase.READING and not self._parser.has_begun

    def receive(self, data: bytes, now: float) -> None:
        """Take what has come; nothing of it matters any more while it drains."""
        if self.phase is Phase.READING:
            if not self._parser.has_begun:
                self.deadline = now + HEAD_S
            self._parser.receive(data)

    def next_request(self, now: float, date: float) -> Request | None:
        """Return a request to `answer`, if one is whole. One that is none is answered here.

        Args:
            now: The time.
            date: The time of day, in seconds since the epoch.
        """
        if self.phase is not Phase.READING:
            return None
        try:
            request = self._parser.next_request()
        except BadRequestError as error:
            self._send(plain(error.status, str(error)), now, date, keeps_alive=False)
            return None
        if request is not None:
            self._request, self.phase, self.deadline = request, Phase.ANSWERING, None
        return request

    def answer(self, response: Response, now: float, date: float) -> None:
        """Answer the request that is under way; times as of `next_request`."""
        request = self._request
        assert request is not None, "what is answered was asked"
        self._send(response, now, date, keeps_alive=request.keeps_alive)

    def sent(self, count: int, now: float) -> None:
        """So many bytes of `outgoing` are sent."""
        drop_sent(self.outgoing, count)
        if not self.outgoing:
            self._finish(now)

    def _send(self, response: Response, now: float, date: float, *, keeps_alive: bool) -> None:
        head = head_of(response, keeps_alive=keeps_alive, now=date)
        is_head = self._request is not None and self._request.method == "HEAD"
        body = () if is_head else response.body
        self.outgoing.extend(memoryview(piece) for piece in (head, *body) if piece)
        self.response = response
        self._keeps_alive = keeps_alive
        self.phase, self.deadline = Phase.SENDING, now + ANSWER_S

    def _finish(self, now: float) -> None:
        self.response = self._request = None
        if not self._keeps_alive:
            self.phase, self.deadline = Phase.DRAINING, now + DRAIN_S
            return
        # A part of the next request may have come before: it has its time from now on.
        pause_s = HEAD_S if self._parser.has_begun else IDLE_S
        self.phase, self.deadline = Phase.READING, now + pause_s
