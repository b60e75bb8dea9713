"""What was written down is what is sent: the ids, the times, who asked whom."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToJson
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from exporters.otlp.made import ROOT, STAGES, record
from exporters.seen import START_NS
from tierce import TraceRecord
from tierce.cli.otlp_json import traces_data
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.otlp.spans import to_spans

RESOURCES = Resources("service.otlp")


def spans(*records: TraceRecord) -> list[ReadableSpan]:
    return to_spans(records, RESOURCES)


def by_name(found: list[ReadableSpan]) -> dict[str, ReadableSpan]:
    names = [
        " ".join(
            filter(None, (one.name, str((one.attributes or {}).get("tierce.replica.name", ""))))
        )
        for one in found
    ]
    return dict(zip(names, found, strict=True))


def parent_id(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def test_each_stage_is_a_span_below_the_one_that_it_is_inside_of() -> None:
    found = by_name(spans(record()))
    assert set(found) == {
        "volume.write",
        "device",
        "jiva.replica replica-1",
        "jiva.replica replica-2",
        "replica.apply replica-2",
    }
    whole, device = found["volume.write"], found["device"]
    asked = found["jiva.replica replica-2"]
    applied = found["replica.apply replica-2"]
    assert whole.parent is None
    assert parent_id(device) == span_id(whole) == int.from_bytes(ROOT)
    assert parent_id(asked) == span_id(device)
    assert parent_id(applied) == span_id(asked)
    assert [one.kind for one in (whole, device, asked, applied)] == [
        SpanKind.SERVER,
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
        SpanKind.SERVER,
    ]


def test_ids_and_times_are_those_of_the_record() -> None:
    found = spans(record())
    contexts = [one.get_span_context() for one in found]
    assert {one.trace_id for one in contexts if one} == {int(record().trace_id, 16)}
    ids = {format(span_id(one), "016x") for one in found}
    assert ids == {record().span_id, *(one.span_id for one in STAGES)}
    device = by_name(found)["device"]
    assert (device.start_time, device.end_time) == (START_NS + 100, START_NS + 900)


def test_what_a_replica_has_timed_is_the_replicas_and_was_asked_from_elsewhere() -> None:
    found = by_name(spans(record()))
    applied = found["replica.apply replica-2"]
    assert applied.resource is RESOURCES.replica("db", "replica-2")
    assert applied.parent is not None
    assert applied.parent.is_remote
    for name, one in found.items():
        if name != "replica.apply replica-2":
            assert one.resource is RESOURCES.target("db")
            assert one.parent is None or not one.parent.is_remote


def test_an_io_that_failed_says_how() -> None:
    whole, *stages = spans(record(code="write error"))
    assert whole.status.status_code is StatusCode.ERROR
    assert (whole.attributes or {})["error.type"] == "write error"
    assert {one.status.status_code for one in stages} == {StatusCode.UNSET}
    assert spans(record())[0].status.status_code is StatusCode.UNSET


def test_what_was_answered_together_is_linked_to_the_first_of_it() -> None:
    first, second, third = (
        record(number, span_id=f"{number + 1:016x}", batch=3, stages=()) for number in range(3)
    )
    other = record(9, batch=3, elapsed_ns=1001, stages=())
    links = [
        [link.context.trace_id for link in one.links] for one in spans(first, second, third, other)
    ]
    of_first = int(first.trace_id, 16)
    assert links == [[], [of_first], [of_first], []]
    # One that was answered alone has nobody, however long another one took.
    assert [one.links for one in spans(record(1, stages=()), record(2, stages=()))] == [(), ()]


def by_span(whole: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """All that OTLP in JSON says of each span but for its ids, which the two write differently."""
    found = {}
    for whose in whole["resourceSpans"]:
        told = named(whose["resource"])
        told.pop("host.name", None)
        (scope,) = whose["scopeSpans"]
        for span in scope["spans"]:
            values = named(span)
            times = span["startTimeUnixNano"], span["endTimeUnixNano"]
            key = span["name"], str(values.get("tierce.replica.name"))
            found[key] = (told, scope["scope"], values, times, "parentSpanId" in span)
    return found


def named(holder: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in holder.get("attributes", ())}


def test_they_are_what_the_command_that_follows_ios_prints() -> None:
    encoded = encode_spans(spans(record(code="write error")))
    ours, printed = json.loads(MessageToJson(encoded)), traces_data(record(code="write error"))
    assert by_span(ours) == by_span(printed)
    assert len(by_span(ours)) == 5


def test_opentelemetry_can_encode_them() -> None:
    encoded = encode_spans(spans(record(), record(1)))
    assert len(encoded.resource_spans) == 2
    names = [one.name for whose in encoded.resource_spans for one in whose.scope_spans[0].spans]
    assert len(names) == 2 * 5
