"""What `tierce volume trace --output json` prints is what OTLP's own classes read."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf.json_format import Parse
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status, TracesData

from core.test_spans import US, record, stage
from tierce import TraceRecord, spans_of
from tierce.cli.otlp_json import traces_data

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


def read(text: str) -> TracesData:
    """Parse OTLP's JSON. Its ids are hexadecimal, where protobuf's own JSON has base64."""

    def decoded(value: dict[str, Any]) -> dict[str, Any]:
        for key in _IDS & value.keys():
            value[key] = base64.b64encode(bytes.fromhex(value[key])).decode()
        return value

    data = TracesData()
    Parse(json.dumps(json.loads(text, object_hook=decoded)), data)
    return data


def one_write(code: str = "good") -> TraceRecord:
    return record(
        100,
        stage("replica.apply", 30, 40, "r2"),
        stage("jiva.replica", 10, 80, "r2"),
        stage("jiva.replica", 10, 30, "r1"),
        stage("device", 5, 90),
        code=code,
    )


def attributes(what: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in what.attributes}


def spans(of: ResourceSpans) -> list[Span]:
    return list(of.scope_spans[0].spans)


def test_an_io_is_read_with_its_resources_ids_times_and_attributes() -> None:
    io = one_write()
    target, replica = read(json.dumps(traces_data(io))).resource_spans
    assert attributes(target.resource) == {
        "service.name": "tierce-target",
        "service.instance.id": "target.db",
        "tierce.volume.name": "db",
    }
    assert attributes(replica.resource) == {
        "service.name": "tierce-replica",
        "service.instance.id": "member.db.r2",
        "tierce.volume.name": "db",
        "tierce.replica.name": "r2",
    }
    whole = spans(target)[0]
    assert (whole.name, whole.kind) == ("volume.write", Span.SPAN_KIND_SERVER)
    assert (whole.trace_id.hex(), whole.span_id.hex()) == (io.trace_id, io.span_id)
    assert (whole.start_time_unix_nano, whole.end_time_unix_nano) == (
        io.start_ns,
        io.start_ns + 100 * US,
    )
    assert attributes(whole) == spans_of(io)[0].attributes
    assert whole.status.code == Status.STATUS_CODE_UNSET


def test_each_span_is_inside_of_its_parent_and_all_of_one_trace() -> None:
    found = [
        one for of in read(json.dumps(traces_data(one_write()))).resource_spans for one in spans(of)
    ]
    kinds = {one.name: one.kind for one in found}
    assert kinds["jiva.replica"] == Span.SPAN_KIND_CLIENT
    assert kinds["replica.apply"] == Span.SPAN_KIND_SERVER
    assert kinds["device"] == Span.SPAN_KIND_INTERNAL
    assert {one.trace_id.hex() for one in found} == {one_write().trace_id}
    assert [one.name for one in found if not one.parent_span_id] == ["volume.write"]


def test_one_that_failed_says_so() -> None:
    (target, _replica) = read(json.dumps(traces_data(one_write("write error")))).resource_spans
    status = spans(target)[0].status
    assert (status.code, status.message) == (Status.STATUS_CODE_ERROR, "write error")
