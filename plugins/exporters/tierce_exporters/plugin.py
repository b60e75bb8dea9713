"""What this plugin brings: exporters, and the events that they tell."""

from __future__ import annotations

from tierce import EventDescription, ServiceDescription, hookimpl
from tierce_exporters.events import EVENTS
from tierce_exporters.options import ForwardOptions, OtlpOptions, PrometheusOptions


@hookimpl
def tierce_events() -> tuple[EventDescription, ...]:
    """Name the events."""
    return EVENTS


@hookimpl
def tierce_services() -> tuple[ServiceDescription, ...]:
    """Name the exporters."""
    return (
        ServiceDescription(
            name="prometheus",
            summary="Shows counters, latencies and states at /metrics, for Prometheus to read.",
            factory="tierce_exporters.prometheus.service:PrometheusService",
            options=PrometheusOptions,
            contract=2,
        ),
        ServiceDescription(
            name="otlp",
            summary="Sends traces and what is counted to an OpenTelemetry collector.",
            factory="tierce_exporters.otlp.service:OtlpService",
            options=OtlpOptions,
            contract=2,
        ),
        ServiceDescription(
            name="forward",
            summary="Sends events, and I/O records if asked to, by the Fluent forward protocol.",
            factory="tierce_exporters.forward.service:ForwardService",
            options=ForwardOptions,
            contract=2,
        ),
    )
