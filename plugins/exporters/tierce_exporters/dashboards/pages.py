"""Every dashboard, and the files that Grafana imports: `make dashboards` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tierce_exporters.dashboards.building import Dashboard, to_json
from tierce_exporters.dashboards.overview import OVERVIEW
from tierce_exporters.dashboards.replica import REPLICAS
from tierce_exporters.dashboards.slow import SLOW
from tierce_exporters.dashboards.volume import VOLUMES

DASHBOARDS = (OVERVIEW, VOLUMES, REPLICAS, SLOW)


def file_name(dashboard: Dashboard) -> str:
    """Return the name of its file."""
    return f"{dashboard.uid}.json"


def render(dashboard: Dashboard) -> str:
    """Return what its file holds."""
    return json.dumps(to_json(dashboard), indent=2) + "\n"


def main(folder: Path) -> None:
    """Write every dashboard's file into a folder."""
    for one in DASHBOARDS:
        (folder / file_name(one)).write_text(render(one), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
