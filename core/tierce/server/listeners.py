"""Plugins that hear of every event, each on a thread of its own.

What a stranger's listener does, none of it may hold the supervisor's loop: one that is slow gets
its events later, one that hangs is given no more once its queue is full, and how many that are is
told. One that raises is told of and not called again before the config file is read again.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable

from tierce.process.inbox import Inbox
from tierce.reactor import Reactor
from tierce.registry import Listener, Registry
from tierce.spec import Event

#: Events that wait for one listener; one more is left out, and counted.
WAITING_COUNT_MAX = 1000
#: How often it is told that a listener is behind.
TOLD_PERIOD_S = 60.0
#: At the end of the server the listeners have so long to hear the last events, all together.
CLOSE_TIMEOUT_S = 1.0


class Listeners:
    """All listeners of a server.

    Args:
        reactor: The loop.
        emit: Reports an event.
    """

    def __init__(self, reactor: Reactor, emit: Callable[[Event], None]) -> None:
        self._now = reactor.now
        self._emit = emit
        self._inbox = Inbox(reactor)
        self._mailboxes: list[Mailbox] = []

    def use(self, registry: Registry) -> None:
        """Tell the listeners of these plugins from now on; the ones before hear what waits.

        Who listened before goes on where it was, on its thread: one that hangs must not take
        another one with each reload.
        """
        before = {one.plugin: one for one in self._mailboxes if one.is_heard}
        self._mailboxes = []
        for listener in registry.listeners:
            mailbox = before.pop(listener.plugin, None)
            if mailbox is None:
                mailbox = Mailbox(listener, self._post_failure)
            mailbox.listener = listener
            self._mailboxes.append(mailbox)
        for mailbox in before.values():
            mailbox.end()

    def hear(self, event: Event) -> None:
        """Tell every listener of an event; never waits."""
        for mailbox in self._mailboxes:
            mailbox.put(event)
            if lost := mailbox.lost_to_tell(self._now()):
                self._emit(_behind(mailbox.plugin, lost))

    def close(self) -> None:
        """Let them hear what waits, those that can, and end."""
        for mailbox in self._mailboxes:
            mailbox.end()
        until = time.monotonic() + CLOSE_TIMEOUT_S
        for mailbox in self._mailboxes:
            mailbox.join(max(until - time.monotonic(), 0.0))
        self._mailboxes = []
        self._inbox.close()

    def _post_failure(self, mailbox: Mailbox, error: BaseException) -> None:
        self._inbox.post(lambda: self._failed(mailbox, error))

    def _failed(self, mailbox: Mailbox, error: BaseException) -> None:
        mailbox.has_failed = True
        message = mailbox.listener.give_up(error)
        subject = f"plugin/{mailbox.plugin}"
        # For the log: the screen shows the message alone.
        fields = {"traceback": "".join(traceback.format_exception(error))}
        self._emit(Event("plugin.listener-failed", message, subject, "error", fields))


class Mailbox:
    """What one listener has not heard yet, and the thread that tells it.

    Args:
        listener: The listener; another one of its plugin may take its place.
        failed: Takes what it raises; called from that thread.
    """

    def __init__(
        self, listener: Listener, failed: Callable[[Mailbox, BaseException], None]
    ) -> None:
        self.listener = listener
        self.has_failed = False
        self._has_raised = False
        self._report = failed
        self._waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._lost = 0
        self._told_at: float | None = None
        self._is_full = False
        self._thread: threading.Thread | None = None

    @property
    def is_heard(self) -> bool:
        """False once it has failed, though the loop may not have been told yet."""
        return not self._has_raised and not self.has_failed

    @property
    def plugin(self) -> str:
        """The plugin that listens."""
        return self.listener.plugin

    def put(self, event: Event) -> None:
        """Have it told, or count that it is not; never waits."""
        if self.has_failed:
            return
        self._is_full = self._waiting.qsize() >= WAITING_COUNT_MAX
        if self._is_full:
            self._lost += 1
            return
        self._waiting.put(event)
        if self._thread is None:
            name = f"listener {self.plugin}"
            # It may hang: it must not keep the server from ending.
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def lost_to_tell(self, now: float) -> int:
        """Return how many events it was not told of, if that is to be said now: at once, each
        minute while it goes on, and when there is room again."""
        is_due = self._told_at is None or now - self._told_at >= TOLD_PERIOD_S
        if not self._lost or (self._is_full and not is_due):
            return 0
        lost, self._lost = self._lost, 0
        self._told_at = now if self._is_full else None
        return lost

    def end(self) -> None:
        """Have it told what waits, and nothing more."""
        self._waiting.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for that, so long at most."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self.listener.hear(event)
            except BaseException as error:  # noqa: BLE001 - it is told, and ends this thread alone
                self._has_raised = True
                self._report(self, error)
                return


def _behind(plugin: str, lost: int) -> Event:
    how_many = "1 event was" if lost == 1 else f"{lost} events were"
    message = (
        f"plugin {plugin}: its event listener is slow or hangs, and {how_many} not given to it; "
        "what takes time belongs into a service"
    )
    return Event("plugin.listener-behind", message, f"plugin/{plugin}", "warning")
