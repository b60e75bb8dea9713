"""Waiting, but not for ever, until what is given up can't be applied any more.

An aborted task, a reset, a logout and a login that replaces a session are answered only when no
write that they end can be applied after the answer: each is complete in the device, and the device
has nothing left that it answered without knowing (`tierce.when_quiet`). An initiator waits some
seconds for such an answer and then does worse things; so there is an answer within
`COMPLETION_TIMEOUT_S` in any case, if only that it can't be done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tierce import Device, Timer, when_quiet
from tierce_iscsi.tasks import Drain

#: Linux waits 15 s for an abort and for a login, 30 s for a reset; an answer comes within 10.
COMPLETION_TIMEOUT_S = 9.0


class Quiet:
    """Asks a device when it is quiet, one question at a time, however many want to know.

    Args:
        device: The top of the volume's pipeline.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        #: Those whom the question that was asked is for, and those who came after it.
        self._asked: dict[Callable[[], None], None] = {}
        self._waiting: dict[Callable[[], None], None] = {}
        self._is_asked = False

    @property
    def waiting_count(self) -> int:
        """How many want to know."""
        return len(self._asked) + len(self._waiting)

    def wait(self, done: Callable[[], None]) -> None:
        """Call `done` once nothing that was answered so far can be applied any more."""
        self._waiting[done] = None
        self._ask()

    def forget(self, done: Callable[[], None]) -> None:
        """This one does not want to know any more: the device may take for ever."""
        self._asked.pop(done, None)
        self._waiting.pop(done, None)

    def _ask(self) -> None:
        if self._waiting and not self._is_asked:
            self._asked, self._waiting = self._waiting, {}
            self._is_asked = True
            when_quiet(self._device, self._answer)

    def _answer(self) -> None:
        self._is_asked = False
        asked, self._asked = self._asked, {}
        for done in asked:
            done()
        # Those who came meanwhile want to know of later answers too.
        self._ask()


class CompletionHost(Protocol):
    """Who knows the time and the device."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, `delay_s` seconds from now."""
        ...

    def when_quiet(self, done: Callable[[], None]) -> None:
        """See `Quiet.wait`."""
        ...

    def forget(self, done: Callable[[], None]) -> None:
        """See `Quiet.forget`."""
        ...


class Completion:
    """One wait. Give tasks up with `drain`, then `start`.

    Args:
        host: Who knows the time and the device.
        done: Called once, when nothing can be applied any more; it may be from within `start`.
        expired: Called instead when it takes too long: what is not complete goes on.
        issuer: See `Drain`.
    """

    def __init__(
        self,
        host: CompletionHost,
        done: Callable[[], None],
        expired: Callable[[], None],
        issuer: object = None,
    ) -> None:
        self.drain = Drain(self._drained, issuer)
        self._host = host
        self._done: Callable[[], None] | None = done
        self._expired: Callable[[], None] | None = expired
        self._timer: Timer | None = None

    def start(self) -> None:
        """All has been given up."""
        self._timer = self._host.call_later(COMPLETION_TIMEOUT_S, self._expire)
        self.drain.start()

    def _drained(self) -> None:
        self._host.when_quiet(self._finish)

    def _finish(self) -> None:
        done = self._done
        if done is not None:
            self._end()
            done()

    def _expire(self) -> None:
        expired = self._expired
        if expired is not None:
            self._end()
            self.drain.cancel()
            self._host.forget(self._finish)
            expired()

    def _end(self) -> None:
        self._done = self._expired = None
        if self._timer is not None:
            self._timer.cancel()
