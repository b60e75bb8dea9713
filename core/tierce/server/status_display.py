"""What `tierce serve` shows: how to use each volume, then how all are doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tierce
from tierce.errors import TierceError
from tierce.inventory.engines import Served
from tierce.node.target import read_page
from tierce.reactor import Timer
from tierce.server.conditions import Conditions
from tierce.server.event_log import Console
from tierce.server.inspecting import Inspector, data_folders
from tierce.server.node import Node
from tierce.server.status_line import (
    Totals,
    describe_health,
    describe_rate,
    describe_volume,
    totals,
)

#: Between two live lines: on a terminal, and elsewhere.
TERMINAL_PERIOD_S = 1.0
PLAIN_PERIOD_S = 10.0
#: A look at so many volumes takes its time: it is taken as much more rarely.
VOLUME_COUNT_A_PERIOD = 100
#: Beyond so many volumes the live line tells what all do together.
VOLUME_COUNT_NAMED = 3


class StatusDisplay:
    """The operator's view of one supervisor.

    Args:
        node: What is shown.
        inspector: Says how volumes are used.
        conditions: How they are.
        console: Where.
    """

    def __init__(
        self, node: Node, inspector: Inspector, conditions: Conditions, console: Console
    ) -> None:
        self._node = node
        self._inspector = inspector
        self._conditions = conditions
        self._console = console
        self._shown: set[str] = set()
        self._before: dict[str, Totals] = {}
        self._before_at = 0.0
        self._last = ""
        self._timer: Timer | None = None

    def open(self, adopted_count: int) -> None:
        """Show the head, and begin the live line."""
        config = self._node.inventory.config
        self._console.say(f"Tierce {tierce.__version__} serves {config.file}; Ctrl-C ends it")
        self._console.say(f"data folder {self._node.paths.data}")
        if adopted_count:
            self._console.say(f"{adopted_count} running processes were taken over")
        self._before_at = self._node.reactor.now()
        self._plan_tick()

    def note(self, text: str) -> None:
        """Tell what works and yet should be known."""
        self._console.say(f"note: {text}")

    def reachable(self, volume: str) -> None:
        """A volume can be used now: say how, the first time."""
        served = self._node.inventory.served.get(volume)
        if served is not None and volume not in self._shown:
            self._shown.add(volume)
            self._before[volume] = totals(self._page(volume))
            self._console.say(describe_usage(self._inspector, served))

    def stopping(self, timeout_s: float) -> None:
        """The end has begun."""
        self._cancel()
        self._console.say(f"stopping; each process has {timeout_s:g} s to end orderly")

    def close(self) -> None:
        """Everything has ended."""
        self._cancel()
        self._console.say("stopped")

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan_tick(self) -> None:
        period_s = TERMINAL_PERIOD_S if self._console.is_terminal else PLAIN_PERIOD_S
        rarer = 1 + len(self._node.inventory.served) // VOLUME_COUNT_A_PERIOD
        self._timer = self._node.reactor.call_later(period_s * rarer, self._tick)

    def _tick(self) -> None:
        # Now: a look that fails must not be the last.
        self._plan_tick()
        now = self._node.reactor.now()
        elapsed_s = max(now - self._before_at, 1e-3)
        self._before_at = now
        try:
            text = self._describe_all(elapsed_s)
        except TierceError as error:
            # The state can't be read.
            text = f"error: {error}"
        # Off a terminal an idle server says nothing twice.
        if text and (self._console.is_terminal or text != self._last):
            self._console.live(text)
        self._last = text

    def _describe_all(self, elapsed_s: float) -> str:
        conditions = self._conditions.of_wanted()
        if not conditions:
            return ""
        head = describe_health({name: one.health for name, one in conditions.items()})
        names = list(self._node.inventory.served)
        if len(names) <= VOLUME_COUNT_NAMED:
            return " | ".join([head, *(self._describe(name, elapsed_s) for name in names)])
        sums = Totals(), Totals()
        for name in names:
            before, now, _snapshot = self._count(name)
            # A target that was started anew counts from zero again.
            before = Totals() if now.reads < before.reads or now.writes < before.writes else before
            sums = sums[0].plus(before), sums[1].plus(now)
        return f"{head} | {describe_rate(*sums, elapsed_s)}"

    def _describe(self, name: str, elapsed_s: float) -> str:
        before, _now, snapshot = self._count(name)
        target = self._node.target(name)
        phase = "down" if target is None else target.phase
        return describe_volume(name, phase, snapshot, before, elapsed_s)

    def _page(self, volume: str) -> Mapping[str, Any]:
        return read_page(self._node.paths.page(volume)) or {"stages": {}, "published": {}}

    def _count(self, name: str) -> tuple[Totals, Totals, Mapping[str, Any]]:
        """Return what a volume had done at the last look, what it has done now, and its page."""
        snapshot = self._page(name)
        now = totals(snapshot)
        # What a target that was taken over has done before is told to nobody.
        before = self._before.get(name, now)
        self._before[name] = now
        return before, now, snapshot


def describe_usage(inspector: Inspector, served: Served) -> str:
    """Return the lines that say how a volume came up, how to use it, and where its data lie."""
    volume = served.volume
    usage = inspector.usage(served)
    rows = [("url", usage.pop("url", "")), *usage.items()]
    rows += [("data", folder) for folder in data_folders(served)]
    width = max(len(word) for word, _text in rows)
    how = inspector.how_opened(served)
    lines = [f"volume {volume.name}: {how}; {volume.size_bytes:,} bytes, engine {volume.engine}"]
    lines += [f"  {word:{width}}  {text}" for word, text in rows]
    return "\n".join(lines)
