"""Tierce: the example engines: memory and file."""
