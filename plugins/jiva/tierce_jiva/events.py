"""The events that this plugin emits."""

from __future__ import annotations

from tierce import EventDescription, Severity


def _event(code: str, severity: Severity, summary: str, todo: str = "") -> EventDescription:
    return EventDescription(code=code, severity=severity, summary=summary, todo=todo, contract=2)


EVENTS = (
    _event("jiva.volume.serving", Severity.INFO, "A volume is open, and from which replicas."),
    _event(
        "jiva.volume.unclean",
        Severity.WARNING,
        "A volume was not closed: what was being written is made equal and durable again.",
    ),
    _event(
        "jiva.volume.no-majority",
        Severity.ERROR,
        "Too few replicas answer: I/O waits.",
        "bring back those that don't answer",
    ),
    _event(
        "jiva.volume.waiting",
        Severity.ERROR,
        "I/O waits for a certain replica: what the others may lack is only there.",
        "bring it back; `tierce volume accept-loss NAME` goes on without",
    ),
    _event(
        "jiva.target.fenced",
        Severity.ERROR,
        "Another target has taken the volume.",
        "if this server is to have it: `tierce volume claim NAME`",
    ),
    _event(
        "jiva.replica.voted-out",
        Severity.WARNING,
        "A replica is voted out: it is late, gone, or has failed. It is rebuilt when it is back.",
        "look at its disk and its log",
    ),
    _event("jiva.replica.failed", Severity.ERROR, "A replica's medium failed.", "look at its disk"),
    _event(
        "jiva.replica.read-failed",
        Severity.ERROR,
        "A replica could not read; another one answered, and its bytes are written again.",
        "look at its disk",
    ),
    _event("jiva.replica.rebuilding", Severity.INFO, "A replica is being rebuilt."),
    _event("jiva.replica.in-sync", Severity.INFO, "A replica has all that was acknowledged again."),
    _event(
        "jiva.replica.in-doubt",
        Severity.INFO,
        "A replica has restarted: what it had not flushed is written to it again.",
    ),
    _event(
        "jiva.replica.not-let-in",
        Severity.WARNING,
        "A replica is not let in yet; it is tried again.",
        "read why",
    ),
    _event(
        "jiva.replica.strange",
        Severity.WARNING,
        "A replica's folder is not used: it is another volume's, or an old copy.",
        "put the right folder there",
    ),
    _event(
        "jiva.replica.copied",
        Severity.WARNING,
        "A replica's folder was copied or restored, and is used because no other is there.",
        "check what lies on the volume",
    ),
    _event(
        "jiva.replica.outbid",
        Severity.WARNING,
        "A replica has promised itself to another target.",
        "see that one server only serves the volume",
    ),
    _event("jiva.replica.hung-up", Severity.WARNING, "A replica closed a connection, and why."),
    _event(
        "jiva.replica.opening",
        Severity.WARNING,
        "A replica's store has not opened for 10 s: it takes part once it has.",
        "look at what it waits for",
    ),
    _event(
        "jiva.replica.opened",
        Severity.INFO,
        "A replica's store that had not opened for 10 s has opened, or has failed to.",
    ),
    _event(
        "jiva.replica.stopped",
        Severity.ERROR,
        "A replica can't go on, and ends.",
        "mend what it says",
    ),
)
