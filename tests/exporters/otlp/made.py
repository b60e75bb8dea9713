"""I/Os that were written down, and a sender that does as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from exporters.seen import START_NS
from tierce import TracedStage, TraceRecord, span_id_of
from tierce_exporters.otlp.verdict import Verdict

ROOT = bytes.fromhex("00f067aa0ba902b7")


def stage(name: str, start_ns: int, elapsed_ns: int, member: str = "") -> TracedStage:
    span_id = span_id_of(ROOT, name, member).hex()
    return TracedStage(name, member, start_ns, elapsed_ns, 0, span_id)


#: A write through three replicas, one of which is told by its own process too.
STAGES = (
    stage("jiva.replica", 110, 300, "replica-1"),
    stage("replica.apply", 150, 200, "replica-2"),
    stage("jiva.replica", 110, 500, "replica-2"),
    stage("device", 100, 800),
)


def record(number: int = 0, **more: Any) -> TraceRecord:
    values: dict[str, Any] = {
        "volume": "db",
        "operation": "write",
        "offset": 4096,
        "length": 512,
        "batch": 1,
        "code": "good",
        "start_ns": START_NS + number,
        "elapsed_ns": 1000,
        "is_sampled": True,
        "is_slow": False,
        "trace_id": f"4bf92f3577b34da6a3ce{number:012x}",
        "span_id": ROOT.hex(),
        "stages": STAGES,
    }
    return TraceRecord(**{**values, **more})


def records(count: int, first: int = 0) -> list[TraceRecord]:
    return [record(number) for number in range(first, first + count)]


@attrs.define
class FakeSender:
    """Answers as the verdicts say, the last one for ever; keeps what has arrived."""

    verdicts: list[Verdict] = attrs.field(factory=lambda: [Verdict.ARRIVED])
    spans: list[ReadableSpan] = attrs.field(factory=list)
    metrics: list[MetricsData] = attrs.field(factory=list)
    tries: int = 0

    def send_spans(self, spans: Sequence[ReadableSpan]) -> Verdict:
        verdict = self._verdict()
        if verdict is Verdict.ARRIVED:
            self.spans += spans
        return verdict

    def send_metrics(self, data: MetricsData) -> Verdict:
        verdict = self._verdict()
        if verdict is Verdict.ARRIVED:
            self.metrics.append(data)
        return verdict

    def _verdict(self) -> Verdict:
        self.tries += 1
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
