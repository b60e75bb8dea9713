"""What is sent of an event and of an I/O that was written down: `[time, record]` as msgpack.

The fields of an event are those of a line of a log (docs/reference/logs.md), so that whoever reads
logs and whoever is sent events asks for the same names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import msgpack

from tierce import RecordedEvent, TraceRecord

_NS_PER_S = 1_000_000_000
#: The forward protocol's EventTime: an extension of type 0, seconds and nanoseconds.
_EVENT_TIME = 0
#: Fields of an event that say which I/O it is about, if it is about one.
TRACE_FIELDS = ("trace_id", "span_id")


def event_entry(recorded: RecordedEvent, host: str) -> bytes:
    """Return the entry of an event.

    Args:
        recorded: The event.
        host: This machine's name.
    """
    event = recorded.event
    fields = dict(event.fields)
    # What is no text stays where strange values are looked after.
    named = [name for name in TRACE_FIELDS if isinstance(fields.get(name), str)]
    traced = {name: fields.pop(name) for name in named}
    record = {
        "severity": event.severity.value,
        "code": event.code,
        "subject": event.subject,
        "message": event.message,
        **traced,
        "fields": fields,
        "sequence": recorded.sequence,
        "host": host,
    }
    seconds, rest = divmod(recorded.time, 1.0)
    return _entry(int(seconds) * _NS_PER_S + round(rest * _NS_PER_S), record)


def trace_entry(record: TraceRecord, host: str) -> bytes:
    """Return the entry of an I/O that was written down; its names are those of `TraceRecord`.

    Args:
        record: The I/O.
        host: This machine's name.
    """
    return _entry(record.start_ns, {**attrs.asdict(record), "host": host})


def _entry(time_ns: int, record: Mapping[str, Any]) -> bytes:
    seconds, rest_ns = divmod(time_ns, _NS_PER_S)
    when = msgpack.ExtType(
        _EVENT_TIME, (seconds & 0xFFFFFFFF).to_bytes(4, "big") + rest_ns.to_bytes(4, "big")
    )
    try:
        packed = msgpack.packb([when, record], unicode_errors="replace")
    except (OverflowError, ValueError, RecursionError):
        # Whole numbers beyond 64 bits, and what is nested very deep: JSON has them, msgpack not.
        text = {**record, "fields": json.dumps(record.get("fields"), default=str)}
        packed = msgpack.packb([when, text], unicode_errors="replace")
    assert isinstance(packed, bytes)
    return packed
