"""Where commands have events from: the running server, or the state that one has left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from tierce.errors import TemporaryError
from tierce.process.client import ask, is_running
from tierce.process.paths import Paths
from tierce.state.reading import read_events

#: The server gives as many at once.
PORTION = 256
#: A server that says nothing for so long is taken to hang.
PATIENCE_S = 5.0
#: Between two looks.
PERIOD_S = 0.5

Event = dict[str, Any]
#: Says of an event whether it is wanted.
Wanted = Callable[[Event], bool]


@attrs.frozen
class Look:
    """One look at the events.

    Attributes:
        events: Some events in order, each with its "sequence".
        last: The number of the last one of all.
        is_served: A server has answered; else they are what the last one has left.
        missing: How many between the first one and the last are not there, where it was counted.
    """

    events: tuple[Event, ...]
    last: int
    is_served: bool
    missing: int = 0


class EventSource:
    """The events of a data folder.

    Args:
        data: The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data

    def after(self, sequence: int) -> Look:
        """Return the first events after that number, `PORTION` at most.

        Raises:
            TemporaryError: The server does not answer.
            UsageError: There is no such data folder.
            FormatError: No server runs, and the state can't be read.
        """
        message = {"do": "events", "after": sequence}
        try:
            rows, answer = ask(self._data, message, patience_s=PATIENCE_S)
        except TemporaryError:
            if is_running(self._data):
                raise
            events, last = read_events(Paths(self._data).state, sequence, PORTION)
            return Look(tuple(events), last, is_served=False)
        found = [event for row in rows for event in row["events"]]
        return Look(tuple(found), int(answer.get("last", 0)), is_served=True)

    def newest(self, count: int, is_wanted: Wanted, since: float) -> Look:
        """Return the last `count` events that are wanted, and not older than `since`.

        Args:
            count: How many at most.
            is_wanted: Says of an event whether it is.
            since: Seconds since the epoch.
        """
        look = self.after(0)
        oldest = look.events[0]["sequence"] if look.events else look.last + 1
        found: list[Event] = []
        end, missing = look.last + 1, 0
        while end > oldest and len(found) < count:
            start = max(end - PORTION, oldest)
            events = [one for one in self.after(start - 1).events if one["sequence"] < end]
            missing += end - start - len(events)
            found = [one for one in events if one["time"] >= since and is_wanted(one)] + found
            if events and events[0]["time"] < since:
                break
            end = start
        newest = tuple(found[max(len(found) - count, 0) :])
        return attrs.evolve(look, events=newest, missing=missing)


def following(
    source: EventSource,
    look: Look,
    note: Callable[[str], None],
    wait: Callable[[float], None],
) -> Iterator[Event]:
    """Yield what happens from now on, over restarts of the server. Never ends.

    Args:
        source: The events.
        look: What is known already.
        note: Gets what is to be told besides: a server that is gone, or back; what is missing.
        wait: Waits so many seconds.
    """
    place, is_served, trouble = look.last, look.is_served, ""
    while True:
        try:
            look = source.after(place)
        except TemporaryError as error:
            # A server that hangs, or ends just now, may answer the next time.
            if str(error) != trouble:
                trouble = str(error)
                note(trouble)
            wait(PERIOD_S)
            continue
        trouble = ""
        if look.is_served != is_served:
            is_served = look.is_served
            note("a server runs again" if is_served else "no server runs; waiting for one")
        if look.last < place:
            note("the state was made anew: its events begin with number 1")
            place = 0
            continue
        for event in look.events:
            missing = event["sequence"] - place - 1
            if missing:
                note(f"{missing} events are missing before number {event['sequence']}")
            place = event["sequence"]
            yield event
        if not look.events:
            wait(PERIOD_S)
