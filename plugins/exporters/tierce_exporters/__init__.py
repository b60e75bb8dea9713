"""Tierce: the exporters plugin."""
