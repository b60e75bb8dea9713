"""When to tell that something is dropped, or that the peer is not there; without a clock.

Each is told once when it begins and once when it is over, however often it happens meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tierce import Event, Severity

#: A peer that is back sooner is not worth a word: it was restarted.
TROUBLE_S = 10.0
#: Nothing was dropped for so long: that is the end of it.
QUIET_S = 60.0


class Reporter:
    """Makes the events of one exporter.

    Args:
        name: The exporter's name.
        peer: Where it sends to.
    """

    def __init__(self, name: str, peer: str) -> None:
        self._name = name
        self._peer = peer
        self._trouble_since: float | None = None
        self._is_lost = False
        self._seen: Mapping[str, int] = {}
        self._told: Mapping[str, int] = {}
        #: When something was dropped last; None while nothing is.
        self._dropped_at: float | None = None

    def look(self, now: float, trouble: str, dropped: Mapping[str, int]) -> Iterator[Event]:
        """Yield what is to be told now.

        Args:
            now: The time on any clock that never goes back, in seconds; of all calls.
            trouble: Why nothing is sent; empty while all is well.
            dropped: How many were dropped in all, by kind.
        """
        yield from self._look_at_peer(now, trouble)
        yield from self._look_at_drops(now, dropped)

    def _look_at_peer(self, now: float, trouble: str) -> Iterator[Event]:
        if not trouble:
            self._trouble_since = None
            if self._is_lost:
                self._is_lost = False
                yield self._event("exporter.peer-back", f"{self._peer} takes what is sent again")
            return
        if self._trouble_since is None:
            self._trouble_since = now
        if not self._is_lost and now - self._trouble_since >= TROUBLE_S:
            self._is_lost = True
            text = f"nothing can be sent to {self._peer}, it is tried again: {trouble}"
            yield self._event("exporter.peer-lost", text, Severity.WARNING)

    def _look_at_drops(self, now: float, dropped: Mapping[str, int]) -> Iterator[Event]:
        if any(count > self._seen.get(kind, 0) for kind, count in dropped.items()):
            self._seen = dict(dropped)
            if self._dropped_at is None:
                yield self._drops(
                    "exporter.dropping", "drops what it has no room for", Severity.WARNING
                )
            self._dropped_at = now
        elif self._dropped_at is not None and now - self._dropped_at >= QUIET_S:
            self._dropped_at = None
            yield self._drops("exporter.dropping-ended", f"has dropped nothing for {QUIET_S:g} s")

    def _drops(self, code: str, what: str, severity: Severity = Severity.INFO) -> Event:
        fresh = {
            kind: count - self._told.get(kind, 0)
            for kind, count in self._seen.items()
            if count > self._told.get(kind, 0)
        }
        self._told = self._seen
        counts = ", ".join(f"{count} {kind}" for kind, count in fresh.items()) or "none"
        text = f"the exporter {self._name} {what}; more than told before: {counts}"
        return self._event(code, text, severity, dropped=fresh)

    def _event(
        self, code: str, message: str, severity: Severity = Severity.INFO, **fields: object
    ) -> Event:
        fields = {"exporter": self._name, **fields}
        return Event(code, message, f"service/{self._name}", severity, fields)
