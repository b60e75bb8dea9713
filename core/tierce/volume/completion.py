"""Waiting until all that was under way at one moment is answered; free while nobody waits."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tierce.block.operation import Request

#: Takes what has been completed; returns what of it counts.
Take = Callable[[list[Request]], list[Request]]


class Completion:
    """What a boundary's completed requests go through.

    Args:
        take: Takes them.
        pending: The requests that are under way, kept up to date by `take`.
    """

    def __init__(self, take: Take, pending: Collection[Request]) -> None:
        self._take = take
        self._pending = pending
        self._earlier: list[tuple[set[Request], Callable[[], None]]] = []
        #: `take` itself, or, while somebody waits, one that looks afterwards.
        self.take: Take = take

    def when_completed(self, call: Callable[[], None]) -> None:
        """Call once all that is pending now has been taken. From within, if nothing is."""
        if not self._pending:
            call()
            return
        self._earlier.append((set(self._pending), call))
        self.take = self._take_and_look

    def _take_and_look(self, requests: list[Request]) -> list[Request]:
        taken = self._take(requests)
        for earlier, _call in self._earlier:
            earlier.difference_update(taken)
        over = [call for earlier, call in self._earlier if not earlier]
        self._earlier = [one for one in self._earlier if one[0]]
        if not self._earlier:
            self.take = self._take
        for call in over:
            call()
        return taken
