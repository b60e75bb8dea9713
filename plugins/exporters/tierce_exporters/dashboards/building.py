"""What a dashboard is made of, and the JSON that Grafana reads (schema 39) of it.

A panel names a kind, queries and a unit. The builder numbers panels and queries, lays panels out
from left to right, and has every query ask the data source that is chosen above; so a dashboard's
module says what is shown and nothing else.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import attrs

SCHEMA_VERSION = 39
#: Columns of Grafana's grid.
WIDTH = 24
#: Every query asks it: the reader chooses.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

_LEGEND = {"calcs": ["mean", "max"], "displayMode": "table", "placement": "bottom"}
_REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
#: What each kind of panel shows beside its values.
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {**_LEGEND, "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "background",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _REDUCE,
        "textMode": "auto",
    },
    "bargauge": {
        "displayMode": "gradient",
        "minVizHeight": 10,
        "minVizWidth": 0,
        "orientation": "horizontal",
        "reduceOptions": _REDUCE,
        "showUnfilled": True,
        "valueMode": "color",
    },
    "state-timeline": {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    },
}
_CUSTOM: dict[str, dict[str, Any]] = {
    "timeseries": {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"},
    "state-timeline": {"fillOpacity": 70, "lineWidth": 0},
}


@attrs.frozen
class Query:
    """What a panel asks.

    Attributes:
        expression: In PromQL.
        legend: What a series is called: "{{volume}}".
    """

    expression: str
    legend: str


@attrs.frozen(kw_only=True)
class Panel:
    """A picture of numbers.

    Attributes:
        title: Above it.
        text: What it says to who does not know it; a sentence or two.
        kind: "timeseries", "stat", "bargauge" or "state-timeline".
        unit: Grafana's name of the unit: "s", "Bps", "short".
        queries: What it asks.
        width: Of 24 columns.
        height: In rows of some 30 pixels.
        good_below: From this value on it is red; None: it has no colours.
        stacked: Series lie on top of each other.
    """

    title: str
    text: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    good_below: float | None = None
    stacked: bool = False


@attrs.frozen
class Variable:
    """What the reader chooses above.

    Attributes:
        name: How queries say it: "$volume".
        title: What the reader sees.
        metric: A metric that has it as a label, with a selector perhaps.
    """

    name: str
    title: str
    metric: str


@attrs.frozen(kw_only=True)
class Dashboard:
    """A page.

    Attributes:
        uid: Its name in links, always the same.
        title: Above it.
        text: What it answers.
        variables: What the reader chooses, beside the data source.
        rows: Panels, under a title each.
    """

    uid: str
    title: str
    text: str
    variables: tuple[Variable, ...] = ()
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def to_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return what Grafana imports."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["tierce"],
        "editable": True,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [_link()],
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "panels": _panels(dashboard.rows),
    }


def _panels(rows: Sequence[tuple[str, Sequence[Panel]]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    y = 0
    for title, panels in rows:
        position = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        row = {"type": "row", "title": title, "collapsed": False, "panels": []}
        found.append({"id": len(found) + 1, **row, "gridPos": position})
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            position = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            found.append({"id": len(found) + 1, **_panel(panel), "gridPos": position})
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return found


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel.good_below)}
    if panel.good_below is not None:
        defaults["color"] = {"mode": "thresholds"}
    custom = dict(_CUSTOM.get(panel.kind, {}))
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    if custom:
        defaults["custom"] = custom
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": ref_id,
                "datasource": DATASOURCE,
                "editorMode": "code",
                "expr": query.expression,
                "legendFormat": query.legend,
                "range": True,
            }
            for ref_id, query in zip(string.ascii_uppercase, panel.queries, strict=False)
        ],
    }


def _thresholds(good_below: float | None) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if good_below is not None:
        steps.append({"color": "red", "value": good_below})
    return {"mode": "absolute", "steps": steps}


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "refresh": 1,
    }


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.title,
        "type": "query",
        "datasource": DATASOURCE,
        "query": f"label_values({variable.metric}, {variable.name})",
        "hide": 0,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        # When the range of time is another one: volumes come and go.
        "refresh": 2,
        "sort": 1,
    }


def _link() -> dict[str, Any]:
    return {
        "title": "Tierce",
        "type": "dashboards",
        "tags": ["tierce"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
