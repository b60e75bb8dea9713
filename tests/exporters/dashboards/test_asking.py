"""Expressions for classic histograms and for native ones."""

from __future__ import annotations

import pytest

from tierce_exporters.dashboards.asking import busy, mean, operations, quantile, rate
from tierce_exporters.prometheus.table import VOLUME_BYTES, VOLUME_DURATION

NAME = "tierce_volume_operation_duration_seconds"


def test_each_has_a_part_for_classic_histograms_and_one_for_native_ones() -> None:
    for one in (
        operations(VOLUME_DURATION, "volume", "a"),
        mean(VOLUME_DURATION, "volume", "a"),
        busy(VOLUME_DURATION, "volume", "a"),
        quantile(0.99, VOLUME_DURATION, "volume", "a"),
    ):
        classic, native = one.split("\nor\n")
        assert f"{NAME}_" in classic
        assert f"{NAME}{{a}}[$__rate_interval]" in native


def test_a_mean_is_nothing_where_nothing_was_done() -> None:
    classic, native = mean(VOLUME_DURATION, "volume", "").split("\nor\n")
    assert classic == (
        f"(sum by (volume) (rate({NAME}_sum{{}}[$__rate_interval])) / "
        f"(sum by (volume) (rate({NAME}_count{{}}[$__rate_interval])) > 0))"
    )
    assert "> 0" in native


def test_only_counters_have_a_rate_and_only_histograms_quantiles() -> None:
    assert rate(VOLUME_BYTES, "volume", "x") == (
        "sum by (volume) (rate(tierce_volume_bytes_total{x}[$__rate_interval]))"
    )
    with pytest.raises(AssertionError):
        rate(VOLUME_DURATION, "volume", "")
    with pytest.raises(AssertionError):
        quantile(0.5, VOLUME_BYTES, "volume", "")
