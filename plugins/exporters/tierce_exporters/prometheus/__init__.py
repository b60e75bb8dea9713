"""The Prometheus exporter: what it shows, the formats in which it does, and its service."""
