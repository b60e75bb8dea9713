"""The dashboards that are shipped: what they ask is there, and Grafana knows every word of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Read

from exporters.rules import metrics_in
from tierce_exporters.dashboards.building import Dashboard, to_json
from tierce_exporters.dashboards.pages import DASHBOARDS, file_name, main, render
from tierce_exporters.prometheus.metric import Kind
from tierce_exporters.prometheus.table import METRICS, REPLICA_STATES, VOLUME_STATES

FOLDER = Path(__file__).parents[3] / "examples" / "grafana"
TABLE = {metric.name: metric for metric in METRICS}
#: What Grafana fills in itself.
OWN = {"__rate_interval", "__range", "datasource"}
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)


def panels(dashboard: Dashboard) -> list[Any]:
    return [panel for _title, row in dashboard.rows for panel in row]


def expressions(dashboard: Dashboard) -> list[str]:
    return [query.expression for panel in panels(dashboard) for query in panel.queries]


@EACH
def test_the_committed_file_is_what_the_code_writes(dashboard: Dashboard) -> None:
    """If this fails: make dashboards"""
    assert (FOLDER / file_name(dashboard)).read_text() == render(dashboard)


def test_no_file_is_left_over(tmp_path: Path) -> None:
    main(tmp_path)
    assert {one.name for one in FOLDER.iterdir()} == {one.name for one in tmp_path.iterdir()}
    assert len({one.uid for one in DASHBOARDS}) == len(DASHBOARDS)


@EACH
def test_every_metric_is_in_the_table_with_the_labels_that_it_is_asked_by(
    dashboard: Dashboard,
) -> None:
    for expression in expressions(dashboard):
        names = set(metrics_in(expression))
        assert names
        assert names <= TABLE.keys()
        labels = {label for name in names for label in TABLE[name].labels} | {"le"}
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert set(re.split(r", *", group)) <= labels, expression
        assert set(re.findall(r"[{,] *(\w+)=", expression)) <= labels, expression


@EACH
def test_only_what_counts_is_asked_for_its_rate(dashboard: Dashboard) -> None:
    for expression in expressions(dashboard):
        for name in re.findall(r"(?:rate|increase)\((tierce_\w+)", expression):
            assert TABLE[next(metrics_in(name))].kind is not Kind.GAUGE


@EACH
def test_every_state_that_is_named_is_one(dashboard: Dashboard) -> None:
    for expression in expressions(dashboard):
        for word in re.findall(r'state!?="([^"]+)"', expression):
            assert word in {*VOLUME_STATES, *REPLICA_STATES}


@EACH
def test_every_legend_names_labels_that_the_series_have(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        for query in panel.queries:
            kept = re.findall(r"by \(([^)]*)\)", query.expression)
            labels = {label for group in kept for label in re.split(r", *", group)}
            if not kept:
                (name,) = metrics_in(query.expression)
                labels = set(TABLE[name].labels)
            assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels


@EACH
def test_every_variable_is_there_and_used_and_a_label_of_its_metric(dashboard: Dashboard) -> None:
    text = json.dumps([expressions(dashboard), [one.metric for one in dashboard.variables]])
    names = {one.name for one in dashboard.variables}
    assert set(re.findall(r"\$(\w+)", text)) - OWN == names
    for one in dashboard.variables:
        assert one.name in TABLE[one.metric.partition("{")[0]].labels


@EACH
def test_every_panel_says_what_it_shows_in_which_unit(dashboard: Dashboard) -> None:
    assert dashboard.text.endswith((".", "slow."))
    for panel in panels(dashboard):
        assert panel.unit
        assert panel.text.endswith(".")
        assert all(query.legend for query in panel.queries) or panel.kind == "stat"


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Yield what is not the same any more."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key, "missing"), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{place}.{index}")
    elif given != kept:
        yield place


def read_back(given: dict[str, Any]) -> Any:
    """What Grafana's own models of a dashboard keep of it."""
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Read.from_json(given)))


@EACH
def test_grafanas_own_models_know_every_key(dashboard: Dashboard) -> None:
    given = to_json(dashboard)
    assert list(lost(given, read_back(given))) == []


@pytest.mark.parametrize("place", ["options.legend", "fieldConfig.defaults", "targets.0"])
def test_a_misspelt_key_would_be_noticed(place: str) -> None:
    given = to_json(DASHBOARDS[0])
    (index, panel), *_rest = (
        (number, one) for number, one in enumerate(given["panels"]) if one["type"] == "timeseries"
    )
    part: Any = json.loads(json.dumps(panel))
    given["panels"][index] = part
    for word in place.split("."):
        part = part[int(word)] if word.isdigit() else part[word]
    part["legned"] = True
    assert list(lost(given, read_back(given))) == [f".panels.{index}.{place}.legned"]
