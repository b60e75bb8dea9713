"""A session: what its login settled, its sequence numbers, its unit attentions.

A session has one connection (MaxConnections 1), so both end together.
"""

from __future__ import annotations

import attrs

from tierce_iscsi.pdu import SERIAL_MASK, is_after
from tierce_iscsi.scsi.sense import Sense
from tierce_iscsi.scsi.transport import transport_id
from tierce_iscsi.text import Negotiation

#: Unit attentions of one session; older ones tell more, so the newest gives way.
ATTENTION_COUNT_MAX = 16


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

    def __attrs_post_init__(self) -> None:
        self.initiator = transport_id(self.terms.initiator_name, self.isid)
        self.max_cmd_sn = (self.exp_cmd_sn + self.queue_depth - 1) & SERIAL_MASK

    def attend(self, sense: Sense) -> None:
        """Tell the initiator this at its next command."""
        if sense not in self.attentions and len(self.attentions) < ATTENTION_COUNT_MAX:
            self.attentions.append(sense)

    def window(self, task_count: int) -> int:
        """Return MaxCmdSN while so many tasks are under way. It never goes back
        (RFC 7143 section 4.2.2.1)."""
        number = (self.exp_cmd_sn + self.queue_depth - 1 - task_count) & SERIAL_MASK
        if is_after(number, self.max_cmd_sn):
            self.max_cmd_sn = number
        return self.max_cmd_sn

    def is_in_window(self, number: int) -> bool:
        """True if a command with this CmdSN may come now."""
        return not is_after(self.exp_cmd_sn, number) and not is_after(number, self.max_cmd_sn)
