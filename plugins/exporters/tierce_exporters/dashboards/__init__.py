"""Dashboards for Grafana, written as JSON from code: `make dashboards`."""
