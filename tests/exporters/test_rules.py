"""Rules ask for what there is, and every alert leads to what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporters.rules import alerts, metrics_in, rules
from tierce_exporters.prometheus.metric import Kind
from tierce_exporters.prometheus.reading import DURATIONS
from tierce_exporters.prometheus.table import METRICS, REPLICA_STATES, VOLUME_STATES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "alerts.md"
KINDS = {metric.name: metric.kind for metric in METRICS}
NAMES = [rule["alert"] for rule in alerts()]


def test_every_metric_of_a_rule_is_in_the_table_or_recorded_by_another() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        assert set(metrics_in(rule["expr"])) <= KINDS.keys()
        assert set(re.findall(r"\btierce:[\w:]+", rule["expr"])) <= recorded


def test_only_what_counts_is_asked_for_its_rate() -> None:
    for rule in rules():
        for name in re.findall(r"(?:rate|increase)\((tierce_\w+)", rule["expr"]):
            assert KINDS[next(metrics_in(name))] is not Kind.GAUGE


def test_every_state_that_a_rule_names_is_one() -> None:
    for rule in rules():
        for metric, words in re.findall(r'(\w+)_state\{state=~?"([^"]+)"', rule["expr"]):
            known = VOLUME_STATES if metric == "tierce_volume" else REPLICA_STATES
            assert set(words.split("|")) <= set(known)


def test_every_bound_that_a_rule_names_is_one_of_the_buckets() -> None:
    bounds = {repr(bound) for bound in DURATIONS.bounds}
    named = {bound for rule in rules() for bound in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert named
    assert named <= bounds


@pytest.mark.parametrize("alert", alerts(), ids=NAMES)
def test_an_alert_has_a_severity_a_sentence_and_a_page_that_begins_with_a_command(
    alert: dict[str, dict[str, str]],
) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    notes = alert["annotations"]
    assert notes["summary"]
    assert notes["description"].endswith(".")
    page, _, anchor = notes["runbook"].partition("#")
    assert ROOT / page == PAGE
    assert anchor == str(alert["alert"]).lower()
    section = PAGE.read_text().split(f"\n## {alert['alert']}\n")[1]
    assert re.match(r"\n```console\n\$ \S", section)
    assert f"*{alert['labels']['severity'].capitalize()}.*" in section.partition("\n## ")[0]


def test_the_page_has_no_alert_that_does_not_exist() -> None:
    assert re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE) == NAMES
