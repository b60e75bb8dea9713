"""What every process does with an event before it goes anywhere: when did it happen, and how it
looks as a line of a log."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import attrs

from tierce.spec import Event

#: Fields of an event that say which I/O it is about. A line has them beside the others' names,
#: where readers of logs look for them.
TRACE_FIELDS = ("trace_id", "span_id")


def stamped(event: Event) -> Event:
    """Return the event with the time at which it happened: now, unless it says so itself."""
    return event if event.time_ns else attrs.evolve(event, time_ns=time.time_ns())


def format_time(time_ns: int) -> str:
    """Return nanoseconds since the epoch as logs tell them: RFC 3339, UTC, with milliseconds."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest_ns // 1_000_000:03}Z"


def log_line(process: str, event: Event) -> str:
    """Return an event as the one line of JSON that it is in a process's log."""
    fields = dict(event.fields)
    values: dict[str, Any] = {
        "time": format_time(stamped(event).time_ns),
        "severity": event.severity,
        "process": process,
        "pid": os.getpid(),
        "code": event.code,
        "subject": event.subject,
        "message": event.message,
        **{name: fields.pop(name) for name in TRACE_FIELDS if name in fields},
        "fields": fields,
    }
    # What is no JSON value in a plugin's fields is told as text.
    return json.dumps(values, default=str) + "\n"
