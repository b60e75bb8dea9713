"""Measurements beside peers; see `run`."""
