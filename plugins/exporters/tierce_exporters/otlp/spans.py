"""I/Os that were written down, as spans with the ids and times that they have.

A `ReadableSpan` is given to the exporter as it is: no tracer makes it, and nothing draws an id, so
that what is sent twice is the same span. What a replica has timed has the replica's resource,
whatever process says so. I/Os that were answered together are linked, each to the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from tierce import RecordedEvent, SpanNode, TraceRecord, spans_of
from tierce_exporters.otlp.resources import SCOPE, Resources
from tierce_exporters.otlp.steps import step_span
from tierce_exporters.otlp.waiting import Record

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status(StatusCode.UNSET)


def to_spans(records: Sequence[Record], resources: Resources) -> list[ReadableSpan]:
    """Return the spans of I/Os and events, each one's before the next one's."""
    spans: list[ReadableSpan] = []
    first: TraceRecord | None = None
    for record in records:
        if isinstance(record, RecordedEvent):
            spans.append(step_span(record, resources))
            continue
        if first is None or not _were_answered_together(first, record):
            first = record
        spans += _of_record(record, first, resources)
    return spans


def _were_answered_together(one: TraceRecord, other: TraceRecord) -> bool:
    # One look at the clock ends a batch, so that the time is the same to the nanosecond.
    return one.batch > 1 and (one.volume, one.batch, one.elapsed_ns) == (
        other.volume,
        other.batch,
        other.elapsed_ns,
    )


def _of_record(record: TraceRecord, first: TraceRecord, resources: Resources) -> list[ReadableSpan]:
    nodes = spans_of(record)
    links = [] if first is record else [Link(_context(first, first.span_id))]
    target = resources.target(record.volume)
    return [
        ReadableSpan(
            node.name,
            _context(record, node.span_id),
            None if node.parent < 0 else _parent(record, node, nodes[node.parent]),
            resources.replica(record.volume, node.member) if node.is_remote else target,
            node.attributes,
            links=links if node.parent < 0 else (),
            kind=SpanKind[node.kind.name],
            status=_status(node),
            start_time=record.start_ns + node.start_ns,
            end_time=record.start_ns + node.end_ns,
            instrumentation_scope=SCOPE,
        )
        for node in nodes
    ]


def _context(record: TraceRecord, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(record.trace_id, 16), int(span_id, 16), is_remote, _SAMPLED)


def _parent(record: TraceRecord, node: SpanNode, parent: SpanNode) -> SpanContext:
    is_remote = node.is_remote and not parent.is_remote
    return _context(record, parent.span_id, is_remote=is_remote)


def _status(node: SpanNode) -> Status:
    why = node.attributes.get("error.type")
    return _UNSET if why is None else Status(StatusCode.ERROR, str(why))
