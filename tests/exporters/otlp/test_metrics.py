"""The table of metrics, as OpenTelemetry has it."""

from __future__ import annotations

from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Gauge,
    Metric,
    Sum,
)

from exporters.seen import NS_PER_S, START_NS, volume
from tierce_exporters.otlp.metrics import metrics_data
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import Exporter, carry_all, families
from tierce_exporters.prometheus.table import METRICS

NOW_NS = START_NS + 60 * NS_PER_S


def sent() -> Any:
    found = families(carry_all({"db": volume()}, Carrier()), Exporter("otlp", 7.0))
    return metrics_data(found, Resources("service.otlp"), NOW_NS)


def by_instance() -> dict[str, dict[str, Metric]]:
    return {
        str(whose.resource.attributes["service.instance.id"]): {
            one.name: one for one in whose.scope_metrics[0].metrics
        }
        for whose in sent().resource_metrics
    }


def test_each_process_has_what_it_counts() -> None:
    found = by_instance()
    assert set(found) == {"target.db", "member.db.replica-1", "service.otlp"}
    assert set(found["member.db.replica-1"]) == {
        "tierce_replica_stage_duration_seconds",
        "tierce_replica_bytes",
        "tierce_process_up",
        "tierce_process_start_time_seconds",
        "tierce_process_starts",
    }
    # How a replica answers is what its target sees.
    assert "tierce_replica_round_trip_seconds" in found["target.db"]
    assert set(found["service.otlp"]) == {"tierce_exporter_dropped"}


def test_a_histogram_has_the_buckets_of_the_page_and_since_when_it_counts() -> None:
    took = by_instance()["target.db"]["tierce_volume_operation_duration_seconds"]
    assert took.unit == "s"
    assert isinstance(took.data, ExponentialHistogram)
    assert took.data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    (point,) = took.data.data_points
    assert dict(point.attributes or {}) == {"volume": "db", "operation": "write"}
    assert (point.start_time_unix_nano, point.time_unix_nano) == (START_NS, NOW_NS)
    assert (point.count, point.sum, point.scale, point.zero_count) == (3, 2.0, 0, 0)
    # Bucket 16 of the page ends at 2^(16 - 30) s; here bucket i ends at 2^(i + 1).
    assert point.positive.offset + 1 == 16 - 30
    assert list(point.positive.bucket_counts) == [1, 1, *[0] * 13, 1]


def test_counters_only_grow_and_gauges_do_not_say_since_when() -> None:
    found = by_instance()["target.db"]
    written = found["tierce_volume_bytes"]
    assert written.unit == "By"
    assert isinstance(written.data, Sum)
    assert written.data.is_monotonic
    assert [one.value for one in written.data.data_points] == [1024]
    sessions = found["tierce_volume_sessions"].data
    assert isinstance(sessions, Gauge)
    assert [(one.value, one.start_time_unix_nano) for one in sessions.data_points] == [(3, 0)]


def test_every_metric_has_a_unit_that_is_known_and_can_be_encoded() -> None:
    encoded = encode_metrics(sent())
    names = {
        metric.name
        for whose in encoded.resource_metrics
        for scope in whose.scope_metrics
        for metric in scope.metrics
    }
    # These are counted when there were some.
    absent = {"tierce_events", "tierce_replica_errors", "tierce_trace_records_lost"}
    assert names == {one.base for one in METRICS} - absent
    took = [
        metric.exponential_histogram.data_points[0]
        for whose in encoded.resource_metrics
        for metric in whose.scope_metrics[0].metrics
        if metric.name == "tierce_volume_operation_duration_seconds"
    ]
    assert not took[0].HasField("min")
