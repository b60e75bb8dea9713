"""Dashboards as Grafana reads them."""

from __future__ import annotations

import itertools
from typing import Any

from tierce_exporters.dashboards.building import (
    DATASOURCE,
    SCHEMA_VERSION,
    WIDTH,
    Dashboard,
    Panel,
    Query,
    Variable,
    to_json,
)


def panel(**more: Any) -> Panel:
    queries = (Query("up", "{{job}}"), Query("1 - up", ""))
    return Panel(**{"title": "Up", "text": "It is.", "unit": "short", "queries": queries, **more})


def made(*panels: Panel) -> dict[str, Any]:
    one = Dashboard(
        uid="u",
        title="T",
        text="What it answers.",
        variables=(Variable("volume", "Volume", "up"),),
        rows=(("First", panels), ("Second", (panel(),))),
    )
    return to_json(one)


def test_panels_and_queries_are_numbered() -> None:
    found = made(panel(), panel())
    assert [one["id"] for one in found["panels"]] == [1, 2, 3, 4, 5]
    assert [one["refId"] for one in found["panels"][1]["targets"]] == ["A", "B"]
    assert found["schemaVersion"] == SCHEMA_VERSION


def test_every_query_asks_the_data_source_that_is_chosen_above() -> None:
    found = made(panel())
    chosen, volume = found["templating"]["list"]
    assert (chosen["name"], chosen["type"]) == ("datasource", "datasource")
    asked = [volume, *(one for one in found["panels"] if one["type"] != "row")]
    asked += [target for one in asked for target in one.get("targets", ())]
    assert len(asked) == 7
    assert all(one["datasource"] == DATASOURCE for one in asked)
    assert volume["query"] == "label_values(up, volume)"


def test_panels_lie_beside_each_other_and_never_on_each_other() -> None:
    found = made(panel(width=10), panel(width=14, height=3), panel(width=24), panel(width=4))
    taken: set[tuple[int, int]] = set()
    for one in found["panels"]:
        at = one["gridPos"]
        columns, rows = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        cells = set(itertools.product(columns, rows))
        assert max(columns) < WIDTH
        assert not cells & taken
        taken |= cells
    first, second = (one["gridPos"] for one in found["panels"][1:3])
    assert (first["y"], first["x"], second["y"], second["x"]) == (1, 0, 1, 10)


def test_a_bound_colours_what_is_above_it_and_what_has_none_is_green() -> None:
    bounded, free = (
        one["fieldConfig"]["defaults"] for one in made(panel(good_below=5), panel())["panels"][1:3]
    )
    assert bounded["color"] == {"mode": "thresholds"}
    assert [step["value"] for step in bounded["thresholds"]["steps"]] == [None, 5]
    assert "color" not in free
    assert [step["value"] for step in free["thresholds"]["steps"]] == [None]


def test_what_is_stacked_says_so_for_itself_alone() -> None:
    stacked, beside = (
        one["fieldConfig"]["defaults"]["custom"]
        for one in made(panel(stacked=True), panel())["panels"][1:3]
    )
    assert stacked["stacking"]["mode"] == "normal"
    assert "stacking" not in beside
