"""The iSCSI front end in a target's process: its sessions and what they share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection

from tierce import (
    ROOT_STAGE,
    Frontend,
    FrontendContext,
    FrontendStatus,
    Geometry,
    ProtocolError,
    SessionStatus,
    Timer,
)
from tierce_iscsi import task_management
from tierce_iscsi.completion import Completion, Quiet
from tierce_iscsi.connection import Connection
from tierce_iscsi.connection_router import Handed, format_portal, format_targets, may_log_in
from tierce_iscsi.endpoint import Endpoint
from tierce_iscsi.memory import Memory
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions, identity
from tierce_iscsi.pdu import LoginStatus
from tierce_iscsi.persistence import Persistence
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.reservations import Reservations
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.session import Cause, Session
from tierce_iscsi.session_events import SessionEvents
from tierce_iscsi.slices import Slices
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.tasks import Drain
from tierce_iscsi.text import RECV_SEGMENT_BYTES, parse_text

assert limits.OPTIMAL_BYTES <= RECV_SEGMENT_BYTES, "what is named as best travels in one PDU"

#: An orderly end waits so long for what is under way. The engine closes after it, and both must be
#: done before the process is killed (`limits.stop_timeout_s`).
CLOSE_TIMEOUT_S = 4.0
#: Logins under way at once, besides the sessions; one more is in the place of the oldest, which is
#: told to try again. A login that is all there is done at once, however many come.
LOGIN_COUNT_MAX = 256
TSIH_MAX = 0xFFFF


class IscsiFrontend(Frontend):
    """See `tierce.Frontend`.

    Args:
        context: The volume, its device and its loop.
        clock_ns: A monotonic clock, in nanoseconds.
    """

    def __init__(
        self, context: FrontendContext, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.options: IscsiOptions = context.options
        self.reactor = context.reactor
        #: What people call the target.
        self.alias = context.volume.name
        self.events = SessionEvents(context.emit, context.reactor.now, context.volume.name)
        #: What goes on when others have had their turn.
        self.slices = Slices(context.reactor.call_soon, clock_ns)
        self.memory = Memory(self.slices)
        self._context = context
        self._clock_ns = clock_ns
        self._volume_options: IscsiVolumeOptions = context.volume_options
        self._iqn = identity(self.options, context.volume.name, self._volume_options)
        self._stage = context.stage(ROOT_STAGE)
        self.send_stage = context.stage("frontend.send")
        self._persistence = Persistence(context)
        self.unit = LogicalUnit(
            context.device,
            iqn=self._iqn,
            serial=context.volume.uuid,
            vendor=self._volume_options.vendor,
            product=self._volume_options.product,
            is_read_only=self._volume_options.read_only,
            physical_bytes=self._volume_options.physical_block_size or 0,
            reservations=Reservations(
                *(self._persistence.registrations, self._persistence.save),
                can_outlive_power=context.is_folder_lasting,
            ),
            restart=self._persistence.restart,
            abort=self.abort_tasks_of,
            soon=self.slices,
        )
        self._quiet = Quiet(context.device)
        #: Those that log in, and those that have: each in the order of their arrival.
        self._logins: dict[Endpoint, None] = {}
        self._sessions: dict[Endpoint, Connection] = {}
        #: Sessions that are gone and have left requests in the device.
        self._gone: dict[Connection, list[Drain]] = {}
        self._last_tsih = 0
        self._is_ending = self._is_to_publish = False
        self._closed: Callable[[], None] | None = None
        self._close_timer: Timer | None = None

    # -- what core calls ---------------------------------------------------------------------------

    def adopt(self, connection: socket.socket, handover: bytes) -> None:
        """Take a connection from the portal."""
        try:
            handed = Handed.decode(handover)
        except ProtocolError:
            connection.close()
            return
        if len(self._logins) >= LOGIN_COUNT_MAX:
            oldest = next(iter(self._logins))
            oldest.refuse(LoginStatus.SERVICE_UNAVAILABLE, "others came before its login was done")
        endpoint = Endpoint(self, connection, handed)
        self._logins[endpoint] = None
        endpoint.start()

    def reconfigure(self, options: IscsiOptions) -> None:
        """Take other options: who logs in from now on gets them."""
        self.options = options

    def reconfigure_volume(self, options: IscsiVolumeOptions) -> None:
        """Take other initiators: those that are no longer among them are dropped at once."""
        self._volume_options = options
        for endpoint in [*self._logins, *self._sessions]:
            terms = endpoint.login.negotiation
            if endpoint.login.is_done and not may_log_in(options, terms.initiator_name):
                endpoint.close("it is no longer among the initiators", Cause.TARGET)

    def resized(self, geometry: Geometry) -> None:
        """The volume has another shape."""
        self.unit.resized(geometry.size_bytes)

    def close(self, closed: Callable[[], None]) -> None:
        """Answer what is under way, end the sessions, then `closed()`."""
        self._closed = closed
        self._is_ending = True
        self._close_timer = self.reactor.call_later(
            CLOSE_TIMEOUT_S, lambda: self.abandon("it took too long to end")
        )
        self.end_all("the target is going down", Cause.TARGET)
        self._check_closed()

    def abandon(self, reason: str) -> None:
        """Drop every connection at once, answer nothing more."""
        self._is_ending = True
        for endpoint in [*self._logins, *self._sessions]:
            endpoint.close(reason, Cause.TARGET)
        self._persistence.close()

    # -- what endpoints call -----------------------------------------------------------------------

    def admit(self, endpoint: Endpoint) -> None:
        """A login is done: end the session that it replaces (RFC 7143 section 6.3.5), then
        welcome it; or refuse it, where there is no place for it."""
        login = endpoint.login
        request, terms = login.request, login.negotiation
        assert request is not None, "a login that is done began with a request"
        if self._is_ending:
            endpoint.refuse(LoginStatus.SERVICE_UNAVAILABLE, "the target is going down")
            return
        if not may_log_in(self._volume_options, terms.initiator_name):
            endpoint.refuse(LoginStatus.AUTHORIZATION_FAILURE, "not among the initiators")
            return
        if request.tsih:
            has_session = any(c.session.tsih == request.tsih for c in self.connections())
            status = LoginStatus.TOO_MANY_CONNECTIONS
            if not has_session:
                status = LoginStatus.SESSION_DOES_NOT_EXIST
            endpoint.refuse(status, "it wants a second connection in a session")
            return
        key = endpoint.key
        replaced = [other for other, old in self._sessions.items() if _key(old) == key]
        for other in replaced:
            other.close("its initiator has logged in again", Cause.REPLACED)
        for other in [login for login in self._logins if login is not endpoint]:
            # One that still waits for a session before both: the newest is the one that is meant.
            if other.login.is_done and other.key == key:
                other.refuse(LoginStatus.SERVICE_UNAVAILABLE, "its initiator has logged in again")
        if self._is_full(key):
            endpoint.refuse(LoginStatus.OUT_OF_RESOURCES, "too many sessions")
            return
        if not replaced and not any(_key(old) == key for old in self._gone):
            self._welcome(endpoint)
            return
        completion = Completion(
            self,
            lambda: self._welcome(endpoint),
            lambda: endpoint.refuse(
                LoginStatus.SERVICE_UNAVAILABLE, "what the session before it wrote is not settled"
            ),
        )
        self._wait_for_gone(completion.drain, key)
        completion.start()

    def _welcome(self, endpoint: Endpoint) -> None:
        if endpoint.is_closed:
            return
        if self._is_full(endpoint.key):
            # Others have come while it waited.
            endpoint.refuse(LoginStatus.OUT_OF_RESOURCES, "too many sessions")
            return
        request = endpoint.login.request
        assert request is not None, "a login that is done began with a request"
        session = Session(
            endpoint.login.negotiation,
            request.isid,
            self._new_tsih(),
            request.connection_id,
            endpoint.login.stat_sn,
            request.command_number,
            self.options.queue_depth,
            self.options.advertise or format_portal(endpoint.local),
            endpoint.remote,
        )
        connection = Connection(
            *(self.unit, session, self.memory.open(), self),
            clock_ns=self._clock_ns,
            stage=self._stage,
            tracer=self._context.tracer,
            wake=endpoint.wake,
        )
        self.unit.attach(session)
        self._logins.pop(endpoint, None)
        self._sessions[endpoint] = connection
        self.events.began(session)
        self._persistence.began(session.initiator)
        # It may end within: what it sent with its login is dealt with at once.
        endpoint.welcome(connection)
        self._publish_soon()

    def gone(self, endpoint: Endpoint, reason: str, cause: Cause) -> None:
        """An endpoint has closed; its requests may still be in the device."""
        self._logins.pop(endpoint, None)
        connection = self._sessions.pop(endpoint, None)
        if connection is not None:
            self.events.ended(connection.session, cause, reason)
            self.unit.detach(connection.session)
            self._gone[connection] = []
            drain = Drain(lambda: self._completed(connection))
            connection.tasks.give_up_all(drain)
            drain.start()
            if not self._is_ending:
                # Those that end because the target does have to hear of it when they come back.
                self._persistence.ended(connection.session.initiator)
            self._publish_soon()
        elif not endpoint.is_refused:
            self.events.given_up(endpoint.remote, reason)
        self._check_closed()

    def _completed(self, connection: Connection) -> None:
        """A session that is gone has left nothing in the device any more."""
        waiting = self._gone.pop(connection)
        # Not from within what may have been called by the connection itself.
        self.reactor.call_soon(connection.dispose)
        for drain in waiting:
            drain.complete()
        self._check_closed()

    # -- what connections call ---------------------------------------------------------------------

    def connections(self) -> list[Connection]:
        """Every connection in its full feature phase."""
        return list(self._sessions.values())

    def task_sets(self) -> list[TaskSet]:
        """Those of every session in its full feature phase."""
        return [connection.tasks for connection in self._sessions.values()]

    def manage_tasks(self, tasks: TaskSet, header: bytes) -> None:
        """Do a task management function."""
        task_management.manage(self, tasks, header)

    def reset_unit(self) -> None:
        """Forget what a reset of the logical unit drops."""
        self.unit.reset()

    def drain_gone(self, drain: Drain) -> None:
        """Wait for what sessions that are gone have left pending too."""
        self._wait_for_gone(drain, None)

    def abort_tasks_of(self, initiators: Collection[bytes], done: Callable[[], None]) -> None:
        """End every command of these initiator ports, also of sessions that are gone; `done()`
        when none of them can be applied any more. They are told so by TASK ABORTED."""
        drain = Drain(lambda: self.when_quiet(done), issuer=self)
        for connection in self.connections():
            if connection.session.initiator in initiators:
                connection.tasks.give_up_all(drain)
                connection.stream.wake()
        for connection, waiting in self._gone.items():
            if connection.session.initiator in initiators:
                self._wait(waiting, drain)
        drain.start()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, `delay_s` seconds from now."""
        return self.reactor.call_later(delay_s, call)

    def when_quiet(self, done: Callable[[], None]) -> None:
        """Call `done` once nothing that was answered so far can be applied any more."""
        self._quiet.wait(done)

    def forget(self, done: Callable[[], None]) -> None:
        """`done` need not be called any more."""
        self._quiet.forget(done)

    def end_all(self, reason: str, cause: Cause) -> None:
        """End every session once its tasks are answered."""
        for login in list(self._logins):
            login.refuse(LoginStatus.SERVICE_UNAVAILABLE, reason)
        for endpoint, connection in list(self._sessions.items()):
            connection.stream.end(reason, cause)
            endpoint.wake()

    def answer_text(self, session: Session, text: bytes) -> bytes:
        """Answer a text request in a normal session."""

        def list_targets(wanted: str) -> bytes | None:
            # This target and no other (RFC 7143 appendix C).
            if wanted == "All":
                return None
            mine = [self._iqn] if wanted.lower() in {"", self._iqn} else []
            return format_targets(mine, session.portal)

        answer = session.terms.answer_later(parse_text(text), list_targets)
        session.renegotiated()
        return answer

    # -- inside ------------------------------------------------------------------------------------

    def _is_full(self, key: tuple[str, bytes]) -> bool:
        """True if there is no place for a session of this initiator port. Those that are gone and
        have left something in the device count: they hold memory until it is complete."""
        left = sum(_key(old) != key for old in self._gone)
        return len(self._sessions) + left >= self.options.session_count_max

    def _wait_for_gone(self, drain: Drain, key: tuple[str, bytes] | None) -> None:
        for connection, waiting in self._gone.items():
            if key is None or _key(connection) == key:
                self._wait(waiting, drain)

    def _wait(self, waiting: list[Drain], drain: Drain) -> None:
        # Those who gave up waiting need no longer be known, however long the device takes.
        waiting[:] = [other for other in waiting if not other.is_over]
        waiting.append(drain)
        drain.hold()

    def _new_tsih(self) -> int:
        taken = {connection.session.tsih for connection in self._sessions.values()}
        while True:
            self._last_tsih = self._last_tsih % TSIH_MAX + 1
            if self._last_tsih not in taken:
                return self._last_tsih

    def _publish_soon(self) -> None:
        """Publish once for all that come and go at once."""
        if not self._is_to_publish:
            self._is_to_publish = True
            self.reactor.call_soon(self._publish)

    def _publish(self) -> None:
        self._is_to_publish = False
        self._context.publish(
            FrontendStatus(
                sessions=tuple(
                    SessionStatus(
                        initiator=connection.session.terms.initiator_name,
                        address=connection.session.remote,
                        details={"tsih": connection.session.tsih},
                    )
                    for connection in self._sessions.values()
                )
            )
        )

    def _check_closed(self) -> None:
        if self._closed is None or self._logins or self._sessions or self._gone:
            return
        closed, self._closed = self._closed, None
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._persistence.close()
        closed()


def _key(connection: Connection) -> tuple[str, bytes]:
    """What a session is replaced by: the same initiator port."""
    return connection.session.terms.initiator_name, connection.session.isid
