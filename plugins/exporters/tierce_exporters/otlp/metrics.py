"""The table of metrics, filled, as OpenTelemetry has it.

Names are those of the Prometheus exporter, without `_total`: a collector that shows them to
Prometheus gives that back, so that dashboards and alerts work either way. What is counted is
cumulative, since when the page says; histograms are exponential ones of scale 0, whose bucket i
holds what is above 2^i, up to 2^(i+1): those of a page, shifted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SentMetric
from opentelemetry.sdk.resources import Resource

from tierce_exporters.otlp.resources import SCOPE, Resources
from tierce_exporters.prometheus.metric import Family, Histogram, Kind, Metric, Sample, Scale
from tierce_exporters.prometheus.table import REPLICA_DURATION

#: The unit of the table -> UCUM's.
_UNITS = {"seconds": "s", "bytes": "By", "ratio": "1", "": ""}
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_NS_PER_S = 1_000_000_000
_NOTHING = Buckets(0, [])
#: Where what a replica's own process counts comes from, in the table's words.
_OF_REPLICAS = REPLICA_DURATION.source


def metrics_data(families: Iterable[Family], resources: Resources, now_ns: int) -> MetricsData:
    """Return what is to be sent.

    Args:
        families: The table, filled.
        resources: Whose it is.
        now_ns: When that was read, in nanoseconds since the epoch.
    """
    found: dict[int, tuple[Resource, list[SentMetric]]] = {}
    for family in families:
        for resource, samples in _by_resource(family, resources):
            _resource, metrics = found.setdefault(id(resource), (resource, []))
            metrics.append(_metric(family.metric, samples, now_ns))
    return MetricsData(
        [
            ResourceMetrics(resource, [ScopeMetrics(SCOPE, metrics, "")], "")
            for resource, metrics in found.values()
        ]
    )


def _by_resource(family: Family, resources: Resources) -> Iterator[tuple[Resource, list[Sample]]]:
    found: dict[int, tuple[Resource, list[Sample]]] = {}
    for sample in family.samples:
        resource = _resource(family.metric, sample, resources)
        found.setdefault(id(resource), (resource, []))[1].append(sample)
    yield from found.values()


def _resource(metric: Metric, sample: Sample, resources: Resources) -> Resource:
    labels = dict(zip(metric.labels, sample.labels, strict=True))
    if metric.source == _OF_REPLICAS:
        return resources.replica(labels["volume"], labels["replica"])
    if "process" in labels:
        return resources.process(labels["process"])
    if "volume" in labels:
        return resources.target(labels["volume"])
    return resources.exporter


def _metric(metric: Metric, samples: list[Sample], now_ns: int) -> SentMetric:
    points: list[Any] = [_point(metric, sample, now_ns) for sample in samples]
    data: ExponentialHistogram | Gauge | Sum
    if metric.kind is Kind.HISTOGRAM:
        data = ExponentialHistogram(points, _CUMULATIVE)
    elif metric.kind is Kind.COUNTER:
        data = Sum(points, _CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(points)
    return SentMetric(metric.base, metric.help, _UNITS[metric.unit], data)


def _point(
    metric: Metric, sample: Sample, now_ns: int
) -> NumberDataPoint | ExponentialHistogramDataPoint:
    attributes = dict(zip(metric.labels, sample.labels, strict=True))
    start_ns = 0 if sample.created_s is None else round(sample.created_s * _NS_PER_S)
    if not isinstance(sample.value, Histogram):
        return NumberDataPoint(attributes, start_ns, now_ns, sample.value)
    assert metric.scale is not None, "a histogram has buckets"
    unknown: Any = None
    return ExponentialHistogramDataPoint(
        attributes,
        start_ns,
        now_ns,
        count=sum(sample.value.buckets),
        sum=sample.value.total,
        scale=0,
        # What is less than bucket 1 begins at.
        zero_count=sample.value.buckets[0],
        positive=_buckets(sample.value.buckets, metric.scale),
        negative=_NOTHING,
        flags=0,
        # The least and the most are not counted; the format leaves them out then.
        min=unknown,
        max=unknown,
    )


def _buckets(counts: tuple[int, ...], scale: Scale) -> Buckets:
    """Return those from the first that has something to the last one."""
    filled = [bucket for bucket, count in enumerate(counts) if count and bucket]
    if not filled:
        return _NOTHING
    first, last = filled[0], filled[-1]
    return Buckets(first - 1 - scale.shift, list(counts[first : last + 1]))
