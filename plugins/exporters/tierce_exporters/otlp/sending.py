"""OpenTelemetry's own exporters, made for a destination. What they need is imported here, by the
thread that sends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from tierce import UsageError, explain
from tierce_exporters.options import OtlpOptions
from tierce_exporters.otlp.destination import GRPC, Destination, Signal, destination
from tierce_exporters.otlp.verdict import LOGGER, NOT_ENCODED, ErrorKeeper, Verdict

#: Points of one request: below the 4 MiB that gRPC takes.
POINT_COUNT_MAX = 4096
_PACKAGE = "opentelemetry.exporter.otlp.proto"
#: Module and name of each signal's exporter, the same for both protocols, and what it is told.
_EXPORTERS: dict[Signal, tuple[str, str, dict[str, Any]]] = {
    Signal.TRACES: ("trace_exporter", "OTLPSpanExporter", {}),
    Signal.METRICS: (
        "metric_exporter",
        "OTLPMetricExporter",
        {"max_export_batch_size": POINT_COUNT_MAX},
    ),
}


class _Exporter(Protocol):
    def export(self, data: Any) -> Any: ...

    def shutdown(self) -> None: ...


class Sender:
    """Sends to one collector.

    Args:
        options: The service's.
        errors: Has the last error of OpenTelemetry's exporters.

    Attributes:
        where: Where each signal goes.

    Raises:
        UsageError: It can't be sent there as the options or the environment have it.
    """

    def __init__(self, options: OtlpOptions, errors: ErrorKeeper) -> None:
        self._errors = errors
        signals = {Signal.TRACES: options.traces, Signal.METRICS: options.metrics}
        wanted = [signal for signal, is_wanted in signals.items() if is_wanted]
        where = {signal: destination(options, signal, os.environ) for signal in wanted}
        self.where = {signal: one.endpoint for signal, one in where.items()}
        self._exporters = {signal: _make(signal, one) for signal, one in where.items()}

    def send_spans(self, spans: Sequence[ReadableSpan]) -> Verdict:
        """Send spans, which may take as long as the time that is set."""
        return self._send(Signal.TRACES, spans, SpanExportResult.SUCCESS)

    def send_metrics(self, data: MetricsData) -> Verdict:
        """Send metrics, which may take as long as the time that is set."""
        return self._send(Signal.METRICS, data, MetricExportResult.SUCCESS)

    def close(self) -> None:
        """Let go of connections; what is under way by gRPC fails at once."""
        for exporter in self._exporters.values():
            exporter.shutdown()

    def _send(self, signal: Signal, data: Any, success: object) -> Verdict:
        self._errors.forget()
        try:
            has_arrived = self._exporters[signal].export(data) is success
        except Exception as error:  # noqa: BLE001 - of any kind, it ends no process
            # What can't be encoded: over gRPC that is raised, over HTTP they log it.
            logging.getLogger(LOGGER).error(NOT_ENCODED, signal.value, error)  # noqa: TRY400
            has_arrived = False
        return self._errors.verdict(has_arrived=has_arrived)


def _make(signal: Signal, where: Destination) -> _Exporter:
    is_grpc = where.protocol == GRPC
    module, name, more = _EXPORTERS[signal]
    found = import_module(f"{_PACKAGE}.{'grpc' if is_grpc else 'http'}.{module}")
    make: Callable[..., _Exporter] = getattr(found, name)
    given = {"endpoint": where.endpoint, "headers": where.headers, "timeout": where.timeout_s}
    return make(**given, **(_over_grpc(where) if is_grpc else _over_http(where)), **more)


def _over_grpc(where: Destination) -> dict[str, Any]:
    # It says an error once in 20 s only; here each sending's own decides.
    logging.getLogger(f"{_PACKAGE}.grpc.exporter").filters.clear()
    if not where.is_secure:
        return {"insecure": True}
    import grpc  # noqa: PLC0415 - HTTP does without

    key, shown = (None, None) if where.client is None else map(_read, reversed(where.client))
    roots = None if where.certificate is None else _read(where.certificate)
    return {"insecure": False, "credentials": grpc.ssl_channel_credentials(roots, key, shown)}


def _over_http(where: Destination) -> dict[str, Any]:
    for path in (where.certificate, *(where.client or ())):
        if path is not None:
            _read(path)
    shown, key = where.client or (None, None)
    from tierce_exporters.otlp.session import Session  # noqa: PLC0415 - gRPC does without

    return {
        "session": Session(),
        "certificate_file": where.certificate,
        "client_certificate_file": shown,
        "client_key_file": key,
    }


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {explain(error)}") from error
