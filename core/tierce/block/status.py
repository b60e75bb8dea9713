"""What became of an operation: a status is a value with a reason, never a bare errno.

A front end maps a status to its own wire (SCSI sense, NBD errno); the mapping lives in
the front end, the meaning lives here.
"""

from __future__ import annotations

import enum
import errno

import attrs

#: How the system says that the place where the bytes go is full.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Code(enum.Enum):
    """The outcomes a device may report. Each says who can act on it."""

    GOOD = "good"
    #: COMPARE_AND_WRITE found other bytes; `Status.offset` is that of the first that differs.
    MISCOMPARE = "miscompare"
    #: The extent reaches past the end of the device: the caller's misuse.
    OUT_OF_RANGE = "out of range"
    #: The device does not do this operation and core can't emulate it.
    UNSUPPORTED = "unsupported"
    #: The medium failed on read: the data at `Status.offset` are lost here.
    READ_ERROR = "read error"
    #: The medium failed on write or flush: nothing may be assumed durable.
    WRITE_ERROR = "write error"
    #: No space left where the bytes go; nothing of the operation need have been applied.
    NO_SPACE = "no space"
    #: Temporary: no quorum, or still opening. The initiator should retry.
    NOT_READY = "not ready"
    #: Another writer holds the volume: this target must not be asked again.
    FENCED = "fenced"
    #: The volume is opened read only.
    READ_ONLY = "read only"
    #: The operation was given up on request and was not, and will never be, applied.
    ABORTED = "aborted"


@attrs.frozen
class Status:
    """The outcome of one operation.

    Attributes:
        code: What happened.
        reason: One sentence for an operator: what, where, what to do. Empty when GOOD.
        offset: Byte offset on the device where it happened, where that is known.
    """

    code: Code
    reason: str = ""
    offset: int | None = None

    @classmethod
    def from_oserror(
        cls, error: OSError, otherwise: Code, reason: str = "", offset: int | None = None
    ) -> Status:
        """Return what an operation ends with that the system refused: NO_SPACE where there is none
        left, `otherwise` for every other reason."""
        return cls(Code.NO_SPACE if error.errno in _FULL else otherwise, reason, offset)

    @property
    def is_good(self) -> bool:
        """True if the operation did what was asked."""
        return self.code is Code.GOOD


#: Shared by every success, so that the fast path allocates nothing and compares by identity.
GOOD = Status(Code.GOOD)
