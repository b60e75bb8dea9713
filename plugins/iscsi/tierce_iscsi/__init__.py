"""Tierce: the iscsi plugin."""
