"""What the how-to of dashboards says of those of OpenEBS."""

from __future__ import annotations

import re
from pathlib import Path

from tierce_exporters.dashboards.pages import DASHBOARDS, file_name
from tierce_exporters.prometheus.legacy import NO_MEANING, TABLE

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "grafana.md").read_text()
SERVED, ZERO = PAGE.partition("## Dashboards of OpenEBS\n")[2].split("\n\nThese panels have data")


def test_every_name_that_has_data_is_served_and_not_as_zero() -> None:
    names = set(re.findall(r"`(\w+)`", SERVED.partition("|---|")[2]))
    assert len(names) > 15
    assert {name for name in names if TABLE[name].source == NO_MEANING} == set()


def test_every_name_that_is_always_zero_is_served_as_that() -> None:
    names = set(re.findall(r"`(\w+)`", ZERO))
    assert len(names) > 10
    assert {name for name in names if TABLE[name].source != NO_MEANING} == set()


def test_every_dashboard_is_named() -> None:
    linked = re.findall(r"\(\.\./\.\./examples/grafana/([\w-]+\.json)\)", PAGE)
    assert linked == [file_name(one) for one in DASHBOARDS]
