"""One SCSI command under way, and what a handler makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from tierce import Request
from tierce_iscsi.scsi.sense import CHECK_CONDITION, GOOD, Sense


class Nexus(Protocol):
    """An initiator's session, as the logical unit sees it (SAM-5: I_T nexus)."""

    @property
    def initiator(self) -> bytes:
        """Its transport ID: initiator name and ISID (SPC-4 section 7.6.4.6)."""
        ...

    @property
    def attentions(self) -> list[Sense]:
        """Unit attentions that it has yet to be told, oldest first."""
        ...

    def attend(self, sense: Sense) -> None:
        """Tell it this at its next command."""
        ...


@attrs.define
class Command:
    """What a handler gets.

    Attributes:
        cdb: 16 bytes; shorter CDBs end in zeroes.
        data: The data-out that arrived: what the handler asked for, or less.
        announced: Bytes of data-out that the initiator expected to send; may be more.
        nexus: Whose it is.
    """

    cdb: bytes
    data: memoryview
    nexus: Nexus
    announced: int = 0


@attrs.frozen
class Reply:
    """A command's end.

    Attributes:
        data: Data-in.
        status: SCSI status.
        sense: Sense data, with CHECK CONDITION.
        length: Bytes that the command transfers in full, in whichever direction; what is more
            or less than the initiator expected becomes the residual. None: all of `data`.
    """

    data: bytes | memoryview = b""
    status: int = GOOD
    sense: bytes = b""
    length: int | None = None


@attrs.define
class Work:
    """What has to be done before the reply.

    Attributes:
        requests: For the device; they are concurrent.
            A READ whose `buffer` is None gets one from the connection, which sends from it
            what the reply gives back: nothing is copied.
        finish: Called with them when each has a status: the reply, or more work.
    """

    requests: list[Request]
    finish: Callable[[list[Request]], Reply | Work]


def check_condition(sense: Sense) -> Reply:
    """Return the reply that reports this sense."""
    return Reply(status=CHECK_CONDITION, sense=sense.encode())


Handler = Callable[[Any, Command], Reply | Work]
