"""A session: what its login agreed on, its sequence numbers, its unit attentions, its end.

A session has one connection (MaxConnections 1), so both end together.
"""

from __future__ import annotations

import enum

import attrs

from tierce_iscsi.pdu import SERIAL_HALF, SERIAL_MASK, is_after
from tierce_iscsi.scsi.sense import Sense
from tierce_iscsi.scsi.transport import transport_id
from tierce_iscsi.text import RECV_SEGMENT_BYTES, Negotiation

#: Unit attentions of one session; older ones tell more, so the newest gives way.
ATTENTION_COUNT_MAX = 16


class Cause(enum.Enum):
    """Why a session is over."""

    LOGGED_OUT = "logged-out"
    #: By the initiator, without a logout.
    CLOSED = "closed"
    #: The connection.
    BROKEN = "broken"
    #: Its initiator has logged in again.
    REPLACED = "replaced"
    #: No answer to a NOP-In.
    SILENT = "silent"
    #: A wrong CRC32C.
    DIGEST = "digest"
    #: Whatever else was wrong with what the initiator sent.
    PROTOCOL = "protocol"
    #: A target cold reset.
    RESET = "reset"
    #: The target stops, or has lost its volume.
    TARGET = "target"


@attrs.define(eq=False)
class Session:
    """One initiator's session.

    Attributes:
        terms: What the login negotiated.
        isid: The initiator's part of its identity.
        tsih: Ours.
        connection_id: CID of its connection.
        stat_sn: StatSN of the next response.
        exp_cmd_sn: CmdSN of the next command.
        queue_depth: Commands at once.
        portal: The address that the initiator used.
        remote: The initiator's address.
        max_cmd_sn: MaxCmdSN as the initiator was told it: what is beyond is not taken.
        read_bytes_max: Of a READ that is answered with one PDU.
        immediate_bytes_max: Of a WRITE that comes in one PDU.
        attentions: Unit attentions that the initiator has yet to be told, oldest first.
        initiator: The transport ID of SPC-4 section 7.6.4.6, format 01b: name and ISID.
    """

    terms: Negotiation
    isid: bytes
    tsih: int
    connection_id: int
    stat_sn: int
    exp_cmd_sn: int
    queue_depth: int
    portal: str = ""
    remote: str = ""
    attentions: list[Sense] = attrs.field(factory=list)
    initiator: bytes = attrs.field(init=False)
    max_cmd_sn: int = attrs.field(init=False)
    read_bytes_max: int = attrs.field(init=False)
    immediate_bytes_max: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.initiator = transport_id(self.terms.initiator_name, self.isid)
        self.max_cmd_sn = (self.exp_cmd_sn + self.queue_depth - 1) & SERIAL_MASK
        self.renegotiated()

    def renegotiated(self) -> None:
        """Look at what the initiator takes and gives in one PDU: it may say so anew at any time."""
        terms = self.terms
        self.read_bytes_max = min(
            terms.segment_bytes_max, terms.burst_bytes_max, RECV_SEGMENT_BYTES
        )
        self.immediate_bytes_max = terms.first_burst_bytes_max if terms.has_immediate_data else 0

    def attend(self, sense: Sense) -> None:
        """Tell the initiator this at its next command."""
        if sense not in self.attentions and len(self.attentions) < ATTENTION_COUNT_MAX:
            self.attentions.append(sense)

    def window(self, task_count: int) -> int:
        """Return MaxCmdSN while so many tasks are under way. It never goes back
        (RFC 7143 section 4.2.2.1)."""
        number = (self.exp_cmd_sn + self.queue_depth - 1 - task_count) & SERIAL_MASK
        # `is_after`, without a call: once for each batch.
        if 0 < (number - self.max_cmd_sn & SERIAL_MASK) < SERIAL_HALF:
            self.max_cmd_sn = number
        return self.max_cmd_sn

    def is_in_window(self, number: int) -> bool:
        """True if a command with this CmdSN may come now."""
        return not is_after(self.exp_cmd_sn, number) and not is_after(number, self.max_cmd_sn)
