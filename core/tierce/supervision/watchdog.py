"""Asks every process, now and then, whether it is there (see tierce.supervision.pulse)."""

from __future__ import annotations

from collections.abc import Callable

from tierce.config import Limits
from tierce.errors import ProtocolError
from tierce.process.messages import Message
from tierce.process.plan import Role
from tierce.process.process_loop import subject_of
from tierce.process.whereabouts import Whereabouts
from tierce.reactor import Reactor, Timer
from tierce.spec import Event
from tierce.supervision.child import Child
from tierce.supervision.children import Children
from tierce.supervision.pulse import Verdict

#: A look that comes later than it was due by as much means that this process, or the whole
#: machine, slept meanwhile: nobody else is to blame for it.
LATE_S = 2.0


class Watchdog:
    """The supervisor's watch over processes that live and do nothing.

    Args:
        children: The processes.
        reactor: The loop.
        whereabouts: Asks a silent process where it is.
        emit: Reports an event.
        changed: Called when a process falls silent or answers again.
        limits: How long they may be silent.
    """

    def __init__(
        self,
        children: Children,
        reactor: Reactor,
        whereabouts: Whereabouts,
        *,
        emit: Callable[[Event], None],
        changed: Callable[[Child], None],
        limits: Limits,
    ) -> None:
        self._children = children
        self._reactor = reactor
        self._whereabouts = whereabouts
        self._emit = emit
        self._changed = changed
        self.limits = limits
        self._due = 0.0
        self._timer: Timer | None = None

    def use(self, limits: Limits) -> None:
        """Take other limits, now."""
        self.limits = limits
        if self._timer is not None:
            # The next look was planned by the old ones.
            self._timer.cancel()
            self.start()

    def start(self) -> None:
        """Begin to ask."""
        period_s = self.limits.silence_told_s / 2
        self._due = self._reactor.now() + period_s
        self._timer = self._reactor.call_later(period_s, self._look)

    def stop(self) -> None:
        """Ask no more; what is asked to stop has a time limit of its own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = self._reactor.now()
        has_slept = now - self._due > LATE_S
        # Now: a look that fails must not be the last.
        self.start()
        for child in self._children.all():
            if child.peer is not None:
                # An answer that lies there unread is one.
                child.peer.drain()
            if has_slept:
                child.pulse.forgive(now)
            # What does a work answers when that is over; who gave it tells how long it takes.
            is_working = child.plan.role is Role.WORK and child.phase == "up"
            is_there = child.pid and child.peer is not None and child.stop_asked_at is None
            if is_there and not is_working:
                self._attend(child, now)

    def _attend(self, child: Child, now: float) -> None:
        limits = self.limits
        verdict = child.pulse.judge(
            now, tell_s=limits.silence_told_s, kill_s=limits.silence_killed_s
        )
        if verdict is Verdict.ASK:
            self._ask(child, now)
        elif verdict is Verdict.TELL:
            child.pulse.is_told = True
            silence = self._silence(child, now)
            self._tell(
                child, f"has not answered for {silence}{self._where(child)}: {_advice(child)}"
            )
            self._changed(child)
        elif verdict is Verdict.KILL:
            self._kill(child, now)
        elif child.pulse.is_half_silent(now, tell_s=limits.silence_told_s):
            child.pulse.where_from = self._whereabouts.ask(child.plan.name, child.pidfd)

    def _ask(self, child: Child, now: float) -> None:
        pulse, peer = child.pulse, child.peer
        assert peer is not None, "who is asked is connected"

        def answered(_answer: Message) -> None:
            if not peer.is_open:
                # Nobody was asked after all: the connection has gone, and will be made anew.
                pulse.asked_at = None
            elif pulse.answered():
                self._tell(child, "answers again", "info")
                self._changed(child)

        pulse.asked(now, tell_s=self.limits.silence_told_s)
        try:
            peer.ask({"do": "ping"}, answered)
        except ProtocolError:
            # No descriptor is left on our side: it is not to blame.
            pulse.asked_at = None

    def _kill(self, child: Child, now: float) -> None:
        silence = self._silence(child, now)
        if child.killed_at is None:
            child.reason = f"it had not answered for {silence} and was killed"
            self._children.kill_silent(child)
        elif not child.pulse.is_stuck_told:
            # It should have been gone by the look before this one.
            child.pulse.is_stuck_told = True
            why = "it waits in the kernel, perhaps for a disk"
            self._tell(
                child, f"has not answered for {silence}, was killed, and is still there: {why}"
            )

    def _where(self, child: Child) -> str:
        found = self._whereabouts.read(child.plan.name, child.pulse.where_from or 0)
        return f", it is in {found}" if found else ""

    def _silence(self, child: Child, now: float) -> str:
        assert child.pulse.asked_at is not None, "who is silent was asked"
        return f"{now - child.pulse.asked_at:.0f} s"

    def _tell(self, child: Child, what: str, severity: str = "error") -> None:
        name = child.plan.name
        code = "node.process.answers" if severity == "info" else "node.process.silent"
        fields = {"pid": child.pid}
        message = f"{name} (process {child.pid}) {what}"
        self._emit(Event(code, message, subject_of(child.plan), severity, fields))


def _advice(child: Child) -> str:
    if child.pulse.has_answered:
        return "it is stopped, or hangs; it is killed and started anew if that lasts"
    return "it is still starting, perhaps it waits for a disk"
