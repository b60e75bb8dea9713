"""Where the supervisor's events go: the state, the log, the listeners, the operator's screen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Protocol, TextIO

from tierce.errors import TierceError, harmless
from tierce.process.logs import RotatingLog
from tierce.process.paths import Paths
from tierce.process.telling import log_line, stamped
from tierce.spec import Event
from tierce.state.store import StateStore

#: A terminal that does not know its width is taken to have so many columns.
COLUMNS = 80
#: Events that wait for the next transaction.
PENDING_COUNT_MAX = 1000
#: Events that are shown though nothing is wrong: that something is over, or was done.
GOOD_NEWS = frozenset(
    {
        "config.changed",
        "config.reloaded",
        "node.process.answers",
        "node.process.recovered",
        "portal.listening",
    }
)


class Console:
    """The operator's screen: lines, and one live line that is written over.

    A screen that goes away (a closed terminal, a broken pipe), or was never there, must not end the
    server: from then on nothing is shown.

    Args:
        out: Where to; None if there is nothing.
    """

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._has_live = False
        self.is_terminal = out is not None and out.isatty()

    def close(self) -> None:
        """Show nothing from now on."""
        self._out = None

    def say(self, text: str) -> None:
        """Write a line, or several."""
        self._write(self._clear() + text + "\n")

    def live(self, text: str) -> None:
        """Write over the live line; on what is no terminal, a line."""
        if not self.is_terminal:
            self.say(text)
            return
        # A line that is wrapped could not be written over.
        self._write("\r\x1b[K" + text[: self._columns() - 1])
        self._has_live = True

    def _columns(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            if self._out is not None and (columns := os.get_terminal_size(self._out.fileno())[0]):
                return columns
        return COLUMNS

    def _clear(self) -> str:
        was_live, self._has_live = self._has_live, False
        return "\r\x1b[K" if was_live else ""

    def _write(self, text: str) -> None:
        if self._out is None:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            _silence(self._out)
            self._out = None


def _silence(out: TextIO) -> None:
    """Lead a file that can't be written elsewhere: what it still buffers would be tried again
    when it is closed, and fail the server's orderly end."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nothing, out.fileno())
        os.close(nothing)


class Hearing(Protocol):
    """Who hears of every event (tierce.server.listeners)."""

    def hear(self, event: Event) -> None:
        """Take an event; never waits."""
        ...

    def close(self) -> None:
        """End."""
        ...


class EventLog:
    """Takes events and carries them on, in order, off the caller's path.

    Args:
        paths: Where the log lies.
        store: The state.
        console: Warnings and errors are shown there, and what ends one.
        soon: Calls a function once, soon.
    """

    def __init__(
        self,
        paths: Paths,
        store: StateStore,
        console: Console,
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._console = console
        self._soon = soon
        #: Who hears of every event.
        self.listeners: Hearing | None = None
        self._pending: list[Event] = []
        self._left_out = 0
        #: Events that the state has not; their numbers are left out there.
        self._unrecorded = 0
        self._is_store_failing = False
        self._log = RotatingLog(paths.log("serve"))

    def emit(self, event: Event) -> None:
        """Take an event; never waits. A flood of them is cut short, not the server."""
        if len(self._pending) >= PENDING_COUNT_MAX:
            self._left_out += 1
            return
        self._pending.append(stamped(event))
        if len(self._pending) == 1:
            self._soon(self.flush)

    def flush(self) -> None:
        """Carry on what has come."""
        events, self._pending = self._pending, []
        if not events:
            return
        left_out = self._left_out
        if left_out:
            message = f"{self._left_out} events came too fast and were left out"
            left = Event("serve.events-left-out", message, "process/serve", "warning")
            events.append(stamped(left))
            self._left_out = 0
            self._unrecorded += left_out
        self._log.write(log_line("serve", event) for event in events)
        self._record(events)
        for event in events:
            if event.severity != "info":
                self._console.say(f"{event.severity}: {harmless(event.message)}")
            elif event.code in GOOD_NEWS:
                self._console.say(f"note: {harmless(event.message)}")
            if self.listeners is not None:
                self.listeners.hear(event)

    def _record(self, events: list[Event]) -> None:
        """Keep events in the state; that it can't be written is told once, and when it is over."""
        try:
            self._store.record(events, skipped=self._unrecorded)
        except TierceError as error:
            if not self._is_store_failing:
                self._console.say(f"error: events can't be recorded: {error}")
            self._is_store_failing = True
            self._unrecorded += len(events)
        else:
            self._unrecorded = 0
            if self._is_store_failing:
                self._console.say("note: events are recorded again")
            self._is_store_failing = False

    def close(self) -> None:
        """Carry on what has come, and close the log."""
        self.flush()
        if self.listeners is not None:
            self.listeners.close()
        self._log.close()
