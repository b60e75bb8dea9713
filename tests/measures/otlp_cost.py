"""What the OTLP exporter costs: CPU for each I/O that is sent as a trace, and memory.

    PYTHONPATH=tests python -m measures.otlp_cost

A process for each protocol sends to the collector of `make peers`. Its memory is printed as it is
when all is imported, after sending, and with as many I/Os waiting as may; each has 12 stages, as a
write through three replicas does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from exporters.otlp.made import record, stage
from exporters.seen import volume
from system.peers.running import Collector
from tierce import TraceRecord
from tierce.node.servicing import ServiceProcess
from tierce.registry import Registry
from tierce_exporters.options import OTLP_PROTOCOLS, OtlpOptions
from tierce_exporters.otlp.metrics import metrics_data
from tierce_exporters.otlp.pushing import Pusher
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.otlp.sending import Sender
from tierce_exporters.otlp.spans import to_spans
from tierce_exporters.otlp.verdict import ErrorKeeper
from tierce_exporters.otlp.waiting import RECORD_COUNT_MAX
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import Exporter, carry_all, families

REPLICAS = ("replica-1", "replica-2", "replica-3")
VOLUME_COUNT = 100


def full(number: int) -> TraceRecord:
    """A record of its own memory: device, three replicas, three stages of each."""
    stages = [stage("device", 100, 800)]
    for member in REPLICAS:
        stages.append(stage("jiva.replica", 110, 700, member))
        stages += [
            stage(f"replica.{name}", 200 + 100 * index, 100, member)
            for index, name in enumerate(("queue", "apply"))
        ]
    stages += [stage("frontend.parse", 0, 90), stage("frontend.answer", 910, 80)]
    return record(number, stages=tuple(stages))


def memory_mb() -> float:
    """What this process has in memory."""
    fields = Path("/proc/self/smaps_rollup").read_text().split()
    return int(fields[fields.index("Rss:") + 1]) / 1024


def send(protocol: str, endpoint: str) -> None:
    """Send, and print what it took: the body of the process."""
    # What a service's process has besides.
    assert Registry.load().services, ServiceProcess
    resources = Resources("service.otlp")
    sender = Sender(OtlpOptions(endpoint=endpoint, protocol=protocol), ErrorKeeper())
    spans = partial(to_spans, resources=resources)
    pusher = Pusher(sender, spans, lambda *_told: None, lambda _news: None)
    print(f"{protocol}: {memory_mb():.1f} MB when all is imported")
    pusher.add([full(number) for number in range(RECORD_COUNT_MAX)])
    print(f"{protocol}: {memory_mb():.1f} MB with {len(pusher)} I/Os waiting")
    began_s = time.process_time()
    while pusher.push():
        pass
    took_s = time.process_time() - began_s
    assert pusher.sent == RECORD_COUNT_MAX, "all have arrived"
    spans_each = len(spans([full(0)]))
    each_us = took_s / RECORD_COUNT_MAX * 1e6
    print(f"{protocol}: {each_us:.0f} us of CPU a trace of {spans_each} spans")
    volumes = carry_all({f"v{n}": volume(f"v{n}") for n in range(VOLUME_COUNT)}, Carrier())
    found = families(volumes, Exporter("otlp", 0.0))
    began_s = time.process_time()
    pusher.show(partial(metrics_data, found, resources, time.time_ns()))
    assert pusher.push()
    took_s = time.process_time() - began_s
    print(f"{protocol}: {took_s:.2f} s of CPU for what {VOLUME_COUNT} volumes count")
    print(f"{protocol}: {memory_mb():.1f} MB after sending")
    sender.close()


def main() -> None:
    """Measure each protocol in a process of its own."""
    if len(sys.argv) > 1:
        send(*sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as folder, Collector(Path(folder) / "c") as collector:
        for protocol in OTLP_PROTOCOLS:
            where = collector.grpc if protocol == "grpc" else collector.http
            words = [sys.executable, "-m", "measures.otlp_cost", protocol, f"http://{where}"]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
