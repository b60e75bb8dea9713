"""Tierce: a container-attached block store."""
