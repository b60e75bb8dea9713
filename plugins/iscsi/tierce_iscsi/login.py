"""The login phase, from the target's side (RFC 7143 sections 6.3 and 11.12 to 11.13).

Stages: SecurityNegotiation (0) -> LoginOperationalNegotiation (1) -> FullFeaturePhase (3). A
request says its stage and, with T, the one that it wants to go to; we have nothing of our own to
negotiate, so we go wherever it legally wants to. Either stage may be left out.

The security stage knows one method, None: whoever offers others only is refused. A method that
takes more than one exchange has its place in `Login._security`.

The last answer is not given here but asked for (`Login.welcome`): a session that it replaces has
to be ended first.
"""

from __future__ import annotations

import attrs

from tierce import ProtocolError
from tierce_iscsi.pdu import (
    CONTINUE,
    LOGIN_REQUEST,
    LOGIN_RESPONSE,
    LOGIN_SEGMENT_BYTES_MAX,
    SERIAL_MASK,
    LoginStatus,
    Opcode,
    Pdu,
    join,
)
from tierce_iscsi.text import (
    RECV_SEGMENT_BYTES,
    TEXT_BYTES_MAX,
    Negotiation,
    format_text,
    parse_text,
)

TRANSIT = 0x80
SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3
#: Requests of one login. 64 KiB of text take nine; some initiators send a few bytes in each.
REQUEST_COUNT_MAX = 256
#: The one portal group of a target (RFC 7143 section 13.9).
PORTAL_GROUP = 1


@attrs.frozen
class LoginRequest:
    """A login request's header.

    Attributes:
        flags: T, C, CSG, NSG.
        version_min: The lowest protocol version that the initiator speaks; only 0 exists.
        isid: The initiator's part of the session's identity, 6 bytes.
        tsih: The target's part; 0 asks for a new session.
        tag: Initiator task tag.
        connection_id: CID.
        command_number: CmdSN.
    """

    flags: int
    version_min: int
    isid: bytes
    tsih: int
    tag: int
    connection_id: int
    command_number: int

    @property
    def stage(self) -> int:
        """CSG."""
        return self.flags >> 2 & 3

    @property
    def next_stage(self) -> int:
        """NSG; it means something with T only."""
        return self.flags & 3


def parse_login(header: bytes) -> LoginRequest:
    """Read a login request's header.

    Raises:
        ProtocolError: It is another PDU.
    """
    opcode, flags, _max, low, _lengths, isid, tsih, tag, cid, cmd_sn, _ = LOGIN_REQUEST.unpack(
        header
    )
    if opcode & 0x3F != Opcode.LOGIN:
        raise ProtocolError(f"opcode {opcode & 0x3F:#04x} before the login was done")
    return LoginRequest(flags, low, isid, tsih, tag, cid, cmd_sn)


class LoginRefusedError(ProtocolError):
    """The login can't be: `status` goes into the response, after which the connection ends."""

    def __init__(self, status: LoginStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Login:
    """One connection's login.

    Args:
        stat_sn: StatSN of our next response.
        text: What earlier requests with the C bit have said, that were answered elsewhere.
        alias: The target's name for people; empty: none is told.
    """

    def __init__(self, stat_sn: int = 0, text: bytes = b"", alias: str = "") -> None:
        self.stat_sn = stat_sn
        self.negotiation = Negotiation()
        self.request: LoginRequest | None = None
        #: True once the initiator is to enter the full feature phase: `welcome` is due.
        self.is_done = False
        self._alias = alias
        self._request_count = 0
        self._text = bytearray(text)
        self._unsent = b""
        self._stage = SECURITY
        self._first: LoginRequest | None = None
        self._is_declared = False
        self._last_flags = 0

    @property
    def text(self) -> bytes:
        """What requests with the C bit have said so far."""
        return bytes(self._text)

    def take(self, pdu: Pdu) -> bytes:
        """Take a request; return the response, empty if `is_done` and `welcome` is due.

        Raises:
            LoginRefusedError: Send `refusal(error.status)` and close.
            ProtocolError: Close.
        """
        request = parse_login(pdu.header)
        self.request = request
        self._check(request)
        self._request_count += 1
        if self._request_count > REQUEST_COUNT_MAX:
            reason = f"more than {REQUEST_COUNT_MAX} requests in one login"
            raise LoginRefusedError(LoginStatus.INITIATOR_ERROR, reason)
        if len(self._text) + len(pdu.data) > TEXT_BYTES_MAX:
            raise LoginRefusedError(
                LoginStatus.INITIATOR_ERROR, f"more than {TEXT_BYTES_MAX} bytes of text"
            )
        self._text += pdu.data
        if request.flags & CONTINUE:
            return self._respond(request.stage << 2, b"")
        if not self._unsent:
            self._unsent = self._answer(request)
        return self._answer_part(request)

    def refusal(self, status: LoginStatus) -> bytes:
        """Return the response that refuses the login."""
        return self._respond(0, b"", status)

    def welcome(self, tsih: int, queue_depth: int) -> bytes:
        """Return the last response; the full feature phase begins right behind it."""
        assert self.is_done, "welcome only whoever has logged in"
        return self._respond(self._last_flags, self._unsent, tsih=tsih, depth=queue_depth)

    def _check(self, request: LoginRequest) -> None:
        if request.version_min > 0:
            raise LoginRefusedError(LoginStatus.UNSUPPORTED_VERSION, "it speaks a later version")
        if self._first is None:
            self._first = request
            self._stage = request.stage
        if (request.isid, request.tsih) != (self._first.isid, self._first.tsih):
            raise LoginRefusedError(LoginStatus.INITIATOR_ERROR, "its session changed in the login")
        if request.stage != self._stage or self._stage not in {SECURITY, OPERATIONAL}:
            raise LoginRefusedError(LoginStatus.INITIATOR_ERROR, f"stage {request.stage} now")
        if not request.flags & TRANSIT:
            return
        if request.flags & CONTINUE or (self._stage, request.next_stage) not in {
            (SECURITY, OPERATIONAL),
            (SECURITY, FULL_FEATURE),
            (OPERATIONAL, FULL_FEATURE),
        }:
            raise LoginRefusedError(
                LoginStatus.INITIATOR_ERROR, f"from stage {self._stage} to {request.next_stage}"
            )

    def _answer(self, request: LoginRequest) -> bytes:
        """Negotiate over the whole text; return ours."""
        is_first = not self.negotiation.initiator_name
        try:
            answers = self.negotiation.answer(parse_text(bytes(self._text)))
        except ProtocolError as error:
            raise LoginRefusedError(LoginStatus.INITIATOR_ERROR, str(error)) from error
        self._text.clear()
        if not self.negotiation.initiator_name:
            raise LoginRefusedError(LoginStatus.MISSING_PARAMETER, "no InitiatorName")
        self._security(answers)
        if is_first and self.negotiation.target_name:
            ours = [("TargetPortalGroupTag", str(PORTAL_GROUP))]
            if self._alias:
                ours.append(("TargetAlias", self._alias))
            answers = ours + answers
        if request.stage == OPERATIONAL and not self._is_declared:
            self._is_declared = True
            answers.append(("MaxRecvDataSegmentLength", str(RECV_SEGMENT_BYTES)))
        return format_text(answers)

    def _security(self, answers: list[tuple[str, str]]) -> None:
        """Refuse whoever insists on a method that we don't have."""
        if ("AuthMethod", "Reject") in answers:
            raise LoginRefusedError(LoginStatus.AUTHENTICATION_FAILURE, "no AuthMethod in common")

    def _answer_part(self, request: LoginRequest) -> bytes:
        if len(self._unsent) > LOGIN_SEGMENT_BYTES_MAX:
            part = self._unsent[:LOGIN_SEGMENT_BYTES_MAX]
            self._unsent = self._unsent[LOGIN_SEGMENT_BYTES_MAX:]
            return self._respond(request.stage << 2 | CONTINUE, part)
        flags = request.stage << 2
        if request.flags & TRANSIT:
            flags |= TRANSIT | request.next_stage
            self._stage = request.next_stage
        if self._stage == FULL_FEATURE:
            self.is_done = True
            self._last_flags = flags
            return b""
        part, self._unsent = self._unsent, b""
        return self._respond(flags, part)

    def _respond(
        self,
        flags: int,
        data: bytes,
        status: LoginStatus = LoginStatus.SUCCESS,
        *,
        tsih: int | None = None,
        depth: int = 1,
    ) -> bytes:
        request = self.request
        assert request is not None, "a response answers a request"
        header = LOGIN_RESPONSE.pack(
            *(Opcode.LOGIN_RESPONSE, flags, 0, 0, len(data), request.isid),
            *(request.tsih if tsih is None else tsih, request.tag, self.stat_sn),
            *(request.command_number, (request.command_number + depth - 1) & SERIAL_MASK, status),
        )
        self.stat_sn = (self.stat_sn + 1) & SERIAL_MASK
        return join(header, data)
