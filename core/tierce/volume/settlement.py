"""Waiting until all that was under way at one moment is answered; free while nobody waits."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tierce.block.operation import Request

#: Takes what has been settled; returns what of it counts.
Take = Callable[[list[Request]], list[Request]]


class Settlement:
    """What a boundary's settled requests go through.

    Args:
        take: Takes them.
        parked: The requests that are under way, kept up to date by `take`.
    """

    def __init__(self, take: Take, parked: Collection[Request]) -> None:
        self._take = take
        self._parked = parked
        self._earlier: list[tuple[set[Request], Callable[[], None]]] = []
        #: `take` itself, or, while somebody waits, one that looks afterwards.
        self.take: Take = take

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call once all that is parked now has been taken. From within, if nothing is."""
        if not self._parked:
            call()
            return
        self._earlier.append((set(self._parked), call))
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
