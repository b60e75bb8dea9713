"""The events that this plugin emits."""

from __future__ import annotations

from tierce import EventDescription, Severity


def _event(code: str, severity: Severity, summary: str, todo: str = "") -> EventDescription:
    return EventDescription(code=code, severity=severity, summary=summary, todo=todo, contract=2)


EVENTS = (
    _event("iscsi.session.began", Severity.INFO, "An initiator has logged in."),
    _event(
        "iscsi.session.ended",
        Severity.WARNING,
        "A session is over; `cause` says why. A warning where the reason is a fault.",
    ),
    _event(
        "iscsi.login.refused",
        Severity.WARNING,
        "A login was refused, and why.",
        "check the initiator's name and secret",
    ),
    _event("iscsi.login.given-up", Severity.INFO, "A login ended before it could be answered."),
    _event(
        "iscsi.keeping.failed",
        Severity.ERROR,
        "Reservations or initiator ports could not be written down.",
        "make room on the data folder's disk",
    ),
    _event(
        "iscsi.reservations.damaged",
        Severity.ERROR,
        "The file that held who has reserved the volume is damaged: nobody may write.",
        "see docs/howto/operate.md, 'When the reservations are damaged'",
    ),
    _event(
        "iscsi.reservations.of-another",
        Severity.WARNING,
        "The reservations that lie there are another volume's, and are not taken.",
    ),
)
