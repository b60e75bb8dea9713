"""Sends events and I/O records by the Fluent forward protocol, each until it is acknowledged."""
