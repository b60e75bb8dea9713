"""The events that this plugin emits."""

from __future__ import annotations

from tierce import EventDescription, Severity


def _event(code: str, severity: Severity, summary: str, todo: str = "") -> EventDescription:
    return EventDescription(code=code, severity=severity, summary=summary, todo=todo, contract=2)


EVENTS = (
    _event(
        "file.full",
        Severity.ERROR,
        "A write failed because the file's disk is full.",
        "make room on the disk; writes go on by themselves",
    ),
    _event(
        "file.failed",
        Severity.ERROR,
        "The file's medium failed.",
        "look at the disk that the event names",
    ),
    _event(
        "file.replaced",
        Severity.WARNING,
        "Another file lies at the path, or the volume's lies elsewhere, and is taken.",
    ),
    _event(
        "file.in-doubt",
        Severity.ERROR,
        "A sync failed: what was written since the last one may change back.",
        "`tierce volume accept-loss NAME` says what may be lost, and goes on",
    ),
    _event(
        "file.doubt-not-noted",
        Severity.ERROR,
        "That a sync failed could not be written down.",
        "make room on the data folder's disk",
    ),
    _event(
        "file.not-rewritten",
        Severity.ERROR,
        "What is in doubt could not be written again.",
        "look at the disk",
    ),
    _event("file.doubt-over", Severity.INFO, "Flushes of a file go on again."),
)
