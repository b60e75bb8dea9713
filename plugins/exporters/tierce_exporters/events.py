"""The events that exporters emit.

Those of drops have `fields.exporter` and `fields.dropped`: how many of each kind since the one
before. So who adds them up knows all that was dropped.
"""

from __future__ import annotations

from tierce import EventDescription, Severity

EVENTS = (
    EventDescription(
        code="exporter.dropping",
        severity=Severity.WARNING,
        summary="An exporter that sends can't get rid of what it has, and begins to leave it out.",
        todo="look at who it sends to; the event has what went wrong last",
        contract=2,
    ),
    EventDescription(
        code="exporter.dropping-ended",
        severity=Severity.INFO,
        summary="An exporter leaves out nothing more, and how much it had to.",
        contract=2,
    ),
    EventDescription(
        code="exporter.peer-lost",
        severity=Severity.WARNING,
        summary="What an exporter sends has not been taken for 10 s; it tries again, and says why.",
        todo="look at its peer, and at the service's address and keys",
        contract=2,
    ),
    EventDescription(
        code="exporter.peer-back",
        severity=Severity.INFO,
        summary="An exporter's peer takes what is sent again.",
        contract=2,
    ),
)
