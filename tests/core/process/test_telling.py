"""An event on its way: when it happened, and its line in a log."""

from __future__ import annotations

import json

import pytest

from tierce import Event, Severity
from tierce.process.telling import log_line, stamped


def test_an_event_keeps_the_time_at_which_it_happened() -> None:
    event = stamped(Event("a.b", "it was", "volume/a"))
    assert event.time_ns > 1_700_000_000 * 10**9
    assert stamped(event).time_ns == event.time_ns
    assert event == Event("a.b", "it was", "volume/a"), "when it was told is no part of what was"


def test_a_line_of_a_log_says_when_it_happened_and_not_when_it_was_written() -> None:
    event = Event("a.b", "it was", "volume/a", "warning", {"odd": object}, time_ns=1_500_000_000)
    line = json.loads(log_line("target.a", event))
    assert line["time"] == "1970-01-01T00:00:01.500Z", "RFC 3339, UTC, with milliseconds"
    assert (line["severity"], line["process"]) == ("warning", "target.a")
    assert line["fields"] == {"odd": "<class 'object'>"}


def test_a_line_about_one_io_names_its_trace_where_readers_of_logs_look_for_it() -> None:
    fields = {"age_s": 1, "trace_id": "ab" * 16, "span_id": "cd" * 8}
    line = json.loads(log_line("member.a.r", Event("a.b", "it was", "volume/a", "info", fields)))
    assert (line["trace_id"], line["span_id"]) == ("ab" * 16, "cd" * 8)
    assert line["fields"] == {"age_s": 1}
    assert "trace_id" not in json.loads(log_line("a", Event("a.b", "it was", "volume/a")))
    assert fields.keys() == {"age_s", "trace_id", "span_id"}, "the event stays as it is"


def test_a_line_is_one_line_whatever_it_says() -> None:
    event = Event("a.b", "two\nlines\r\u2028\u0085", "volume/a", "info", {"x": "y\nz"})
    line = log_line("target.a", event)
    assert line.splitlines() == [line.rstrip("\n")]
    assert json.loads(line)["message"] == event.message


def test_a_severity_is_one_of_three() -> None:
    assert Event("a.b", "it was", "volume/a", "error").severity is Severity.ERROR
    with pytest.raises(ValueError, match="fatal"):
        Event("a.b", "it was", "volume/a", "fatal")
