"""The OpenTelemetry exporter: traces and metrics, sent to a collector."""
