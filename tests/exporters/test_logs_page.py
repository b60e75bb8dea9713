"""The page of logs names what is there, and the examples for Fluentd and Fluent Bit read it."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import attrs
import yaml

from exporters.forward.peer import entries
from tierce import Event, RecordedEvent, TracedStage, TraceRecord
from tierce.config import config_from_bytes
from tierce.process.telling import log_line
from tierce.registry import Registry
from tierce_exporters.forward.backlog import Kind
from tierce_exporters.forward.entries import event_entry
from tierce_exporters.options import ForwardOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "logs.md").read_text()
FLUENTD = (ROOT / "examples" / "fluent" / "fluentd.conf").read_text()
FLUENT_BIT = yaml.safe_load((ROOT / "examples" / "fluent" / "fluent-bit.yaml").read_text())
FIELDS = {"trace_id": "ab" * 16, "span_id": "cd" * 8, "age_s": 1}
EVENT = Event("a.b", "it was", "volume/a", "info", FIELDS, time_ns=1_700_000_000_123_000_000)


def tables() -> list[list[str]]:
    """The names in the first column of each table."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    firsts = ["".join(re.findall(r"^\|([^|]*)", one, re.MULTILINE)) for one in found]
    return [re.findall(r"`(\w+)`", first) for first in firsts]


def test_the_page_names_every_field_in_order_and_no_other() -> None:
    line, event, record, stage = tables()
    assert line == list(json.loads(log_line("target.a", EVENT)))
    sent = entries(["", event_entry(RecordedEvent(1, 1.0, EVENT), "host"), {"size": 1}])[0][1]
    assert event == list(sent)
    assert record == [*(one.name for one in attrs.fields(TraceRecord)), "host"]
    assert stage == [one.name for one in attrs.fields(TracedStage)]


def test_what_the_how_to_sets_is_a_valid_section(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "fluent.md").read_text()
    sections = [
        one
        for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        if one.startswith("services")
    ]
    found = [
        config_from_bytes(one.encode(), tmp_path / "f.yaml", Registry.load()) for one in sections
    ]
    assert [one.advice for one in found] == [(), ()]


def parsed(time_format: str) -> datetime.datetime:
    """The time of a line, as a format with %L for milliseconds reads it."""
    text = json.loads(log_line("target.a", EVENT))["time"]
    return datetime.datetime.strptime(text, time_format.replace("%L", "%f")).replace(
        tzinfo=datetime.UTC
    )


def test_the_examples_read_the_time_of_a_line() -> None:
    (parser,) = FLUENT_BIT["parsers"]
    (fluentd,) = re.findall(r"^\s+time_format (\S+)$", FLUENTD, re.MULTILINE)
    for one in (parser["time_format"], fluentd):
        assert parsed(one).timestamp() == 1_700_000_000.123
    assert parser["time_key"] == "time"
    assert "time_key time\n" in FLUENTD


def test_the_examples_take_what_the_service_sends_and_follow_the_servers_log() -> None:
    inputs: dict[str, dict[str, Any]] = {
        one["name"]: one for one in FLUENT_BIT["pipeline"]["inputs"]
    }
    tag = attrs.fields(ForwardOptions).tag.default
    tags = [f"{tag}.{kind.value}" for kind in Kind]
    assert all(re.fullmatch(r"tierce\.\w+", one) for one in (*tags, inputs["tail"]["tag"]))
    assert "<match tierce.**>" in FLUENTD
    assert FLUENT_BIT["pipeline"]["outputs"][0]["match"] == "tierce.*"
    assert f"port {inputs['forward']['port']}\n" in FLUENTD
    assert f"path {inputs['tail']['path']}\n" in FLUENTD
    assert inputs["tail"]["parser"] == FLUENT_BIT["parsers"][0]["name"]


def test_every_section_of_the_fluentd_example_is_closed() -> None:
    ahead: list[str] = []
    for line in FLUENTD.splitlines():
        if match := re.fullmatch(r"\s*<(/?)(\w+)[^>]*>", line):
            if match[1]:
                assert ahead.pop() == match[2]
            else:
                ahead.append(match[2])
        else:
            assert re.fullmatch(r"\s*(#.*|@?\w+ \S+)?", line), line
    assert ahead == []
