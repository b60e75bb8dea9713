"""What this plugin brings: the Prometheus exporter."""

from __future__ import annotations

from tierce import ServiceDescription, hookimpl
from tierce_exporters.options import PrometheusOptions


@hookimpl
def tierce_services() -> tuple[ServiceDescription, ...]:
    """Name the exporter."""
    return (
        ServiceDescription(
            name="prometheus",
            summary="Shows counters, latencies and states at /metrics, for Prometheus to read.",
            factory="tierce_exporters.prometheus.service:PrometheusService",
            options=PrometheusOptions,
            contract=2,
        ),
    )
