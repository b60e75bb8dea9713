"""What the control plane did, as spans."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from exporters.seen import NS_PER_S, START_NS
from tierce import Event, RecordedEvent
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.otlp.spans import to_spans
from tierce_exporters.otlp.steps import took_time

RESOURCES = Resources("service.otlp")
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


def event(
    code: str = "volume.created", severity: str = "info", sequence: int = 1, **fields: Any
) -> RecordedEvent:
    told = Event(code, "told", "volume/db", severity, {"took_ns": NS_PER_S, **fields}, START_NS)
    return RecordedEvent(sequence, START_NS / NS_PER_S, told)


def span(recorded: RecordedEvent) -> ReadableSpan:
    (made,) = to_spans([recorded], RESOURCES)
    return made


def ids(made: ReadableSpan) -> tuple[int, int]:
    context = made.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def test_a_span_ends_when_the_event_happened_and_is_as_long_as_that_says() -> None:
    made = span(event())
    assert (made.name, made.kind) == ("volume.created", SpanKind.INTERNAL)
    assert (made.start_time, made.end_time) == (START_NS - NS_PER_S, START_NS)
    assert dict(made.attributes or {}) == {
        "tierce.event.message": "told",
        "tierce.volume.name": "db",
    }
    assert made.resource is RESOURCES.server


def test_what_an_engine_tells_is_its_targets() -> None:
    assert span(event("jiva.volume.serving")).resource is RESOURCES.target("db")


def test_a_replica_is_named() -> None:
    told = Event("jiva.x", "told", "volume/db/replica-1", fields={"took_ns": 1}, time_ns=START_NS)
    attributes = span(RecordedEvent(1, 1.0, told)).attributes or {}
    assert attributes["tierce.replica.name"] == "replica-1"


def test_what_is_sent_twice_is_the_same_span_and_another_event_is_another() -> None:
    assert ids(span(event())) == ids(span(event()))
    assert ids(span(event(sequence=2))) != ids(span(event()))


def test_what_was_asked_for_within_a_trace_belongs_to_it() -> None:
    made = span(event("action.done", part="engine", action="flush", traceparent=TRACEPARENT))
    assert made.parent is not None
    assert (made.parent.trace_id, made.parent.span_id) == (int(TRACE_ID, 16), int(PARENT_ID, 16))
    assert made.parent.is_remote
    assert ids(made)[0] == int(TRACE_ID, 16)
    assert made.kind is SpanKind.SERVER
    attributes = made.attributes or {}
    assert (attributes["tierce.action.part"], attributes["tierce.action.action"]) == (
        "engine",
        "flush",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anything",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
    ],
)
def test_a_text_that_is_no_traceparent_is_nobody(text: str) -> None:
    assert span(event(traceparent=text)).parent is None


def test_what_went_wrong_is_an_error() -> None:
    assert span(event(severity="warning")).status.status_code is StatusCode.ERROR
    assert span(event()).status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("took_ns", [None, "1", -1, True, 1.5, START_NS + 1])
def test_an_event_that_does_not_say_how_long_is_no_span(took_ns: object) -> None:
    assert not took_time(event(took_ns=took_ns))
    assert took_time(event())


@pytest.mark.parametrize("time_ns", [-1, 1 << 64])
def test_an_event_of_a_time_that_no_span_can_have_is_no_span(time_ns: int) -> None:
    told = attrs.evolve(event().event, fields={"took_ns": 0}, time_ns=time_ns)
    assert not took_time(RecordedEvent(1, 1.0, told))
