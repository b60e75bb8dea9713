"""What the target's side asks for: files at hand, and actions.

No part of it calls the one above: what it has to say it adds to the `Agenda`. There are two kinds.
A *finding* is for the state machine itself: `Replicator` hands it to whom it concerns when the
part that found it has returned. An *action* is for the shell, which carries it out when the event
is over. So nothing is changed below the feet of whoever is at work.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from tierce import Completed, Event, Request, VolumeStatus
from tierce_jiva.findings import Finding
from tierce_jiva.links import Head, Link


class LocalReader(Protocol):
    """Reads replicas' files on this machine, on the data thread."""

    def read_cached(self, head: Head, requests: list[Request]) -> list[Request] | None:
        """Fill what is in the page cache; return the requests that are not, or None if that file
        can't be found here."""
        ...


@attrs.frozen
class Report:
    """Tell operators of an event."""

    event: Event


@attrs.frozen
class Publish:
    """Show operators how the replicas are."""

    shown: VolumeStatus


@attrs.frozen
class Hangup:
    """Close the connection, and connect anew, after `retry_s` at the earliest."""

    name: str
    reason: str
    retry_s: float = 0.0


@attrs.frozen(eq=False)
class ReadFile:
    """Fill the requests from a file of this machine on a worker thread, then call `file_read`: one
    that failed has a status then, the others none.

    Attributes:
        link: Whose file it is.
        head: The file.
        requests: They.
        completed: Who is told.
        since: When they first came, in seconds.
        unrest: The number of `Links.unrest` when they were asked for.
        order: The number of the last frame then.
    """

    link: Link
    head: Head
    requests: list[Request]
    completed: Completed
    since: float
    unrest: int
    order: int


@attrs.frozen
class ForgetFile:
    """Let the file go once it is not read any more: who told of it is no longer connected."""

    head: Head


@attrs.frozen
class Fence:
    """Another target has the volume: this one ends for good."""

    reason: str


@attrs.frozen
class Restart:
    """There is no way on but a fresh opening: the process ends and is started again."""

    reason: str


@attrs.frozen
class End:
    """The volume is closed."""


Action = Report | Publish | Hangup | ReadFile | ForgetFile | Fence | Restart | End


class Agenda:
    """What an event leaves to be done.

    Attributes:
        findings: For the state machine itself, in order.
        actions: For the shell, in order.
        completed: For the shell: requests that have their status, by whom to tell. Not those that
            had it when `submit` returned.
        may_admit: Something has changed: pending requests may be admitted now.
        has_mended: An extent is as it should be again.
        must_repair: There may be an extent that can be made equal now.
        must_refresh: Something has changed that decides who must hold what.
        must_show: Something has changed that operators see.
    """

    __slots__ = (
        "actions",
        "completed",
        "findings",
        "has_mended",
        "may_admit",
        "must_refresh",
        "must_repair",
        "must_show",
    )

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.actions: list[Action] = []
        self.completed: dict[Completed, list[Request]] = {}
        self.may_admit = False
        self.has_mended = False
        self.must_repair = False
        self.must_refresh = False
        self.must_show = False

    @property
    def is_stirred(self) -> bool:
        """True if there is something that the state machine itself has to see to."""
        return self.must_weigh or self.must_repair

    @property
    def must_weigh(self) -> bool:
        """True if something was found out."""
        return bool(self.findings) or self.must_refresh or self.has_mended

    def complete(self, requests: list[Request], completed: Completed) -> None:
        """These have their status. The list is kept and may be lengthened: nobody else has it."""
        self.may_admit = True
        known = self.completed.get(completed)
        if known is None:
            self.completed[completed] = requests
        else:
            known += requests

    def take_actions(self) -> list[Action]:
        """Return what the shell has to do, and forget it."""
        actions, self.actions = self.actions, []
        return actions

    def take_completed(self) -> dict[Completed, list[Request]]:
        """Return whom to tell of what, and forget it."""
        completed, self.completed = self.completed, {}
        return completed
