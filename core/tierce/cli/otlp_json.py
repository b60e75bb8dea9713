"""An I/O that was written down, as OTLP says it in JSON: what collectors read from files.

One I/O is one `TracesData` (opentelemetry-proto, JSON mapping of OTLP: ids are hexadecimal, 64-bit
numbers are text, enums are numbers), one line of the format of the collector's file exporter and
`otlpjsonfile` receiver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tierce
from tierce.services import TraceRecord
from tierce.spans import SpanKind, SpanNode, spans_of

_KINDS = {SpanKind.INTERNAL: 1, SpanKind.SERVER: 2, SpanKind.CLIENT: 3}
_STATUS_ERROR = 2


def traces_data(record: TraceRecord) -> dict[str, Any]:
    """Return an I/O: a resource for its target, and one for each replica that told of itself."""
    nodes = spans_of(record)
    by_member: dict[str, list[dict[str, Any]]] = {}
    for node in nodes:
        whose = node.member if node.is_remote else ""
        by_member.setdefault(whose, []).append(_span(record, nodes, node))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(_resource(record.volume, member))},
                "scopeSpans": [
                    {"scope": {"name": "tierce", "version": tierce.__version__}, "spans": spans}
                ],
            }
            for member, spans in by_member.items()
        ]
    }


def _resource(volume: str, member: str) -> dict[str, str | int]:
    if not member:
        return {
            "service.name": "tierce-target",
            "service.instance.id": f"target.{volume}",
            "tierce.volume.name": volume,
        }
    return {
        "service.name": "tierce-replica",
        "service.instance.id": f"member.{volume}.{member}",
        "tierce.volume.name": volume,
        "tierce.replica.name": member,
    }


def _span(record: TraceRecord, nodes: tuple[SpanNode, ...], node: SpanNode) -> dict[str, Any]:
    span = {
        "traceId": record.trace_id,
        "spanId": node.span_id,
        "name": node.name,
        "kind": _KINDS[node.kind],
        "startTimeUnixNano": str(record.start_ns + node.start_ns),
        "endTimeUnixNano": str(record.start_ns + node.end_ns),
        "attributes": _attributes(node.attributes),
    }
    if node.parent >= 0:
        return span | {"parentSpanId": nodes[node.parent].span_id}
    if record.code != "good":
        span["status"] = {"code": _STATUS_ERROR, "message": record.code}
    return span


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)},
        }
        for key, value in values.items()
    ]
