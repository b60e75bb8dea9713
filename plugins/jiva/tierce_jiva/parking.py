"""Requests that can't go on now, in the order in which they came.

What overlaps a parked change and came after it waits behind it: a read must not be answered before
a write that it overlaps, and a comparison must see what was written before it. Other requests pass.
"""

from __future__ import annotations

import attrs

from tierce import Completed, Op, Request
from tierce_jiva.unsettled import Unsettled


@attrs.frozen(eq=False)
class Group:
    """Requests of one batch.

    Attributes:
        requests: They.
        settled: Whom to tell.
        since: When they first came, in seconds.
    """

    requests: list[Request]
    settled: Completed
    since: float


class Parking:
    """What is parked."""

    def __init__(self) -> None:
        self._groups: list[Group] = []
        #: What the parked requests would change.
        self.waiting = Unsettled()

    def __bool__(self) -> bool:
        return bool(self._groups)

    def park(self, requests: list[Request], settled: Completed, since: float) -> None:
        """Keep requests; `hold` has been called for those that change something."""
        self._groups.append(Group(requests, settled, since))

    def hold(self, request: Request) -> None:
        """What overlaps this one waits behind it from now on."""
        self.waiting.add(request.offset, request.length)

    def take_all(self) -> list[Group]:
        """Return what is parked, to be admitted or parked anew in this order."""
        groups, self._groups = self._groups, []
        self.waiting.clear()
        return groups

    def take_late(self, before: float) -> list[Group]:
        """Return what came before that time, and keep the rest."""
        late = [group for group in self._groups if group.since < before]
        if late:
            self._groups = [group for group in self._groups if group.since >= before]
            self.waiting.clear()
            for group in self._groups:
                for request in group.requests:
                    if request.op not in _HARMLESS:
                        self.hold(request)
        return late


_HARMLESS = frozenset({Op.READ, Op.FLUSH, Op.BLOCK_STATUS})
