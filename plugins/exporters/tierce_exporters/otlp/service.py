"""The exporter's process: it collects, and one thread sends.

Neither is a data thread: I/Os are read from the rings that targets write, counters from their
pages, and no process waits for this one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from functools import partial

from tierce import Event, Service, ServiceContext, VolumeStatistics
from tierce_exporters.otlp.destination import Signal
from tierce_exporters.otlp.metrics import metrics_data
from tierce_exporters.otlp.pushing import Pusher
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.otlp.sending import Sender
from tierce_exporters.otlp.spans import to_spans
from tierce_exporters.otlp.steps import took_time
from tierce_exporters.otlp.verdict import LOGGER, ErrorKeeper
from tierce_exporters.otlp.waiting import RECORD_COUNT_MAX, News
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import Exporter, carry_all, families

#: How often I/Os are asked for: a volume keeps 256 of them, and writes 120 a second at most.
TRACES_PERIOD_S = 0.5
#: How often events are asked for: the server keeps some thousand.
EVENTS_PERIOD_S = 5.0
#: How long the end may wait for what is still to be sent.
FINISH_S = 1.0


class OtlpService(Service):
    """See the module."""

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self._errors = ErrorKeeper()
        self._sender = Sender(context.options, self._errors)
        self._resources = Resources(f"service.{context.name}")
        self._carrier = Carrier()
        dropped = {"events": 0, "records": 0, "records-kept-no-longer": 0}
        self._exporter = Exporter(context.name, time.time(), dropped)
        spans = partial(to_spans, resources=self._resources)
        self._pusher = Pusher(self._sender, spans, self._tell, self._tell_news)

    def run(self) -> None:
        """Collect until told to stop."""
        logger = logging.getLogger(LOGGER)
        # What goes wrong is told once, not at each try.
        logger.addHandler(self._errors)
        logger.propagate = False
        # A service that is new sees what happens from its first look on.
        self._collect_statistics()
        self._collect_traces()
        self._collect_events()
        sending = threading.Thread(target=self._pusher.run, name="otlp-send", daemon=True)
        sending.start()
        where = ", ".join(dict.fromkeys(self._sender.where.values()))
        self.context.logger.info("sending to %s", where)
        try:
            self._collect(sending)
        finally:
            self._finish(sending)
            logger.removeHandler(self._errors)
            logger.propagate = True

    def _collect(self, sending: threading.Thread) -> None:
        context, options = self.context, self.context.options
        next_s = dict.fromkeys(("events", "statistics"), 0.0)
        # A thread that ended by itself ends the process, which is then told and started again.
        while sending.is_alive() and context.wait(TRACES_PERIOD_S):
            self._collect_traces()
            now_s = time.monotonic()
            if now_s >= next_s["events"]:
                next_s["events"] = now_s + EVENTS_PERIOD_S
                self._collect_events()
            if now_s >= next_s["statistics"]:
                next_s["statistics"] = now_s + options.period
                volumes = self._collect_statistics()
                if options.metrics:
                    self._show_metrics(volumes)

    def _collect_traces(self) -> None:
        if not self.context.options.traces:
            return
        traces = self.context.traces()
        self._exporter.dropped["records-kept-no-longer"] += traces.lost
        if traces.items:
            self._pusher.add(traces.items)

    def _collect_events(self) -> None:
        events = self.context.events()
        self._exporter.events.add(events.items)
        self._exporter.dropped["events"] += events.lost
        if self.context.options.traces:
            self._pusher.add([one for one in events.items if took_time(one)])

    def _collect_statistics(self) -> Mapping[str, VolumeStatistics]:
        volumes = self.context.statistics()
        self._resources.know({name: one.uuid for name, one in volumes.items() if one.uuid})
        return volumes

    def _show_metrics(self, volumes: Mapping[str, VolumeStatistics]) -> None:
        self._exporter.dropped["records"] = self._pusher.dropped
        found = families(carry_all(volumes, self._carrier), self._exporter)
        self._pusher.show(partial(metrics_data, found, self._resources, time.time_ns()))

    def _finish(self, sending: threading.Thread) -> None:
        self._collect_traces()
        self._pusher.finish()
        sending.join(FINISH_S)
        if len(self._pusher):
            self.context.logger.warning(
                "%d I/Os were not sent before the end: %s", len(self._pusher), self._why()
            )
        self._sender.close()

    def _why(self) -> str:
        return self._errors.why or "there was no answer in time"

    def _tell(self, signal: Signal, is_well: bool) -> None:
        where, logger = self._sender.where[signal], self.context.logger
        if is_well:
            logger.info("sending %s to %s again", signal.value, where)
        else:
            text = "can't send %s to %s, and try again from time to time: %s"
            logger.warning(text, signal.value, where, self._why())

    def _tell_news(self, news: News) -> None:
        where = self._sender.where[Signal.TRACES]
        fields = {"exporter": self.context.name, "dropped": {"records": news.dropped}}
        if news.is_over:
            code, severity = "exporter.dropping-ended", "info"
            text = f"what is sent to {where} is taken again; {news.in_all} I/Os were left out"
        else:
            code, severity = "exporter.dropping", "warning"
            text = (
                f"more than {RECORD_COUNT_MAX} I/Os wait to be sent to {where}, or they are "
                f"refused, and the oldest are left out from now on: {self._why()}"
            )
        subject = f"service/{self.context.name}"
        self.context.emit(Event(code, text, subject, severity, fields))
