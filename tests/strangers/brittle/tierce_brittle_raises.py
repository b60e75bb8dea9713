"""Needs something that nobody has."""

raise ImportError("libbrittle.so.1: cannot open shared object file")
