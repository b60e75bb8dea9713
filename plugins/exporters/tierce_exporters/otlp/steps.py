"""What the control plane did and how long it took, as spans: of the events that tell the end of
something.

An event with `took_ns` in its fields is a span that ends when it happened; with `traceparent`
besides it belongs to the trace of what asked for it, else to one of its own. Its ids follow from
its number, so that what is sent twice is the same span.
"""

from __future__ import annotations

import hashlib
import re

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from tierce import RecordedEvent, Severity
from tierce_exporters.otlp.resources import SCOPE, Resources

#: W3C Trace Context, level 1: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NS_PER_S = 1_000_000_000
#: What OTLP has for a time: 64 bits.
_TIME_NS_MAX = (1 << 64) - 1
#: First words of what the server does; an engine has a word of its own, and does it in the target.
_OF_THE_SERVER = frozenset({"action", "config", "node", "policy", "volume"})


def took_time(recorded: RecordedEvent) -> bool:
    """True if an event says how long what it tells took: what a plugin says may be no time."""
    took_ns = recorded.event.fields.get("took_ns")
    return type(took_ns) is int and 0 <= took_ns <= _end_ns(recorded) <= _TIME_NS_MAX


def step_span(recorded: RecordedEvent, resources: Resources) -> ReadableSpan:
    """Return the span of an event that `took_time`."""
    event = recorded.event
    end_ns = _end_ns(recorded)
    what, volume, replica = [*event.subject.split("/", 2), "", ""][:3]
    attributes: dict[str, str] = {"tierce.event.message": event.message}
    if what == "volume":
        attributes["tierce.volume.name"] = volume
    if replica:
        attributes["tierce.replica.name"] = replica
    for name in ("part", "action"):
        if name in event.fields:
            attributes[f"tierce.action.{name}"] = str(event.fields[name])
    parent = _parent(str(event.fields.get("traceparent", "")))
    has_failed = event.severity is not Severity.INFO
    return ReadableSpan(
        event.code,
        _context(recorded, end_ns, parent),
        parent,
        _resource(event.code, volume if what == "volume" else "", resources),
        attributes,
        kind=SpanKind.INTERNAL if parent is None else SpanKind.SERVER,
        status=Status(StatusCode.ERROR, event.message) if has_failed else Status(),
        start_time=end_ns - event.fields["took_ns"],
        end_time=end_ns,
        instrumentation_scope=SCOPE,
    )


def _end_ns(recorded: RecordedEvent) -> int:
    return recorded.event.time_ns or round(recorded.time * _NS_PER_S)


def _resource(code: str, volume: str, resources: Resources) -> Resource:
    is_servers = not volume or code.partition(".")[0] in _OF_THE_SERVER
    return resources.server if is_servers else resources.target(volume)


def _context(recorded: RecordedEvent, end_ns: int, parent: SpanContext | None) -> SpanContext:
    what = f"{recorded.sequence} {end_ns} {recorded.event.code}".encode()
    digest = hashlib.blake2b(what, digest_size=24).digest()
    trace_id = int.from_bytes(digest[:16]) if parent is None else parent.trace_id
    return SpanContext(trace_id, int.from_bytes(digest[16:]), False, TraceFlags(1))


def _parent(traceparent: str) -> SpanContext | None:
    """Return who asked; None if the text says nobody, or is none of W3C's."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(one, 16) for one in found.groups())
    context = SpanContext(trace_id, span_id, True, TraceFlags(flags))
    return context if context.is_valid else None
