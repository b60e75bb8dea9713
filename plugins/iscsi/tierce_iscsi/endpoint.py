"""The shell around one connection: a socket on the target's loop.

**Turns.** What one connection has sent is dealt with for `TURN_NS`, then the loop goes on with the
others and comes back: a socket full of commands holds up nobody else. What the device has finished
is answered at once, but no new command is begun from within its call.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from tierce import READABLE, WRITABLE, ProtocolError, Reactor, Stage, Timer
from tierce_iscsi.buffers import Region
from tierce_iscsi.connection import TURN_NS, Connection
from tierce_iscsi.connection_router import Handed
from tierce_iscsi.login import Login, LoginRefusedError
from tierce_iscsi.options import IscsiOptions
from tierce_iscsi.output import Output, Unsent
from tierce_iscsi.pdu import LOGIN_SEGMENT_BYTES_MAX, LoginStatus, take_pdu
from tierce_iscsi.session import Cause
from tierce_iscsi.session_events import SessionEvents
from tierce_iscsi.slices import Slices
from tierce_iscsi.stream import DigestError

#: Read at once while the login lasts.
LOGIN_READ_BYTES = 16 << 10
#: A peer whose machine is gone: its connection ends after so long without an acknowledgement.
USER_TIMEOUT_MS = 30_000
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 15, 5, 3
#: So often is anything sent for one connection in one go.
SEND_COUNT_MAX = 8
assert (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_COUNT) * 1000 <= USER_TIMEOUT_MS


class Target(Protocol):
    """What an endpoint belongs to.

    Attributes:
        alias: What people call it.
        options: Those of now: they may change.
        reactor: Its loop.
        slices: What goes on when others have had their turn.
        events: What is told of its sessions.
        send_stage: Where it counts how long answers wait to be sent.
    """

    alias: str
    options: IscsiOptions
    reactor: Reactor
    slices: Slices
    events: SessionEvents
    send_stage: Stage

    def admit(self, endpoint: Endpoint) -> None:
        """A login is done: `welcome` it, at once or later, or `refuse` it."""
        ...

    def gone(self, endpoint: Endpoint, reason: str, cause: Cause) -> None:
        """An endpoint has closed; its requests may still be in the device."""
        ...


class Endpoint:
    """One initiator's socket, from the portal's handover to its end.

    Args:
        target: What takes its login, and hears of its end.
        connection: Non-blocking; the endpoint's from now on.
        handed: What the connection router read.
    """

    def __init__(self, target: Target, connection: socket.socket, handed: Handed) -> None:
        self._target = target
        self.login = Login(handed.stat_sn, handed.text, target.alias)
        #: Set when the login is done.
        self.connection: Connection | None = None
        self.is_closed = self.is_refused = False
        self.remote = _address(connection.getpeername)
        self._socket = connection
        self._reactor = target.reactor
        self._buffer = bytearray(handed.data)
        self._output: Output[None] = Output(_sent)
        self._unsent: Unsent | None = None
        self._events = 0
        #: The login is done and waits for what the session before it has left.
        self._is_waiting = False
        #: In `_pump`, or to be there again soon.
        self._is_pumping = self._is_due = False
        #: What it had done, and what was first to be sent to it, at the last look.
        self._pdu_count = 0
        self._head: bytes | memoryview | None = None
        self._is_pinged = False
        self._timer: Timer = self._reactor.call_later(
            target.options.login_timeout_s, self._login_expired
        )
        _set_options(connection)

    @property
    def key(self) -> tuple[str, bytes]:
        """The initiator port that logs in: a session of the same is replaced."""
        request = self.login.request
        assert request is not None, "asked when the login is done"
        return self.login.negotiation.initiator_name, request.isid

    @property
    def local(self) -> tuple[str, int]:
        """The address that the initiator used."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Go on with what the connection router read."""
        self._guard(self._take_login)

    # -- login -------------------------------------------------------------------------------------

    def _take_login(self) -> None:
        try:
            while not self._is_waiting:
                pdu = take_pdu(self._buffer, LOGIN_SEGMENT_BYTES_MAX)
                if pdu is None:
                    break
                response = self.login.take(pdu)
                if response:
                    self._output.push(response)
                if self.login.is_done:
                    # Nothing is read until the session that this one replaces has ended.
                    self._is_waiting = True
                    self._target.admit(self)
        except LoginRefusedError as error:
            self.refuse(error.status, str(error))
        if not self.is_closed:
            self._send(self._pending())

    def _login_expired(self) -> None:
        if self._is_waiting:
            self.refuse(LoginStatus.SERVICE_UNAVAILABLE, "the session before it is not over yet")
        else:
            self.close("its login took too long", Cause.SILENT)

    def refuse(self, status: LoginStatus, reason: str) -> None:
        """Answer the login with this status and close."""
        if self.is_closed:
            return
        self.is_refused = True
        self._target.events.refused(
            self.login.negotiation.initiator_name, self.remote, status, reason
        )
        if self.login.request is not None:
            self._output.push(self.login.refusal(status))
            with contextlib.suppress(OSError):
                self._send(self._output)
        self.close(reason, Cause.TARGET)

    def welcome(self, connection: Connection) -> None:
        """The login is done and the session is this one's: enter the full feature phase."""
        self._timer.cancel()
        session, stream = connection.session, connection.stream
        stream.arrived_ns = self._reactor.woke_ns
        stream.output.push(self.login.welcome(session.tsih, session.queue_depth))
        session.stat_sn = self.login.stat_sn
        self.connection = connection
        self._unsent = Unsent(self._target.send_stage, connection.clock_ns)
        self._is_waiting = False
        interval_s = self._target.options.nop_interval_s
        self._timer = self._reactor.call_later(interval_s, self._tick)
        rest, self._buffer = self._buffer, bytearray()
        if rest:
            window = stream.receive_window()
            assert window is not None, "nothing is in the way of the first PDU"
            window[: len(rest)] = rest
            stream.received(len(rest))
        self._guard(self._pump)

    # -- the loop's calls --------------------------------------------------------------------------

    def _guard(self, step: Callable[[], None]) -> None:
        """Take a step; whatever the peer sent, at worst this connection ends."""
        try:
            step()
        except ProtocolError as error:
            with contextlib.suppress(OSError):
                self._send(self._pending())
            cause = Cause.DIGEST if isinstance(error, DigestError) else Cause.PROTOCOL
            self.close(str(error), cause)
        except OSError as error:
            self.close(error.strerror or str(error), Cause.BROKEN)
        if not self.is_closed:
            self._update()

    def _ready(self, events: int) -> None:
        if events == READABLE == self._events:
            self._guard(self._receive)
            return
        if events & WRITABLE:
            self._guard(self._flush)
        if self.is_closed:
            return
        if events & READABLE and self._events & READABLE:
            self._guard(self._receive)
        elif events & ~(READABLE | WRITABLE):
            # Said even to those that do not listen, again and again.
            self.close("the connection broke", Cause.BROKEN)

    def _receive(self) -> None:
        connection = self.connection
        try:
            if connection is None:
                data = self._socket.recv(LOGIN_READ_BYTES)
                if not data:
                    self.close("the initiator closed the connection", Cause.CLOSED)
                    return
                self._buffer += data
                self._take_login()
                return
            if self._is_due:
                # What came before has its turn first.
                return
            stream = connection.stream
            window = stream.receive_window()
            if window is None:
                return
            count = self._socket.recv_into(window)
        except BlockingIOError:
            return
        if not count:
            self.close("the initiator closed the connection", Cause.CLOSED)
            return
        stream.in_end += count  # As `received`, without a call: once for each read.
        stream.arrived_ns = self._reactor.woke_ns
        self._pump()

    def _pump(self) -> None:
        """Deal with what was received, and send after each batch, so that the initiator works
        on one while the next is made."""
        connection = self.connection
        assert connection is not None, "pumped in the full feature phase only"
        advance, stream = connection.advance, connection.stream
        output = stream.output
        began_ns = 0
        self._is_pumping = True
        try:
            has_more = advance()
            while True:
                if output.length:
                    self._send(output)
                if not has_more:
                    if not stream.can_resume:
                        break
                    connection.resume()
                if self.is_closed:
                    break
                now_ns = connection.clock_ns()
                began_ns = began_ns or now_ns
                if now_ns - began_ns > TURN_NS:
                    self._go_on_soon()
                    break
                has_more = advance()
        finally:
            self._is_pumping = False
        if stream.ending:
            self._end_if_due()

    def _go_on_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._target.slices(self._go_on)

    def _go_on(self) -> None:
        self._is_due = False
        if not self.is_closed:
            self._guard(self._pump)

    def wake(self) -> None:
        """Something that was pending has been answered, or there is memory again."""
        # From within a turn of ours it is sent with the rest.
        if not self.is_closed and not self._is_pumping:
            self._guard(self._flush)

    def _flush(self) -> None:
        self._send(self._pending())
        connection = self.connection
        if connection is None:
            return
        if connection.stream.can_resume:
            self._go_on_soon()
        if connection.stream.ending:
            self._end_if_due()

    def _end_if_due(self) -> None:
        """Close what is to end, once it has answered what is under way."""
        connection = self.connection
        assert connection is not None, "a session ends"
        if connection.is_answered:
            self.close(connection.stream.ending, connection.stream.ending_cause)

    def _tick(self) -> None:
        """Look for life: a session that is silent is asked, and dropped if it stays silent."""
        connection = self.connection
        assert connection is not None, "only a session is asked"
        output = connection.stream.output
        count, head = connection.pdu_count, output.head
        # To take what it has asked for, over a slow network, is life too.
        is_taking = self._head is not None and head is not self._head
        is_silent = count == self._pdu_count and not is_taking
        if is_silent and self._is_pinged:
            self.close("no sign of life: a NOP-In was not answered", Cause.SILENT)
            return
        self._head = head
        if is_silent and not output.is_full:
            connection.ping()
        if count - self._pdu_count <= 1:
            connection.trim()
        self._is_pinged = is_silent
        self._pdu_count = count
        interval_s = self._target.options.nop_interval_s
        self._timer = self._reactor.call_later(interval_s, self._tick)
        self._guard(self._flush)

    # -- sending -----------------------------------------------------------------------------------

    def _pending(self) -> Output[Region] | Output[None]:
        return self._output if self.connection is None else self.connection.stream.output

    def _send(self, output: Output[Region] | Output[None]) -> None:
        """Send as much as the socket takes, in so many calls; what is left has its turn later."""
        count_left = SEND_COUNT_MAX
        while output.length and count_left:
            count_left -= 1
            buffers = output.buffers()
            try:
                if len(buffers) == 1:
                    count = self._socket.send(buffers[0])
                else:
                    count = self._socket.sendmsg(buffers)
            except BlockingIOError:
                break
            output.sent(count)
        unsent = self._unsent
        if unsent is not None and (output.length or unsent.is_waiting):
            unsent.look(output.length)

    def _update(self) -> None:
        """Watch for what can be dealt with now."""
        connection = self.connection
        if (
            connection is not None
            and self._events == READABLE
            and not connection.stream.output.length
            and connection.stream.can_receive
        ):
            return  # Nothing has changed, as nearly always: 0.4 us of 26 at depth 1.
        wants_input = not self._is_waiting if connection is None else connection.stream.can_receive
        events = (READABLE if wants_input else 0) | (WRITABLE if self._pending().length else 0)
        if events != self._events:
            self._events = events
            self._reactor.watch(self._socket.fileno(), events, self._ready)

    # -- the end -----------------------------------------------------------------------------------

    def close(self, reason: str, cause: Cause) -> None:
        """Close the socket; what is under way is completed without an answer. Harmless twice."""
        if self.is_closed:
            return
        self.is_closed = True
        self._timer.cancel()
        self._reactor.unwatch(self._socket.fileno())
        self._output.clear()
        self._head = None
        self._socket.close()
        if self.connection is not None:
            self.connection.stream.close()
        self._target.gone(self, reason, cause)


def _sent(_owner: None) -> None:
    """What a login is answered with is nobody's memory."""


def _address(name: Callable[[], tuple[str, int]]) -> str:
    """Return an end of a connection as text; empty if it is gone already."""
    with contextlib.suppress(OSError):
        return "{}:{}".format(*name()[:2])
    return ""


def _set_options(connection: socket.socket) -> None:
    """Answers leave at once, and a peer whose machine is gone is noticed."""
    with contextlib.suppress(OSError):
        # Not TCP (a test's socket pair): nothing to set.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
