"""One call after the other on a thread of its own: what may wait for somebody else.

Its thread is never waited for: a name server that hangs, or a server that does not answer, does not
keep a service from stopping.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

Result = TypeVar("Result")


@attrs.frozen
class Outcome(Generic[Result]):
    """What became of a call.

    Attributes:
        result: What it returned; None if it raised.
        error: What it raised.
    """

    result: Result | None = None
    error: Exception | None = None


class Aside(Generic[Result]):
    """Makes calls, one at a time.

    Args:
        name: The thread's name.
        done: Called when one has ended, on that thread.
    """

    def __init__(self, name: str, done: Callable[[], None]) -> None:
        self._done = done
        self._calls: queue.SimpleQueue[Callable[[], Result]] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome[Result]] = queue.SimpleQueue()
        #: True from `start` until `outcome` has returned what became of it.
        self.is_busy = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def start(self, call: Callable[[], Result]) -> None:
        """Make a call; not while one is made."""
        assert not self.is_busy, "one at a time"
        self.is_busy = True
        self._calls.put(call)

    def outcome(self) -> Outcome[Result] | None:
        """Return what became of the call, once; None while it is made, or there is none."""
        try:
            found = self._outcomes.get_nowait()
        except queue.Empty:
            return None
        self.is_busy = False
        return found

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            try:
                self._outcomes.put(Outcome(call()))
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                self._outcomes.put(Outcome(error=error))
            self._done()
