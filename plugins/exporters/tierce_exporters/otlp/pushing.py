"""One thread that sends, and what is handed to it.

Whoever collects never waits for a collector: records go into a queue of a fixed length, and of what
is counted only the newest is kept, which holds all that was before. The thread sends one thing
after the other; what failed is sent again after a growing pause, traces and metrics each for
itself, since one of them may be what a collector does not take. It may be stuck in a sending for as
long as that may take, and nobody waits for it in the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from tierce_exporters.otlp.destination import Signal
from tierce_exporters.otlp.verdict import Verdict
from tierce_exporters.otlp.waiting import News, Record, Waiting

#: The longest pause after a sending that failed; the first one is a second, each next one twice as
#: long.
PAUSE_S_MAX = 30.0


class Sending(Protocol):
    """What the pusher sends by."""

    def send_spans(self, spans: Sequence[ReadableSpan]) -> Verdict:
        """Send spans."""
        ...

    def send_metrics(self, data: MetricsData) -> Verdict:
        """Send metrics."""
        ...


@attrs.define(eq=False)
class _Lane:
    """One kind of what is sent.

    Attributes:
        signal: Which.
        has_something: Says whether something waits.
        push: Sends the first of it.
        failures: How many sendings have failed since the last that did not.
        next_s: Not before then.
    """

    signal: Signal
    has_something: Callable[[], bool]
    push: Callable[[], Verdict]
    failures: int = 0
    next_s: float = 0.0


class Pusher:
    """Sends what it is handed.

    Args:
        sender: Sends it.
        to_spans: Makes spans of records.
        tell: Called when sending begins to fail (False) and goes well again (True).
        tell_news: Called when leaving out begins, and when it is over.
        clock: Returns seconds that only grow.

    Attributes:
        sent: How many records have arrived.
    """

    def __init__(
        self,
        sender: Sending,
        to_spans: Callable[[Sequence[Record]], Sequence[ReadableSpan]],
        tell: Callable[[Signal, bool], None],
        tell_news: Callable[[News], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._to_spans = to_spans
        self._tell = tell
        self._tell_news = tell_news
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting = Waiting()
        self._metrics: Callable[[], MetricsData] | None = None
        self._lanes = (
            _Lane(Signal.METRICS, lambda: self._metrics is not None, self._push_metrics),
            _Lane(Signal.TRACES, lambda: bool(self._waiting), self._push_records),
        )
        self._is_over = False
        self.sent = 0

    @property
    def dropped(self) -> int:
        """How many records were left out."""
        return self._waiting.dropped

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, records: Sequence[Record]) -> None:
        """Let records wait; the oldest go if there are too many."""
        with self._changed:
            self._waiting.add(records)
            news = self._waiting.news()
            self._changed.notify()
        self._tell_all(news)

    def show(self, metrics: Callable[[], MetricsData]) -> None:
        """Let what is counted wait, instead of what was before; it is made when it is sent."""
        with self._changed:
            self._metrics = metrics
            self._changed.notify()

    def finish(self) -> None:
        """Send what is there, as far as sending goes well, and end."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def run(self) -> None:
        """Send until told to finish: the body of the thread."""
        while self._wait():
            self.push()

    def push(self) -> bool:
        """Send one thing that is due; return False if nothing is."""
        with self._changed:
            lane = next((one for one in self._open() if one.next_s <= self._clock()), None)
        if lane is None:
            return False
        verdict = lane.push()
        before = lane.failures
        lane.failures = 0 if verdict is Verdict.ARRIVED else before + 1
        if lane.failures:
            # Growing by doubling: 2^5 is beyond the longest one.
            lane.next_s = self._clock() + min(2.0 ** min(before, 5), PAUSE_S_MAX)
        if bool(before) != bool(lane.failures):
            self._tell(lane.signal, not lane.failures)
        return True

    def wait_s(self) -> float | None:
        """Return how long until something is due; None if nothing waits."""
        now_s = self._clock()
        return min((max(one.next_s - now_s, 0.0) for one in self._open()), default=None)

    # -- inside ------------------------------------------------------------------------------------

    def _wait(self) -> bool:
        """Wait until something is due, and return True; False in the end."""
        with self._changed:
            while (wait_s := self.wait_s()) is None or wait_s > 0:
                if self._is_over:
                    return False
                self._changed.wait(wait_s)
            return True

    def _open(self) -> list[_Lane]:
        """Return those in which something waits; in the end only what goes well."""
        return [
            one
            for one in self._lanes
            if one.has_something() and not (self._is_over and one.failures)
        ]

    def _push_metrics(self) -> Verdict:
        with self._changed:
            metrics, self._metrics = self._metrics, None
        assert metrics is not None, "only this thread takes it"
        verdict = self._sender.send_metrics(metrics())
        with self._changed:
            if verdict is Verdict.FAILED and self._metrics is None:
                self._metrics = metrics
        return verdict

    def _push_records(self) -> Verdict:
        with self._changed:
            records = self._waiting.take()
        verdict = self._sender.send_spans(self._to_spans(records))
        with self._changed:
            if verdict is Verdict.ARRIVED:
                self.sent += len(records)
                self._waiting.arrived()
            elif verdict is Verdict.FAILED:
                self._waiting.came_back()
            else:
                self._waiting.refused()
            news = self._waiting.news()
        self._tell_all(news)
        return verdict

    def _tell_all(self, news: Sequence[News]) -> None:
        for one in news:
            self._tell_news(one)
