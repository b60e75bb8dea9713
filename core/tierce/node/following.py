"""A service's place in the server's events: what it was given, what is next, what is lost.

The server's state numbers every event, and keeps the last ones durably; so a place is a number,
and holds over restarts of the server, of what it watches, and of the service itself. A gap in the
numbers is what is lost. The place is kept in a file when the next events are asked for: a service
that ended before gets the last ones again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tierce.codec import from_json
from tierce.errors import ProtocolError, TierceError
from tierce.process.messages import Message
from tierce.process.paths import replace_file
from tierce.services import Events, RecordedEvent
from tierce.spec import Event

#: Asks the server: (message) -> rows and answer. Raises TierceError if it is not there.
Ask = Callable[[Message], tuple[list[dict[str, Any]], dict[str, Any]]]


class Follower:
    """Reads the events of the server one after the other.

    Args:
        path: Where the place is kept.
        ask: Asks the server.
    """

    def __init__(self, path: Path, ask: Ask) -> None:
        self._path = path
        self._ask = ask
        #: The number of the last event that was given; None before the first.
        self._place = _read_place(path)
        self._kept = self._place

    def events(self) -> Events:
        """Return what has happened since the last call; nothing while no server answers."""
        self._keep()
        message: Message = {"do": "events"}
        if self._place is not None:
            message["after"] = self._place
        try:
            rows, answer = self._ask(message)
        except TierceError:
            # It is asked again with the next call: the place stays.
            return Events(())
        last = int(answer.get("last", 0))
        if self._place is None:
            self._place = last
            return Events(())
        if last < self._place:
            # The state was made anew, and its numbers with it.
            self._place = 0
            return self.events()
        found = tuple(_recorded(one) for row in rows for one in row["events"])
        lost = _count_gaps(self._place, (one.sequence for one in found))
        if found:
            self._place = found[-1].sequence
        return Events(found, lost)

    def _keep(self) -> None:
        if self._place is None or self._place == self._kept:
            return
        # On a full disk a service that starts again is given more of what it knows.
        with contextlib.suppress(OSError):
            replace_file(self._path, str(self._place).encode())
            self._kept = self._place


def _count_gaps(place: int, numbers: Iterable[int]) -> int:
    lost = 0
    for number in numbers:
        lost += number - place - 1
        place = number
    return lost


def _recorded(values: Mapping[str, Any]) -> RecordedEvent:
    try:
        event = from_json(Event, values)
    except ProtocolError:
        event = Event("event.unreadable", "an event can't be read", "process/serve", "warning")
    return RecordedEvent(int(values["sequence"]), float(values["time"]), event)


def _read_place(path: Path) -> int | None:
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None
