"""The shell of the HTTP server: sockets, a clock, a thread that serves and one that works.

Connections are served by one thread that never waits for one of them. What takes its time to answer
is worked out on a second thread, for all who asked for it before it began: a hundred who ask at
once cost two rounds of work, and share the bytes of the answers.

Bounds: `CONNECTION_COUNT_MAX` connections (one that rests makes room for a new one),
`ANSWER_COUNT_MAX` different answers that are still being sent (beyond that nothing is worked out
until one is read, or who reads the oldest has had `PATIENCE_S` and is dropped), the time of each
step (`connection`).
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tierce_exporters.http.connection import ANSWER_S, Connection, Phase
from tierce_exporters.http.request import Request
from tierce_exporters.http.response import Response

CONNECTION_COUNT_MAX = 128
ANSWER_COUNT_MAX = 4
#: Who takes longer to read an answer keeps others waiting no more: half of what they wait.
PATIENCE_S = 5.0
#: In the queue of the kernel, before they are accepted.
BACKLOG = 128
RECEIVE_BYTES = 8192
#: Without a descriptor to spare new connections wait for so long, in seconds.
ACCEPT_AGAIN_S = 1.0
#: Sent to one connection before others have their turn.
SEND_BYTES = 256 << 10


class Site(Protocol):
    """What is served."""

    def answer(self, request: Request) -> Response | None:
        """Return the answer at once, or None: then it is work."""
        ...

    def work(self, requests: Sequence[Request]) -> list[Response]:
        """Return the answers to requests, in their order; on the working thread."""
        ...


class HttpServer:
    """Serves a site until it is stopped.

    Args:
        listeners: They listen; the server's from now on.
        site: What is served.
        dropped: Called with each connection that is dropped for want of room.
        clock: Returns the time, in seconds, on a clock that never goes back.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        site: Site,
        dropped: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._dropped = dropped
        self._clock = clock
        self._listeners = listeners
        self._selector = selectors.DefaultSelector()
        self._connections: dict[socket.socket, Connection] = {}
        #: Who asked for what is worked out, in the order in which they did.
        self._asked: list[tuple[socket.socket, Request]] = []
        self._is_working = self._is_stopping = False
        #: When new connections are taken again; None while they are.
        self._accepts_at: float | None = None
        #: When there is room for another answer at the latest; None while nobody waits for that.
        self._works_at: float | None = None
        self._jobs: queue.SimpleQueue[list[tuple[socket.socket, Request]] | None]
        self._jobs = queue.SimpleQueue()
        self._done: queue.SimpleQueue[list[tuple[socket.socket, Response]]] = queue.SimpleQueue()
        self._woken, self._waker = socket.socketpair()
        for each in (*listeners, self._woken):
            each.setblocking(False)
            self._selector.register(each, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve, until `stop`."""
        worker = threading.Thread(target=self._work, name="http-work", daemon=True)
        worker.start()
        try:
            while not self._is_stopping:
                for key, _events in self._selector.select(self._pause_s()):
                    self._turn(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
                self._end_late()
                self._start_work()
        finally:
            self._jobs.put(None)
            for each in (*self._connections, *self._listeners, self._woken, self._waker):
                each.close()
            self._selector.close()

    def stop(self) -> None:
        """Have `run` end; from any thread."""
        self._is_stopping = True
        self._wake()

    # -- on the serving thread ---------------------------------------------------------------------

    def _turn(self, ready: socket.socket) -> None:
        if ready is self._woken:
            self._woken.recv(RECEIVE_BYTES)
            self._give_answers()
        elif ready in self._listeners:
            self._accept(ready)
        elif (connection := self._connections.get(ready)) is not None:
            self._move(ready, connection)

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # It went away again.
        except OSError:
            # There is no descriptor: those that rest have some. Where none does it is not asked
            # for again and again: the new connection waits in the kernel.
            if not self._make_room(0):
                self._pause_accepting()
            return
        self._make_room(CONNECTION_COUNT_MAX - 1)
        if len(self._connections) >= CONNECTION_COUNT_MAX:
            self._dropped()
            accepted.close()
            return
        accepted.setblocking(False)
        # Else the end of an answer waits 40 ms for the other side to acknowledge its beginning.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[accepted] = Connection(self._clock())
        self._selector.register(accepted, selectors.EVENT_READ)

    def _make_room(self, count_max: int) -> bool:
        """Close one connection that rests, the one that has for longest, if there are more; return
        whether one was closed."""
        idle = [one for one, connection in self._connections.items() if connection.is_idle]
        if len(self._connections) <= count_max or not idle:
            return False
        self._close(min(idle, key=lambda one: self._connections[one].deadline or 0.0))
        return True

    def _pause_accepting(self) -> None:
        if self._accepts_at is None:
            self._accepts_at = self._clock() + ACCEPT_AGAIN_S
            for one in self._listeners:
                self._selector.unregister(one)

    def _accept_again(self, now: float) -> None:
        if self._accepts_at is not None and self._accepts_at <= now:
            self._accepts_at = None
            for one in self._listeners:
                self._selector.register(one, selectors.EVENT_READ)

    def _move(self, ready: socket.socket, connection: Connection) -> None:
        now = self._clock()
        try:
            if connection.phase is Phase.SENDING:
                connection.sent(ready.send(connection.outgoing[0][:SEND_BYTES]), now)
            else:
                data = ready.recv(RECEIVE_BYTES)
                if not data:
                    self._close(ready)
                    return
                connection.receive(data, now)
        except BlockingIOError:
            return
        except OSError:
            self._close(ready)
            return
        self._serve(ready, connection)

    def _serve(self, ready: socket.socket, connection: Connection) -> None:
        """Answer what is whole, and watch for what comes next."""
        now = self._clock()
        request = connection.next_request(now, time.time())
        if request is not None:
            response = self._site.answer(request)
            if response is None:
                self._asked.append((ready, request))
            else:
                connection.answer(response, now, time.time())
        self._watch(ready, connection)

    def _watch(self, ready: socket.socket, connection: Connection) -> None:
        if connection.phase is Phase.SENDING:
            self._selector.modify(ready, selectors.EVENT_WRITE)
            return
        if connection.phase is Phase.DRAINING:
            try:
                ready.shutdown(socket.SHUT_WR)
            except OSError:
                self._close(ready)
                return
        if connection.phase is Phase.ANSWERING:
            # Whoever hangs up meanwhile is found out when it is answered.
            self._selector.unregister(ready)
        else:
            self._selector.modify(ready, selectors.EVENT_READ)

    def _pause_s(self) -> float | None:
        times = (
            self._accepts_at,
            self._works_at,
            *(one.deadline for one in self._connections.values()),
        )
        deadlines = [one for one in times if one is not None]
        return max(0.0, min(deadlines) - self._clock()) if deadlines else None

    def _end_late(self) -> None:
        now = self._clock()
        self._accept_again(now)
        for each, connection in list(self._connections.items()):
            if connection.deadline is not None and connection.deadline <= now:
                self._close(each)

    def _close(self, connection: socket.socket) -> None:
        if self._connections.pop(connection).phase is not Phase.ANSWERING:
            self._selector.unregister(connection)
        connection.close()

    def _start_work(self) -> None:
        if self._is_working or not self._asked or not self._has_room():
            return
        self._jobs.put(self._asked)
        self._asked, self._is_working = [], True

    def _has_room(self) -> bool:
        """Return whether another answer may be worked out. Who reads the oldest is dropped for it,
        but not before having had the time."""
        sending = {
            one: connection
            for one, connection in self._connections.items()
            if connection.phase is Phase.SENDING
        }
        answers = {id(one.response): one.deadline or 0.0 for one in sending.values()}
        self._works_at = None
        if len(answers) < ANSWER_COUNT_MAX:
            return True
        oldest = min(answers, key=lambda each: answers[each])
        room_at = answers[oldest] - ANSWER_S + PATIENCE_S
        if room_at > self._clock():
            self._works_at = room_at
            return False
        for each, connection in sending.items():
            if id(connection.response) == oldest:
                self._dropped()
                self._close(each)
        return True

    def _give_answers(self) -> None:
        while not self._done.empty():
            self._is_working = False
            for each, response in self._done.get():
                connection = self._connections[each]
                self._selector.register(each, selectors.EVENT_WRITE)
                connection.answer(response, self._clock(), time.time())

    # -- on the working thread ---------------------------------------------------------------------

    def _work(self) -> None:
        while (asked := self._jobs.get()) is not None:
            responses = self._site.work([request for _who, request in asked])
            answers = [(who, each) for (who, _request), each in zip(asked, responses, strict=True)]
            self._done.put(answers)
            self._wake()

    def _wake(self) -> None:
        # The server may have ended meanwhile.
        with contextlib.suppress(OSError):
            self._waker.send(b"!")
