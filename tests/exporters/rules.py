"""The rules that are shipped, for tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "examples" / "prometheus" / "tierce.rules.yaml"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def metrics_in(expression: str) -> Iterator[str]:
    """Yield the names of metrics in an expression, without the ends of classic histograms."""
    for name in re.findall(r"\btierce_\w+", expression):
        yield re.sub(r"(?:(?<=_seconds)|(?<=_bytes))_(?:bucket|sum|count)$", "", name)
