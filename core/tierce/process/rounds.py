"""Rounds of a loop that took too long, and what ran in them: all that a process serves has waited
meanwhile.

The loop reads the clock when it wakes up, and before it sleeps again where it has a timer. What ran
is known by whoever timed itself anyway and says so (`Reactor.held`: the stages of a volume,
commands), else by the names of what the loop called. A machine that gives a process no CPU, or a
signal that stops it, makes a round long too: nothing is named then but what was under way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from tierce.reactor import Reactor
from tierce.spec import Event
from tierce.volume.recurring import Recurring

#: A round that took longer is told.
ROUND_NS = 250_000_000
#: So many names are told of one round.
_NAME_COUNT_MAX = 4
_NS_PER_MS = 1_000_000


class Rounds:
    """What is known of the rounds of one loop; tells nobody until `use`."""

    def __init__(self) -> None:
        self._told: Callable[[int, str], None] = lambda _elapsed_ns, _what: None
        #: In the order in which they ended, so that what lies deepest comes first.
        self._held: list[tuple[str, int]] = []
        self._round_ns = 0

    def use(self, told: Callable[[int, str], None]) -> None:
        """Tell of them: how long one took, and what ran in it."""
        self._told = told

    def held(self, round_ns: int, what: str, elapsed_ns: int) -> None:
        """Note what has taken long in the round that began then. What only contains the long one is
        not noted."""
        if round_ns != self._round_ns:
            self._round_ns = round_ns
            self._held.clear()
        if all(took_ns * 10 < elapsed_ns * 9 for _what, took_ns in self._held):
            self._held.append((what, elapsed_ns))

    def tell(self, round_ns: int, elapsed_ns: int, called: Iterable[Callable[..., Any]]) -> None:
        """The round that began then has taken too long.

        Args:
            round_ns: When it began.
            elapsed_ns: How long it took.
            called: What the loop has called in it.
        """
        held = self._held if round_ns == self._round_ns else []
        longest = sorted(held, key=lambda one: -one[1])[:_NAME_COUNT_MAX]
        names = [f"{what} {took_ns // _NS_PER_MS} ms" for what, took_ns in longest]
        if not names:
            names = sorted({name_of(call) for call in called})[:_NAME_COUNT_MAX]
        self._told(elapsed_ns, ", ".join(names) or "nothing that is known")


class SlowRounds:
    """Tells the slow rounds of a process: the first at once, then once a minute how many more.

    Args:
        process: Its name.
        subject: What the event is about.
        reactor: Its loop.
        emit: Reports an event.
    """

    def __init__(
        self, process: str, subject: str, reactor: Reactor, emit: Callable[[Event], None]
    ) -> None:
        self._process = process
        self._subject = subject
        self._emit = emit
        self._last: dict[str, Any] = {}
        self._recurring = Recurring[None](reactor, self._tell)

    def take(self, elapsed_ns: int, what: str) -> None:
        """A round has taken so long, and this ran in it."""
        took_ms = elapsed_ns // _NS_PER_MS
        self._last = {"took_ms": took_ms, "in": what}
        self._recurring.take(
            None,
            f"{self._process}: its loop was held up for {took_ms} ms, in {what}; all that it "
            "serves waited so long",
        )

    def _tell(self, _kind: None, message: str, more: int) -> None:
        again = f" ({more} more times since this was told)" if more else ""
        fields = {**self._last, "more": more}
        self._emit(Event("node.process.held-up", message + again, self._subject, "warning", fields))


def name_of(call: Callable[..., Any]) -> str:
    """Return what is called, as its author knows it: "JivaDevice._tick of tierce_jiva.device"."""
    while isinstance(call, functools.partial):
        call = call.func
    name = getattr(call, "__qualname__", type(call).__qualname__)
    return f"{name.replace('.<locals>', '')} of {getattr(call, '__module__', 'builtins')}"
