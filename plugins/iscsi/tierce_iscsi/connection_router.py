"""The portal's side of a connection: whom does it want (RFC 7143 sections 4.3 and C)?

A discovery session is answered here from its login to its logout. A normal session is only read
until its first text is whole, which names the target; then the connection goes to that target's
process with what was read. A target that does not exist, or may not be used, is refused here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import attrs

from tierce import ConnectionRouter, Handover, Hangup, ProtocolError, Route, Send
from tierce_iscsi.login import Login, LoginRefusedError, parse_login
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions, identity
from tierce_iscsi.pdu import (
    CONTINUE,
    FINAL,
    IMMEDIATE,
    LOGIN_SEGMENT_BYTES_MAX,
    NO_TAG,
    REQUEST,
    RESPONSE,
    SERIAL_MASK,
    LoginStatus,
    Opcode,
    Pdu,
    join,
    take_pdu,
)
from tierce_iscsi.text import Negotiation, format_text, parse_text
from tierce_iscsi.text_exchange import TextExchange

#: Version of what the connection router hands over, StatSN, bytes of text of earlier requests.
HANDOVER = struct.Struct(">BII")
HANDOVER_VERSION = 1
#: Commands of a discovery session at once.
DISCOVERY_DEPTH = 8


@attrs.frozen
class Handed:
    """What a target's process goes on with.

    Attributes:
        stat_sn: StatSN of the next response.
        text: Text of login requests with the C bit that were answered already.
        data: What was read and not answered: it starts with a login request.
    """

    stat_sn: int
    text: bytes
    data: bytes

    def encode(self) -> bytes:
        """Return the state for `tierce.Handover`."""
        return HANDOVER.pack(HANDOVER_VERSION, self.stat_sn, len(self.text)) + self.text + self.data

    @classmethod
    def decode(cls, state: bytes) -> Handed:
        """Read it back.

        Raises:
            ProtocolError: The portal runs another version of this plugin.
        """
        if len(state) < HANDOVER.size:
            raise ProtocolError("a handover too short to be one")
        version, stat_sn, length = HANDOVER.unpack_from(state)
        if version != HANDOVER_VERSION:
            raise ProtocolError(f"a handover of version {version}, expected {HANDOVER_VERSION}")
        text = state[HANDOVER.size : HANDOVER.size + length]
        return cls(stat_sn, text, state[HANDOVER.size + length :])


def format_portal(address: tuple[str, int]) -> str:
    """Return the address as TargetAddress has it (RFC 7143 section 13.8)."""
    host, port = address
    # An IPv4 initiator at a socket that listens on [::], and a link-local address of whose zone
    # only this machine has the name.
    host = host.removeprefix("::ffff:").partition("%")[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def format_targets(names: list[str], portal: str) -> bytes:
    """Return the answer to SendTargets (RFC 7143 appendix C)."""
    return format_text(
        pair for name in names for pair in (("TargetName", name), ("TargetAddress", f"{portal},1"))
    )


class IscsiConnectionRouter(ConnectionRouter):
    """Bytes in, wishes out.

    Args:
        options: The section `iscsi:`.
        local: The address that the initiator used.
        remote: The initiator's address.
    """

    def __init__(
        self, options: IscsiOptions, local: tuple[str, int], remote: tuple[str, int]
    ) -> None:
        self._options = options
        self._portal = options.advertise or format_portal(local)
        self._remote = remote
        self._buffer = bytearray()
        self._login = Login()
        self._is_discovery = False
        self._exp_cmd_sn = 0
        self._text = TextExchange(LOGIN_SEGMENT_BYTES_MAX)

    def receive(self, data: bytes, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        """Take what arrived; see `tierce.ConnectionRouter`."""
        self._buffer += data
        wishes: list[Send | Handover | Hangup] = []
        try:
            while not (wishes and isinstance(wishes[-1], (Handover, Hangup))):
                before = bytes(self._buffer) if not self._is_discovery else b""
                pdu = take_pdu(self._buffer, LOGIN_SEGMENT_BYTES_MAX)
                if pdu is None:
                    break
                wishes += self._take(pdu, before, routes)
        except LoginRefusedError as error:
            wishes += self._refuse(error.status, str(error))
        except ProtocolError as error:
            wishes.append(Hangup(str(error)))
        return wishes

    def handover_failed(self) -> bytes:
        """Tell an initiator whose target can't take its login to try again."""
        return self._login.refusal(LoginStatus.SERVICE_UNAVAILABLE)

    # -- login -------------------------------------------------------------------------------------

    def _take(
        self, pdu: Pdu, unread: bytes, routes: Mapping[str, Route]
    ) -> list[Send | Handover | Hangup]:
        if self._is_discovery and self._login.is_done:
            return self._discover(pdu, routes)
        request = parse_login(pdu.header)
        # A refusal answers this request.
        self._login.request = request
        if not self._is_discovery and not request.flags & CONTINUE:
            # What is looked at here is looked at again by the target, which answers it.
            names = Negotiation()
            try:
                names.answer(_names(parse_text(self._login.text + pdu.data)))
            except ProtocolError as error:
                raise LoginRefusedError(LoginStatus.INITIATOR_ERROR, str(error)) from error
            if not names.is_discovery:
                return self._route(names, unread, routes)
            self._is_discovery = True
        response = self._login.take(pdu)
        if self._login.is_done:
            self._exp_cmd_sn = request.command_number
            response = self._login.welcome(1, DISCOVERY_DEPTH)
        return [Send(response)]

    def _route(
        self, names: Negotiation, unread: bytes, routes: Mapping[str, Route]
    ) -> list[Send | Handover | Hangup]:
        if not names.initiator_name or not names.target_name:
            return self._refuse(LoginStatus.MISSING_PARAMETER, "no InitiatorName or no TargetName")
        for route in routes.values():
            if identity(self._options, route.volume, route.options) == names.target_name:
                break
        else:
            return self._refuse(LoginStatus.NOT_FOUND, f"no target {names.target_name} here")
        if not may_log_in(route.options, names.initiator_name):
            return self._refuse(
                LoginStatus.AUTHORIZATION_FAILURE,
                f"{names.initiator_name} is not among the initiators of {route.volume}",
            )
        if not route.is_up:
            return self._refuse(LoginStatus.SERVICE_UNAVAILABLE, f"{route.volume} is down now")
        return [
            Handover(route.volume, Handed(self._login.stat_sn, self._login.text, unread).encode())
        ]

    def _refuse(self, status: LoginStatus, reason: str) -> list[Send | Handover | Hangup]:
        return [Send(self._login.refusal(status)), Hangup(reason)]

    # -- a discovery session's full feature phase --------------------------------------------------

    def _discover(self, pdu: Pdu, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        opcode, flags, lengths, lun, tag, transfer_tag, cmd_sn, _ = REQUEST.unpack(pdu.header)
        if not opcode & IMMEDIATE:
            self._exp_cmd_sn = (cmd_sn + 1) & SERIAL_MASK
        match pdu.opcode:
            case Opcode.TEXT:
                return [self._text_request(flags, tag, transfer_tag, pdu.data, routes)]
            case Opcode.NOP_OUT if tag == NO_TAG:
                return []
            case Opcode.NOP_OUT:
                return [self._respond(Opcode.NOP_IN, FINAL, tag, pdu.data, lun=lun)]
            case Opcode.LOGOUT:
                return [self._respond(Opcode.LOGOUT_RESPONSE, FINAL, tag, ttt=0), Hangup("logout")]
        raise ProtocolError(
            f"opcode {pdu.opcode:#04x} ({lengths} bytes, tag {transfer_tag:#x}) in a discovery "
            "session, which knows text, NOP and logout"
        )

    def _text_request(
        self, flags: int, tag: int, transfer_tag: int, data: bytes, routes: Mapping[str, Route]
    ) -> Send:
        negotiation = self._login.negotiation
        flags, transfer_tag, part = self._text.take(
            *(flags, transfer_tag, data),
            answer=lambda text: negotiation.answer_later(
                parse_text(text), lambda value: self._list(value, routes)
            ),
            part_bytes_max=lambda: negotiation.segment_bytes_max,
        )
        return self._respond(Opcode.TEXT_RESPONSE, flags, tag, part, ttt=transfer_tag)

    def _list(self, wanted: str, routes: Mapping[str, Route]) -> bytes | None:
        """Answer SendTargets. Nothing named would mean the session's own target, and a discovery
        session has none (RFC 7143 appendix C)."""
        if not wanted:
            return None
        names = sorted(
            identity(self._options, route.volume, route.options)
            for route in routes.values()
            if may_log_in(route.options, self._login.negotiation.initiator_name)
        )
        named = names if wanted == "All" else [name for name in names if name == wanted.lower()]
        return format_targets(named, self._portal)

    def _respond(
        self,
        opcode: Opcode,
        flags: int,
        tag: int,
        data: bytes = b"",
        *,
        lun: int = 0,
        ttt: int = NO_TAG,
    ) -> Send:
        stat_sn = self._login.stat_sn
        self._login.stat_sn = (stat_sn + 1) & SERIAL_MASK
        header = RESPONSE.pack(
            *(opcode, flags, 0, len(data), lun, tag, ttt, stat_sn, self._exp_cmd_sn),
            (self._exp_cmd_sn + DISCOVERY_DEPTH - 1) & SERIAL_MASK,
        )
        return Send(join(header, data))


def may_log_in(options: IscsiVolumeOptions, initiator: str) -> bool:
    """True if the volume's list of initiators lets this one in."""
    return not options.initiators or initiator in {name.lower() for name in options.initiators}


def _names(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the keys that say who wants what."""
    return [pair for pair in pairs if pair[0] in {"InitiatorName", "TargetName", "SessionType"}]
