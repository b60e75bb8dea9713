"""docs/reference/events.md: every event that Tierce and its plugins declare."""

from __future__ import annotations

from collections.abc import Iterable

from tierce.cli.reference.markdown import page, table
from tierce.core_events import CORE_EVENTS
from tierce.descriptions import EventDescription
from tierce.registry import Registry

_INTRODUCTION = """\
What is told, by code: as a line of JSON in the log of the process in which it happened
(`DATA/logs`), in the server's log and state, to services and to plugins that listen. `time` is when
it happened, in that process. A severity is the gravest that a code is told with; `serve` shows
warnings and errors."""


def events_page(registry: Registry) -> str:
    """Return the page about the events of core and of a registry's plugins."""
    parts = [f"## Core\n\n{_table(CORE_EVENTS)}"]
    for record in sorted(registry.plugins, key=lambda one: one.name):
        events = [
            one
            for one in registry.events.values()
            if registry.owner("event", one.code).name == record.name
        ]
        if events:
            parts.append(f"## Plugin {record.name}\n\n{_table(events)}")
    return page("Events", _INTRODUCTION, *parts)


def _table(events: Iterable[EventDescription]) -> str:
    rows = (
        (f"`{one.code}`", one.severity.value, one.summary, one.todo or "nothing")
        for one in sorted(events, key=lambda one: one.code)
    )
    return table(("code", "severity", "what has happened", "what to do"), rows)
