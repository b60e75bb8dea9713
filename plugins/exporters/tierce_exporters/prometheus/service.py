"""The exporter's process: it listens, and reads what all volumes have done whenever it is asked.

Three threads: this one counts events and waits for the end, one serves connections, one collects.
None of them is a data thread; what they read is shared memory, and what the server is asked for it
answers beside its work.
"""

from __future__ import annotations

import threading
import time

from tierce import Service, ServiceContext
from tierce_exporters.http.serving import HttpServer
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import Exporter, carry_all, families
from tierce_exporters.prometheus.legacy import legacy_families
from tierce_exporters.prometheus.listening import addresses, listen_all, write_discovery
from tierce_exporters.prometheus.metric import Family
from tierce_exporters.prometheus.site import MetricsSite

#: How often events and traces are asked for, whether somebody scrapes or not: the server keeps
#: some thousand events.
EVENTS_PERIOD_S = 5.0


class PrometheusService(Service):
    """See the module."""

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self._carrier = Carrier()
        lost = {"overwritten": 0, "left-out": 0}
        self._exporter = Exporter(context.name, time.time(), lost_traces=lost)
        self._legacy: bool = context.options.legacy

    def run(self) -> None:
        """Serve until told to stop."""
        context, options = self.context, self.context.options
        listeners = listen_all(options.listen)
        site = MetricsSite(self._collect, context.logger)
        server = HttpServer(listeners, site, self._count_connection)
        if options.discovery_file is not None:
            write_discovery(options.discovery_file, listeners)
        serving = threading.Thread(target=server.run, name="http-serve", daemon=True)
        serving.start()
        context.logger.info("listening at %s", ", ".join(addresses(listeners)))
        # The first call says from when on.
        self._follow()
        # A server that ended by itself ends the process, which is then told and started again.
        while context.wait(EVENTS_PERIOD_S) and serving.is_alive():
            self._follow()
        server.stop()
        serving.join()

    def _count_connection(self) -> None:
        self._exporter.dropped["connections"] += 1

    def _follow(self) -> None:
        exporter, events, traces = self._exporter, self.context.events(), self.context.traces()
        exporter.events.add(events.items)
        exporter.dropped["events"] += events.lost
        exporter.exemplars.add(traces.items)
        exporter.lost_traces["overwritten"] += traces.lost
        exporter.lost_traces["left-out"] += traces.left_out

    def _collect(self) -> list[Family]:
        volumes = carry_all(self.context.statistics(), self._carrier)
        self._exporter.exemplars.forget_others(volumes)
        found = families(volumes, self._exporter)
        return found + legacy_families(volumes, time.time()) if self._legacy else found
