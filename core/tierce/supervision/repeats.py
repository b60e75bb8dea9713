"""What a process tells again and again in the same words is told once, and then by count."""

from __future__ import annotations

import attrs

from tierce.spec import Event

#: The same words are told once in so many seconds.
REPEAT_S = 60.0
#: So many are remembered; the one that was not heard for longest is forgotten first.
REPEAT_COUNT_MAX = 1000


@attrs.define
class _Told:
    """An event that was told.

    Attributes:
        at: When; CLOCK_MONOTONIC.
        count: How many came since that said the same.
    """

    at: float
    count: int = 0


class Repeats:
    """Finds warnings and errors that say word for word what another has just said."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, str], _Told] = {}

    def take(self, event: Event, now: float) -> Event | None:
        """Return the event as it is to be told, None if it is only counted."""
        if event.severity == "info":
            return event
        key = (event.code, event.subject, event.message)
        told = self._told.pop(key, None)
        if told is not None and now - told.at < REPEAT_S:
            told.count += 1
            self._told[key] = told
            return None
        self._told[key] = _Told(now)
        while len(self._told) > REPEAT_COUNT_MAX:
            # The one that nothing has been heard of for longest.
            del self._told[next(iter(self._told))]
        if told is None or not told.count:
            return event
        return attrs.evolve(event, message=f"{event.message} ({told.count} more times before)")
