"""What is sent of events and I/Os."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from exporters.forward.peer import entries
from tierce import Event, RecordedEvent, TracedStage, TraceRecord
from tierce_exporters.forward.entries import event_entry, trace_entry

RECORD = TraceRecord(
    volume="db",
    operation="write",
    offset=4096,
    length=512,
    batch=1,
    code="good",
    start_ns=1_700_000_000_123_456_789,
    elapsed_ns=60_000_000,
    is_sampled=False,
    is_slow=True,
    trace_id="ab" * 16,
    span_id="cd" * 8,
    stages=(TracedStage("jiva.replica", "replica-2", 10, 59_000_000),),
)


def sent(entry: bytes) -> Any:
    return entries(["tag", entry, {"size": 1}])[0]


def event(**fields: Any) -> RecordedEvent:
    told = Event("a.b", "it was", "volume/db", "warning", fields)
    return RecordedEvent(7, 1_700_000_000.25, told)


def test_an_event_is_sent_with_its_time_its_number_and_where_it_was() -> None:
    when, record = sent(event_entry(event(age_s=1.5), "node-1"))
    assert when == 1_700_000_000_250_000_000
    assert record == {
        "severity": "warning",
        "code": "a.b",
        "subject": "volume/db",
        "message": "it was",
        "fields": {"age_s": 1.5},
        "sequence": 7,
        "host": "node-1",
    }


def test_an_event_about_one_io_names_its_trace_where_readers_look_for_it() -> None:
    record = sent(event_entry(event(trace_id="ab", span_id="cd", age_s=1), "node-1"))[1]
    assert (record["trace_id"], record["span_id"]) == ("ab", "cd")
    assert record["fields"] == {"age_s": 1}


@pytest.mark.parametrize("strange", [2**70, {"deep": 2**70}, None])
def test_what_is_no_text_names_no_trace_and_is_sent_all_the_same(strange: object) -> None:
    record = sent(event_entry(event(trace_id=strange, span_id="cd"), "node-1"))[1]
    assert "trace_id" not in record
    assert "trace_id" in record["fields"]
    assert record["span_id"] == "cd"


def test_what_msgpack_can_not_say_is_sent_as_text() -> None:
    assert (
        sent(event_entry(event(big=2**70), "n"))[1]["fields"] == '{"big": 1180591620717411303424}'
    )
    assert sent(event_entry(event(half="\ud800"), "n"))[1]["fields"] == {"half": "?"}


def test_an_io_is_sent_with_every_field_that_services_see_of_it() -> None:
    when, record = sent(trace_entry(RECORD, "node-1"))
    assert when == RECORD.start_ns
    assert record.keys() == {one.name for one in attrs.fields(TraceRecord)} | {"host"}
    (stage,) = record["stages"]
    assert stage == attrs.asdict(RECORD.stages[0])
    assert (stage["member"], stage["elapsed_ns"]) == ("replica-2", 59_000_000)
