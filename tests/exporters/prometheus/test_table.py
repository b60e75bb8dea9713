"""The table of metrics: names as Prometheus wants them, words as Tierce has them, one page."""

from __future__ import annotations

import re

from exporters.metrics_page import PAGE, render
from tierce_exporters.prometheus.metric import Kind
from tierce_exporters.prometheus.table import METRICS, REPLICA_STATES

#: What Prometheus measures in.
BASE_UNITS = {"", "seconds", "bytes", "ratio"}


def test_names_are_prometheus_names() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"tierce_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.unit in BASE_UNITS
        assert metric.base.endswith(metric.unit)
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
        # These endings are a histogram's own.
        assert not metric.base.endswith(("_count", "_sum", "_bucket", "_created"))
        for label in metric.labels:
            assert re.fullmatch(r"[a-z]+", label)
            assert label not in {"le", "quantile", "job", "instance"}


def test_every_metric_says_what_it_is_and_where_it_comes_from_in_a_sentence() -> None:
    for metric in METRICS:
        assert metric.help.endswith(".")
        assert not re.search(r'["\\\n]', metric.help)
        assert metric.source


def test_the_words_of_a_replica_are_those_that_the_documents_explain() -> None:
    assert REPLICA_STATES[-1] == "other"
    page = PAGE.parents[1] / "howto" / "monitor.md"
    for word in REPLICA_STATES[:-1]:
        assert f"`{word}`" in page.read_text()


def test_the_committed_page_is_what_the_table_says() -> None:
    """If this fails: make metrics"""
    assert PAGE.read_text(encoding="utf-8") == render()
