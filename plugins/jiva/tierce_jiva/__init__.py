"""Tierce: the jiva plugin."""
