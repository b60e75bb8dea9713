"""The iSCSI front end in a target's process: its sessions and what they share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection

from tierce import FrontendContext, ProtocolError, Timer
from tierce_iscsi import task_management
from tierce_iscsi.connection import Connection
from tierce_iscsi.endpoint import Endpoint
from tierce_iscsi.greeter import Handed, format_portal, format_targets, may_log_in
from tierce_iscsi.keeping import Keeper
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions, identity
from tierce_iscsi.pdu import LoginStatus
from tierce_iscsi.scsi import limits
from tierce_iscsi.scsi.reservations import Reservations
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.session import Session
from tierce_iscsi.slow_path import SlowPath
from tierce_iscsi.tasks import Drain
from tierce_iscsi.text import NOT_UNDERSTOOD, RECV_SEGMENT_BYTES, format_text, parse_text

assert limits.OPTIMAL_BYTES <= RECV_SEGMENT_BYTES, "what is named as best travels in one PDU"

#: An orderly end waits so long for what is under way.
CLOSE_TIMEOUT_S = 10.0
#: Logins under way at once, besides the sessions.
LOGIN_COUNT_MAX = 64
TSIH_MAX = 0xFFFF


class IscsiFrontend:
    """See `tierce.Frontend`.

    Args:
        context: The volume, its device and its loop.
    """

    def __init__(self, context: FrontendContext) -> None:
        self.options: IscsiOptions = context.options
        self.reactor = context.reactor
        self._context = context
        self._volume_options: IscsiVolumeOptions = context.volume_options
        self._iqn = identity(self.options, context.volume.name, self._volume_options)
        self._stage = context.stage("frontend")
        self._keeper = Keeper(context)
        self.unit = LogicalUnit(
            context.device,
            iqn=self._iqn,
            serial=context.volume.uuid,
            vendor=self._volume_options.vendor,
            product=self._volume_options.product,
            is_read_only=self._volume_options.read_only,
            physical_bytes=self._volume_options.physical_block_size or 0,
            reservations=Reservations(
                *(self._keeper.registrations, self._keeper.keep),
                can_outlive_power=context.is_folder_lasting,
            ),
            restart=self._keeper.restart,
        )
        self.unit.abort = self.abort_tasks_of
        self.unit.soon = context.reactor.call_soon
        #: Insertion order is the order of arrival.
        self._endpoints: dict[Endpoint, None] = {}
        #: Sessions that are gone and have left requests in the device.
        self._gone: dict[Connection, list[Drain]] = {}
        self._last_tsih = 0
        self._is_ending = False
        self._closed: Callable[[], None] | None = None
        self._close_timer: Timer | None = None

    # -- what core calls ---------------------------------------------------------------------------

    def adopt(self, connection: socket.socket, handover: bytes) -> None:
        """Take a connection from the portal."""
        logins = [endpoint for endpoint in self._endpoints if endpoint.connection is None]
        try:
            handed = Handed.decode(handover)
        except ProtocolError:
            connection.close()
            return
        if self._closed is not None:
            connection.close()
            return
        if len(logins) >= LOGIN_COUNT_MAX:
            logins[0].close("others came before its login was done")
        endpoint = Endpoint(self, connection, handed)
        self._endpoints[endpoint] = None
        endpoint.start()

    def reconfigure(self, options: IscsiOptions) -> None:
        """Take other options: who logs in from now on gets them."""
        self.options = options

    def close(self, closed: Callable[[], None]) -> None:
        """Answer what is under way, end the sessions, then `closed()`."""
        self._closed = closed
        self._is_ending = True
        self._close_timer = self.reactor.call_later(
            CLOSE_TIMEOUT_S, lambda: self.abandon("it took too long to end")
        )
        self.end_all("the target is going down")
        self._check_closed()

    def abandon(self, reason: str) -> None:
        """Drop every connection at once, answer nothing more."""
        self._is_ending = True
        for endpoint in list(self._endpoints):
            endpoint.close(reason)
        self._keeper.close()

    # -- what endpoints call -----------------------------------------------------------------------

    def admit(self, endpoint: Endpoint) -> None:
        """A login is done: end the session that it replaces (RFC 7143 section 6.3.5), then
        welcome it; or refuse it, where there is no place for it."""
        login = endpoint.login
        request, terms = login.request, login.negotiation
        assert request is not None, "a login that is done began with a request"
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
        key = (terms.initiator_name, request.isid)
        drain = Drain(lambda: self._welcome(endpoint))
        for other in list(self._endpoints):
            if other.connection is not None and _key(other.connection) == key:
                other.close("its initiator has logged in again")
        if len(self.connections()) >= self.options.session_count_max:
            endpoint.refuse(LoginStatus.OUT_OF_RESOURCES, "too many sessions")
            return
        self._wait_for_gone(drain, key)
        drain.start()

    def _welcome(self, endpoint: Endpoint) -> None:
        if endpoint.is_closed:
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
            *(self.unit, session),
            clock_ns=time.monotonic_ns,
            stage=self._stage,
            wake=endpoint.wake,
        )
        connection.slow = SlowPath(connection, self)
        self.unit.attach(session)
        endpoint.welcome(connection)
        self._keeper.began(session.initiator)
        self._publish()

    def gone(self, endpoint: Endpoint, _reason: str) -> None:
        """An endpoint has closed; its requests may still be in the device."""
        self._endpoints.pop(endpoint, None)
        connection = endpoint.connection
        if connection is not None:

            def settled() -> None:
                for waiting in self._gone.pop(connection, ()):
                    waiting.settle()
                self._check_closed()

            self.unit.detach(connection.session)
            drain = Drain(settled)
            self._gone[connection] = []
            connection.abort_all(drain)
            drain.start()
            if not self._is_ending:
                # Those that end because the target does have to hear of it when they come back.
                self._keeper.ended(connection.session.initiator)
            self._publish()
        self._check_closed()

    # -- what connections call ---------------------------------------------------------------------

    def connections(self) -> list[Connection]:
        """Every connection in its full feature phase."""
        return [e.connection for e in self._endpoints if e.connection is not None]

    def manage_tasks(self, connection: Connection, header: bytes) -> None:
        """Do a task management function."""
        task_management.manage(self, connection, header)

    def drain_gone(self, drain: Drain) -> None:
        """Add what sessions that are gone have left unsettled."""
        self._wait_for_gone(drain, None)

    def abort_tasks_of(self, initiators: Collection[bytes], done: Callable[[], None]) -> None:
        """End every command of these initiator ports, also of sessions that are gone; `done()`
        when none of them can be applied any more."""
        drain = Drain(done)
        for connection in self.connections():
            if connection.session.initiator in initiators:
                connection.abort_all(drain)
        for connection, waiting in self._gone.items():
            if connection.session.initiator in initiators:
                waiting.append(drain)
                drain.hold()
        drain.start()

    def end_all(self, reason: str) -> None:
        """End every session once its tasks are answered."""
        for endpoint in list(self._endpoints):
            connection = endpoint.connection
            if connection is None:
                endpoint.close(reason)
            else:
                connection.ending = connection.ending or reason
                endpoint.wake()

    def list_targets(self, connection: Connection, data: bytes) -> bytes:
        """Answer SendTargets in a normal session: this target (RFC 7143 appendix C)."""
        answer = b""
        for key, value in parse_text(data):
            if key == "SendTargets":
                wanted = [self._iqn] if value in {"", "All", self._iqn} else []
                answer += format_targets(wanted, connection.session.portal)
            else:
                answer += format_text([(key, NOT_UNDERSTOOD)])
        return answer

    # -- inside ------------------------------------------------------------------------------------

    def _wait_for_gone(self, drain: Drain, key: tuple[str, bytes] | None) -> None:
        for connection, waiting in self._gone.items():
            if key is None or _key(connection) == key:
                waiting.append(drain)
                drain.hold()

    def _new_tsih(self) -> int:
        taken = {connection.session.tsih for connection in self.connections()}
        while True:
            self._last_tsih = self._last_tsih % TSIH_MAX + 1
            if self._last_tsih not in taken:
                return self._last_tsih

    def _publish(self) -> None:
        self._context.publish(
            {
                "sessions": [
                    {
                        "initiator": connection.session.terms.initiator_name,
                        "address": connection.session.remote,
                        "tsih": connection.session.tsih,
                    }
                    for connection in self.connections()
                ]
            }
        )

    def _check_closed(self) -> None:
        if self._closed is None or self._endpoints or self._gone:
            return
        closed, self._closed = self._closed, None
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._keeper.close()
        closed()


def _key(connection: Connection) -> tuple[str, bytes]:
    """What a session is replaced by: the same initiator port."""
    return connection.session.terms.initiator_name, connection.session.isid
