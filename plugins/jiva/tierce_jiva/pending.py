"""Requests that can't go on now, in the order in which they came.

What overlaps a pending change and came after it waits behind it: a read must not be answered before
a write that it overlaps, and a comparison must see what was written before it. Other requests pass.
"""

from __future__ import annotations

import attrs

from tierce import Completed, Op, Request
from tierce_jiva.in_flight import InFlight


@attrs.frozen(eq=False)
class Group:
    """Requests of one batch.

    Attributes:
        requests: They.
        completed: Who is told.
        since: When they first came, in seconds.
    """

    requests: list[Request]
    completed: Completed
    since: float


class Pending:
    """What is pending."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        #: What the pending requests would change.
        self.waiting = InFlight()

    def __bool__(self) -> bool:
        return bool(self.groups)

    def add(self, requests: list[Request], completed: Completed, since: float) -> None:
        """Keep requests; `hold` has been called for those that change something."""
        self.groups.append(Group(requests, completed, since))

    def hold(self, request: Request) -> None:
        """What overlaps this one waits behind it from now on."""
        self.waiting.add(request.offset, request.length)

    def take_all(self) -> list[Group]:
        """Return what is pending, to be admitted or kept anew in this order."""
        groups, self.groups = self.groups, []
        self.waiting.clear()
        return groups

    def take_late(self, before: float) -> list[Group]:
        """Return what came before that time, and keep the rest."""
        late = [group for group in self.groups if group.since < before]
        if late:
            self.groups = [group for group in self.groups if group.since >= before]
            self.waiting.clear()
            for group in self.groups:
                for request in group.requests:
                    if request.op not in _HARMLESS:
                        self.hold(request)
        return late


_HARMLESS = frozenset({Op.READ, Op.FLUSH, Op.BLOCK_STATUS})
