"""Expressions that take classic histograms and native ones, whichever are there: two parts, `or`.

Prometheus that was told of native histograms (`--enable-feature=native-histograms`) reads them from
the exporter, and then has no classic ones.
"""

from __future__ import annotations

from tierce_exporters.prometheus.metric import Kind, Metric

#: As long as Grafana finds right for the scrape interval and the range of time.
SPAN = "$__rate_interval"


def either(classic: str, native: str) -> str:
    """Return an expression of two that mean the same."""
    return f"({classic})\nor\n({native})"


def operations(metric: Metric, by: str, where: str) -> str:
    """Return how many there were a second, of a histogram.

    Args:
        metric: The histogram.
        by: Labels that tell them apart: "volume, operation".
        where: A selector: `volume=~"$volume"`.
    """
    return either(
        f"sum by ({by}) (rate({_part(metric, 'count', where)}))",
        f"histogram_count(sum by ({by}) (rate({_whole(metric, where)})))",
    )


def mean(metric: Metric, by: str, where: str) -> str:
    """Return the mean of a histogram; nothing while there is nothing. See `operations`."""
    whole = f"sum by ({by}) (rate({_whole(metric, where)}))"
    return either(
        f"sum by ({by}) (rate({_part(metric, 'sum', where)}))"
        f" / (sum by ({by}) (rate({_part(metric, 'count', where)})) > 0)",
        f"histogram_sum({whole}) / (histogram_count({whole}) > 0)",
    )


def quantile(share: float, metric: Metric, by: str, where: str) -> str:
    """Return a quantile of a histogram. See `operations`."""
    return either(
        f"histogram_quantile({share}, sum by ({by}, le) (rate({_part(metric, 'bucket', where)})))",
        f"histogram_quantile({share}, sum by ({by}) (rate({_whole(metric, where)})))",
    )


def busy(metric: Metric, by: str, where: str) -> str:
    """Return how many seconds a second were spent, of a histogram of durations. See `operations`.

    More than 1 where things are done beside each other.
    """
    return either(
        f"sum by ({by}) (rate({_part(metric, 'sum', where)}))",
        f"histogram_sum(sum by ({by}) (rate({_whole(metric, where)})))",
    )


def rate(metric: Metric, by: str, where: str) -> str:
    """Return how much a counter grows a second. See `operations`."""
    assert metric.kind is Kind.COUNTER
    return f"sum by ({by}) (rate({metric.name}{{{where}}}[{SPAN}]))"


def _part(metric: Metric, end: str, where: str) -> str:
    assert metric.kind is Kind.HISTOGRAM
    return f"{metric.name}_{end}{{{where}}}[{SPAN}]"


def _whole(metric: Metric, where: str) -> str:
    assert metric.kind is Kind.HISTOGRAM
    return f"{metric.name}{{{where}}}[{SPAN}]"
