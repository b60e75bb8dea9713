"""The events that exporters emit.

Those of drops have `fields.dropped`, how many in this episode, and `fields.dropped_in_all`, how
many since the exporter's process began; `fields.by_kind` has the latter by kind where there are
several. So who reads the last one knows how many there were.
"""

from __future__ import annotations

from tierce import EventDescription, Severity

_TABLE = (
    (
        "exporter.dropping",
        Severity.WARNING,
        "An exporter that sends can't get rid of what it has, and begins to leave it out.",
        "look at who it sends to; the event has what went wrong last",
    ),
    (
        "exporter.keeping-up",
        Severity.INFO,
        "An exporter leaves out nothing more, and how much it had to.",
        "",
    ),
    (
        "exporter.peer-lost",
        Severity.WARNING,
        "What an exporter sends has not been taken for 10 s; it tries again, and says why.",
        "look at its peer, and at the service's address and keys",
    ),
    ("exporter.peer-back", Severity.INFO, "An exporter's peer takes what is sent again.", ""),
)
EVENTS = tuple(
    EventDescription(code=code, severity=severity, summary=summary, todo=todo, contract=2)
    for code, severity, summary, todo in _TABLE
)
