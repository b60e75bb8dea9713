"""Keeping processes: starting, watching and stopping them, whatever they are for."""
