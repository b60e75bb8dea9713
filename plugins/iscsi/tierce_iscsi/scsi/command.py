"""One SCSI command under way, and what a handler makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Union

import attrs

from tierce import Request
from tierce_iscsi.scsi.sense import CHECK_CONDITION, GOOD, Sense

NO_DATA = memoryview(b"")


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


Outcome = Union["Reply", "Work", "Deferred"]


@attrs.define
class Command:
    """What a handler gets.

    Attributes:
        cdb: 16 bytes; shorter CDBs end in zeroes.
        nexus: Whose it is.
        lun: The LUN field: 0, or that of a unit which is not there, for which a few answer.
        wanted: Bytes of data-out that it takes, decided once, when it arrived.
        due: Bytes of data-out that have to be here before it is done: `wanted`, or, for a
            command that may do with less, what the initiator announced.
        data: The data-out.
    """

    cdb: bytes
    nexus: Nexus
    lun: int = 0
    wanted: int = 0
    due: int = 0
    data: memoryview = NO_DATA


@attrs.frozen
class Reply:
    """A command's end.

    Attributes:
        data: Data-in.
        status: SCSI status.
        sense: Sense data, with CHECK CONDITION.
        length: Bytes that the command transfers in full, in whichever direction; what is more
            or less than the initiator expected becomes the residual. None: all of `data`, or
            nothing where it failed.
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
    finish: Callable[[list[Request]], Outcome]


@attrs.frozen
class Deferred:
    """What neither the device does nor the data thread may wait for.

    Attributes:
        begin: Called once, with what takes the outcome, at once or later, and with what says that
            nobody waits for it any more: then it has still to be given, as soon as may be.
    """

    begin: Callable[[Callable[[Outcome], None], Callable[[], bool]], None]


def check_condition(sense: Sense, length: int | None = None) -> Reply:
    """Return the reply that reports this sense."""
    return Reply(status=CHECK_CONDITION, sense=sense.encode(), length=length)
