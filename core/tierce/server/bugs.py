"""What to do when the supervisor itself fails: go on, and say so."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from tierce.errors import explain
from tierce.spec import Event
from tierce.supervision.repeats import Repeats

#: So many in so many seconds are survived. More come of a loop that is busy for nothing: then the
#: server ends, and its volumes go on.
BUG_COUNT_MAX = 600
BUG_WINDOW_S = 60.0


class Bugs:
    """Takes what a callback of the supervisor's loop raises.

    A bug of ours, or of a plugin that is asked there, must not end who keeps the processes.

    Args:
        clock: Returns CLOCK_MONOTONIC in seconds.
        emit: Reports an event.
        log: Where the whole story is to be found.
    """

    def __init__(
        self, clock: Callable[[], float], emit: Callable[[Event], None], log: Path
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._log = log
        self._times: list[float] = []
        self._repeats = Repeats()

    def survive(self, error: Exception) -> None:
        """Tell of it, once in a while; raise it again if there have been too many."""
        now = self._clock()
        self._times = [at for at in self._times if now - at < BUG_WINDOW_S] + [now]
        if len(self._times) > BUG_COUNT_MAX:
            raise error
        message = f"a bug in Tierce, please report it: {explain(error)} (its story: {self._log})"
        fields = {"traceback": "".join(traceback.format_exception(error))}
        event = Event("serve.bug", message, "process/serve", "error", fields)
        told = self._repeats.take(event, now)
        if told is not None:
            self._emit(told)
