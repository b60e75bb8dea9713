"""What the parts of a target's state machine find out, for the parts above them to see to."""

from __future__ import annotations

from typing import Protocol

import attrs

from tierce_jiva.ballot import Ballot
from tierce_jiva.batch import Batch
from tierce_jiva.links import Link


class Copy(Protocol):
    """An extent on its way to being equal, as who has begun it knows it again."""

    @property
    def extent(self) -> int:
        """Its number."""
        ...


@attrs.frozen
class Trouble:
    """Why an extent is not equal.

    Attributes:
        link: Whose fault it is.
        reason: What the matter is; the extent is named.
        is_unread: It could not read.
        is_full: Its disk is full.
        is_lost: It did not answer: its connection was lost.
    """

    link: Link
    reason: str
    is_unread: bool = False
    is_full: bool = False
    is_lost: bool = False


@attrs.frozen
class Failed:
    """A replica has failed a batch; nobody is judged yet."""

    batch: Batch
    link: Link


@attrs.frozen
class Unjudged:
    """All may have answered this batch, some with a failure."""

    batch: Batch


@attrs.frozen
class AtFault:
    """These failed what others did."""

    links: list[Link]
    reason: str


@attrs.frozen
class Unequal:
    """These extents may differ between the replicas: a write to them failed on every required one,
    or was given up.

    Attributes:
        extents: Offsets and lengths, in bytes.
        lacking: Bits of the links that are not known to have taken them.
    """

    extents: list[tuple[int, int]]
    lacking: int


@attrs.frozen
class LeftUnanswered:
    """These have not answered what is not waited for any more."""

    links: list[Link]


@attrs.frozen
class Flushed:
    """All required replicas have done this flush."""

    flush: Batch


@attrs.frozen
class Unread:
    """A replica could not be read.

    Attributes:
        link: The replica.
        reason: Why not, for operators.
        extents: Offsets and lengths of what could not be, in bytes.
    """

    link: Link
    reason: str
    extents: list[tuple[int, int]]


@attrs.frozen
class Due:
    """It is to be looked who is late, and what can go on.

    Attributes:
        stage: What is found in one is seen to before the next: 0 who hangs, 1 who is at fault and
            what can be opened, 2 what goes on while the target serves.
    """

    stage: int = 0


@attrs.frozen
class Greeted:
    """A replica has said WELCOME.

    Attributes:
        link: The replica.
        promised: The ballot that it has promised so far.
    """

    link: Link
    promised: Ballot


@attrs.frozen
class Promised:
    """A replica has promised our ballot: its link is ready."""

    link: Link


@attrs.frozen
class Refused:
    """A replica has refused something.

    Attributes:
        link: The replica.
        why: As it says it.
        promised: The ballot that it has promised.
        text: What else it says, for operators.
    """

    link: Link
    why: str
    promised: Ballot
    text: str = ""


@attrs.frozen
class Useless:
    """The connection to a replica is of no use any more.

    Attributes:
        link: The replica.
        reason: Why.
        trouble: What operators are to see of it, if that is something else.
        retry_s: How long to wait before it is connected to again.
    """

    link: Link
    reason: str
    trouble: str = ""
    retry_s: float = 0.0


@attrs.frozen
class InForce:
    """The membership that was voted on is in force."""


@attrs.frozen
class Cleared:
    """The marks that were to go at the end are gone, or whoever holds them is lost."""


@attrs.frozen
class Sound:
    """A member is not in doubt any more."""

    link: Link


@attrs.frozen
class FailedAgain:
    """A member could not flush what was written to it again."""

    link: Link


@attrs.frozen
class Doubted:
    """What replicas are copied from is in doubt."""

    reason: str


@attrs.frozen(eq=False)
class CopyEnded:
    """An extent is equal on the replicas, or can't be made so.

    Attributes:
        copy: How it was made equal.
        trouble: What went wrong, or None.
    """

    copy: Copy
    trouble: Trouble | None


@attrs.frozen
class CopyFailed:
    """A replica kept an extent from being made equal."""

    trouble: Trouble


@attrs.frozen
class Proved:
    """The replica that is rebuilt is equal to a member, and has flushed."""

    link: Link


@attrs.frozen
class NotRebuilt:
    """The replica that is rebuilt can't be let in now."""

    link: Link
    reason: str


Finding = (
    Failed
    | Unjudged
    | AtFault
    | Unequal
    | LeftUnanswered
    | Flushed
    | Unread
    | Due
    | Greeted
    | Promised
    | Refused
    | Useless
    | InForce
    | Cleared
    | Sound
    | FailedAgain
    | Doubted
    | CopyEnded
    | CopyFailed
    | Proved
    | NotRebuilt
)
