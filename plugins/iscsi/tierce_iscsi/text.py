"""Text keys and their negotiation (RFC 7143 sections 6 and 13).

A key is either declared (each side says its own value) or negotiated: the initiator offers, the
answer is the result of a function that the RFC fixes per key. `Negotiation` is the target's side
of it: offers in, answers out, results as attributes.

A key is settled once. Initiators do repeat the names that they declare in the second stage of a
login, which harms nobody while they say the same; and how long a data segment may be is theirs to
say anew at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from tierce import ProtocolError

#: All the text of one login, or of one text request with its continuations.
TEXT_BYTES_MAX = 64 << 10
#: Keys in it, and in a whole login.
KEY_COUNT_MAX = 256
#: RFC 7143 section 6.1: a key-name is at most 63 bytes.
KEY_BYTES_MAX = 63
#: The answer to one text request: some thousands of targets.
ANSWER_BYTES_MAX = 1 << 20

#: What we declare and offer (RFC 7143 section 13).
RECV_SEGMENT_BYTES = 256 << 10
BURST_BYTES = 256 << 10
#: What holds until something else is declared (section 13.12).
DEFAULT_SEGMENT_BYTES = 8192
SEGMENT_BYTES_MIN = 512
LENGTH_MAX = (1 << 24) - 1

assert SEGMENT_BYTES_MIN <= RECV_SEGMENT_BYTES <= LENGTH_MAX
assert SEGMENT_BYTES_MIN <= BURST_BYTES <= LENGTH_MAX


def parse_text(data: bytes) -> list[tuple[str, str]]:
    """Split a text segment into its key=value pairs, in order.

    Raises:
        ProtocolError: A pair without "=", a key too long, bytes that are not UTF-8, too many.
    """
    pairs: list[tuple[str, str]] = []
    for item in data.split(b"\0"):
        if not item:
            continue
        if len(pairs) == KEY_COUNT_MAX:
            raise ProtocolError(f"more than {KEY_COUNT_MAX} text keys")
        key, equals, value = item.partition(b"=")
        if not equals or not key or len(key) > KEY_BYTES_MAX:
            raise ProtocolError(f"not a text key: {item[:80]!r}")
        try:
            pairs.append((key.decode("ascii"), value.decode("utf-8")))
        except UnicodeDecodeError as error:
            raise ProtocolError(f"a text key that is not UTF-8: {item[:80]!r}") from error
    return pairs


def format_text(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the text segment that holds the pairs."""
    return b"".join(f"{key}={value}\0".encode() for key, value in pairs)


REJECT = "Reject"
IRRELEVANT = "Irrelevant"
NOT_UNDERSTOOD = "NotUnderstood"


def _number(value: str, low: int, high: int) -> int | None:
    """Read a numerical value (decimal or 0x...); None if it is not one in the range."""
    try:
        number = int(value, 16) if value[:2].lower() == "0x" else int(value, 10)
    except ValueError:
        return None
    return number if low <= number <= high and value.isalnum() else None


@attrs.define
class Negotiation:
    """What one login has settled. Attributes start at the RFC's defaults (section 13).

    Attributes:
        initiator_name: InitiatorName, empty until declared.
        initiator_alias: InitiatorAlias.
        target_name: TargetName.
        is_discovery: SessionType=Discovery.
        has_header_digest: PDUs carry a CRC32C of their headers.
        has_data_digest: PDUs carry a CRC32C of their data segments.
        segment_bytes_max: The initiator's MaxRecvDataSegmentLength: the longest that we send.
        burst_bytes_max: MaxBurstLength.
        first_burst_bytes_max: FirstBurstLength.
        has_initial_r2t: The initiator waits for an R2T before it sends unsolicited Data-Out.
        has_immediate_data: Commands may carry data.
        auth_offered: What the initiator said of AuthMethod; empty if it said nothing.
    """

    initiator_name: str = ""
    initiator_alias: str = ""
    target_name: str = ""
    is_discovery: bool = False
    has_header_digest: bool = False
    has_data_digest: bool = False
    segment_bytes_max: int = DEFAULT_SEGMENT_BYTES
    burst_bytes_max: int = 262144
    first_burst_bytes_max: int = 65536
    has_initial_r2t: bool = True
    has_immediate_data: bool = True
    auth_offered: str = ""
    _seen: dict[str, str] = attrs.field(factory=dict)

    def answer(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Take the initiator's keys; return the answers to those that want one, in order.

        Raises:
            ProtocolError: A key that was settled before is offered again (section 6.3).
        """
        answers: dict[str, str] = {}
        # What kind of session it is decides what other keys mean, wherever it stands.
        for key, value in sorted(pairs, key=lambda pair: pair[0] != "SessionType"):
            if self._is_repeated(key, value):
                continue
            handler = _HANDLERS.get(key)
            result = handler(self, value) if handler is not None else NOT_UNDERSTOOD
            if result is not None:
                answers[key] = result
        if self.first_burst_bytes_max > self.burst_bytes_max and "FirstBurstLength" in answers:
            # Whatever order they came in: a first burst is part of a burst (section 13.14).
            self.first_burst_bytes_max = self.burst_bytes_max
            answers["FirstBurstLength"] = str(self.first_burst_bytes_max)
        return list(answers.items())

    def _is_repeated(self, key: str, value: str) -> bool:
        """True if this was said before and need not be heard again."""
        before = self._seen.get(key)
        if before is None:
            if len(self._seen) == KEY_COUNT_MAX:
                raise ProtocolError(f"more than {KEY_COUNT_MAX} text keys in one login")
            self._seen[key] = value
            return False
        if key in _DECLARED and value == before:
            return True
        if key != "MaxRecvDataSegmentLength":
            raise ProtocolError(f"{key} was negotiated before")
        return False

    def answer_later(
        self, pairs: list[tuple[str, str]], list_targets: Callable[[str], bytes | None]
    ) -> bytes:
        """Answer a text request of the full feature phase.

        Args:
            pairs: The initiator's keys.
            list_targets: Answers SendTargets; None where its value may not be here.
        """
        answer = b""
        for key, value in pairs:
            if key == "SendTargets":
                listed = list_targets(value)
                answer += format_text([(key, REJECT)]) if listed is None else listed
            elif key == "MaxRecvDataSegmentLength":
                result = self._segment(value)
                answer += b"" if result is None else format_text([(key, result)])
            elif key != "InitiatorAlias":
                # What a login settles is settled (section 13: LO and IO keys).
                known = key in _HANDLERS
                answer += format_text([(key, REJECT if known else NOT_UNDERSTOOD)])
            if len(answer) > ANSWER_BYTES_MAX:
                raise ProtocolError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        return answer

    # -- declared keys -----------------------------------------------------------------------------

    def _initiator_name(self, value: str) -> None:
        self.initiator_name = _name(value)

    def _initiator_alias(self, value: str) -> None:
        self.initiator_alias = value[:255]

    def _target_name(self, value: str) -> None:
        self.target_name = _name(value)

    def _session_type(self, value: str) -> None:
        if value not in {"Normal", "Discovery"}:
            raise ProtocolError(f"SessionType={value[:80]}: neither Normal nor Discovery")
        self.is_discovery = value == "Discovery"

    def _segment(self, value: str) -> str | None:
        number = _number(value, SEGMENT_BYTES_MIN, LENGTH_MAX)
        if number is None:
            return REJECT
        self.segment_bytes_max = number
        return None

    # -- negotiated keys ---------------------------------------------------------------------------

    def _auth_method(self, value: str) -> str:
        self.auth_offered = value[:KEY_BYTES_MAX]
        return _first(value, ("None",))

    def _task_reporting(self, value: str) -> str:
        return IRRELEVANT if self.is_discovery else _first(value, ("RFC3720",))

    def _header_digest(self, value: str) -> str:
        result = _first(value, ("None", "CRC32C"))
        self.has_header_digest = result == "CRC32C"
        return result

    def _data_digest(self, value: str) -> str:
        result = _first(value, ("None", "CRC32C"))
        self.has_data_digest = result == "CRC32C"
        return result

    def _max_burst(self, value: str) -> str:
        number = _number(value, SEGMENT_BYTES_MIN, LENGTH_MAX)
        if number is None or self.is_discovery:
            return REJECT if number is None else IRRELEVANT
        self.burst_bytes_max = min(number, BURST_BYTES)
        return str(self.burst_bytes_max)

    def _first_burst(self, value: str) -> str:
        number = _number(value, SEGMENT_BYTES_MIN, LENGTH_MAX)
        if number is None or self.is_discovery:
            return REJECT if number is None else IRRELEVANT
        self.first_burst_bytes_max = min(number, BURST_BYTES)
        return str(self.first_burst_bytes_max)

    def _initial_r2t(self, value: str) -> str:
        if value not in {"Yes", "No"} or self.is_discovery:
            return IRRELEVANT if self.is_discovery else REJECT
        self.has_initial_r2t = value == "Yes"
        return value

    def _immediate_data(self, value: str) -> str:
        if value not in {"Yes", "No"} or self.is_discovery:
            return IRRELEVANT if self.is_discovery else REJECT
        self.has_immediate_data = value == "Yes"
        return value


def _name(value: str) -> str:
    """Check an iSCSI name: at most 223 bytes (RFC 7143 section 4.2.7.1), none of them odd."""
    if not 0 < len(value.encode()) <= 223 or not value.isprintable() or " " in value:
        raise ProtocolError(f"not an iSCSI name: {value[:80]!r}")
    return value.lower()


def _first(value: str, known: tuple[str, ...]) -> str:
    """Choose the first of the initiator's list that we know, its preference being its order."""
    return next((item for item in value.split(",") if item in known), REJECT)


_Handler = Callable[[Negotiation, str], str | None]


def _numeric(
    low: int, high: int, choose: Callable[[int], int], *, of_tasks: bool = False
) -> _Handler:
    """A number that we settle the same way for everyone.

    Args:
        low: The lowest that may be offered.
        high: The highest.
        choose: Its function and our side of it.
        of_tasks: It says something of SCSI tasks, which a discovery session has none of. An
            initiator that hears Irrelevant of another one gives up (open-iscsi).
    """

    def handler(negotiation: Negotiation, value: str) -> str:
        number = _number(value, low, high)
        if number is None:
            return REJECT
        return IRRELEVANT if of_tasks and negotiation.is_discovery else str(choose(number))

    return handler


def _boolean(result: str) -> _Handler:
    """A boolean whose function and our offer leave one result, whatever is offered."""

    def handler(negotiation: Negotiation, value: str) -> str:
        if value not in {"Yes", "No"}:
            return REJECT
        return IRRELEVANT if negotiation.is_discovery else result

    return handler


def _constant(result: str) -> _Handler:
    """The same answer to whatever is offered."""
    return lambda _negotiation, _value: result


#: Every key of RFC 7143 section 13 that an initiator may send in a login, and the marker keys of
#: RFC 3720, which initiators still offer as "No".
_HANDLERS: dict[str, _Handler] = {
    "InitiatorName": Negotiation._initiator_name,
    "InitiatorAlias": Negotiation._initiator_alias,
    "TargetName": Negotiation._target_name,
    "SessionType": Negotiation._session_type,
    "MaxRecvDataSegmentLength": Negotiation._segment,
    "AuthMethod": Negotiation._auth_method,
    "HeaderDigest": Negotiation._header_digest,
    "DataDigest": Negotiation._data_digest,
    "MaxBurstLength": Negotiation._max_burst,
    "FirstBurstLength": Negotiation._first_burst,
    "InitialR2T": Negotiation._initial_r2t,
    "ImmediateData": Negotiation._immediate_data,
    "MaxConnections": _numeric(1, 65535, lambda number: min(number, 1), of_tasks=True),
    "MaxOutstandingR2T": _numeric(1, 65535, lambda number: min(number, 1), of_tasks=True),
    "ErrorRecoveryLevel": _numeric(0, 2, lambda number: min(number, 0)),
    "DefaultTime2Wait": _numeric(0, 3600, lambda number: max(number, 2)),
    "DefaultTime2Retain": _numeric(0, 3600, lambda number: min(number, 0)),
    "DataPDUInOrder": _boolean("Yes"),
    "DataSequenceInOrder": _boolean("Yes"),
    "IFMarker": _boolean("No"),
    "OFMarker": _boolean("No"),
    "IFMarkInt": _constant(IRRELEVANT),
    "OFMarkInt": _constant(IRRELEVANT),
    "RDMAExtensions": _boolean("No"),
    "TaskReporting": Negotiation._task_reporting,
    "iSCSIProtocolLevel": _numeric(0, 31, lambda number: min(number, 1)),
    # Ours to say, not an initiator's.
    "TargetAlias": _constant(REJECT),
    "TargetAddress": _constant(REJECT),
    "TargetPortalGroupTag": _constant(REJECT),
    "SendTargets": _constant(REJECT),
}
#: What an initiator declares of itself, and may say again.
_DECLARED = frozenset({"InitiatorName", "InitiatorAlias", "TargetName", "SessionType"})
