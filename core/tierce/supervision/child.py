"""One process as the supervisor knows it, alive or not."""

from __future__ import annotations

from typing import Any

import attrs

from tierce.codec import from_json
from tierce.errors import ProtocolError
from tierce.process.messages import Peer
from tierce.process.plan import Plan
from tierce.process.process_loop import subject_of
from tierce.spec import Event
from tierce.supervision.failures import Failures
from tierce.supervision.pulse import Pulse
from tierce.supervision.reconcile import Observed


@attrs.define(eq=False)
class Child:
    """One process, alive or not.

    Attributes:
        plan: What it was started by; of an adopted one what its lock says, without settings.
        digest: Digest of the plan that it was started by.
        pid: Its process id, 0 while it is being forked.
        pidfd: What it is watched by, -1 while there is none.
        peer: The connection to it.
        told: What of its plan may change while it runs, as it was told; None if nobody knows.
        phase: "starting", "up", "closing" or "down".
        facts: What it shows of itself.
        is_adopted: A former supervisor had started it.
        started_at: When it was started or adopted; CLOCK_MONOTONIC.
        stop_asked_at: When it was asked to stop.
        killed_at: When it was killed after it would not stop.
        reason: Why it ends, in its own last words or in ours.
        failures: Its ends that nobody asked for.
        start_at: Not to be started before.
        fenced: Why it must stay down.
        pulse: Whether it answers.
    """

    plan: Plan
    digest: str
    pid: int = 0
    pidfd: int = -1
    peer: Peer | None = None
    told: dict[str, Any] | None = None
    phase: str = "starting"
    facts: dict[str, Any] = attrs.field(factory=dict)
    is_adopted: bool = False
    started_at: float = 0.0
    stop_asked_at: float | None = None
    killed_at: float | None = None
    reason: str = ""
    failures: Failures = attrs.field(factory=Failures)
    start_at: float = 0.0
    fenced: str = ""
    pulse: Pulse = attrs.field(factory=Pulse)

    @property
    def is_running(self) -> bool:
        """True from the wish to start it until its end."""
        return self.phase != "down"

    def drain(self) -> None:
        """Hear what it said last, for it has ended: it may still lie in the socket."""
        if self.peer is not None:
            self.peer.drain()

    def observe(self) -> Observed:
        """Return it as `reconcile` wants to see it."""
        return Observed(
            name=self.plan.name,
            role=self.plan.role,
            volume=self.plan.volume,
            digest=self.digest,
            is_running=self.is_running,
            stop_asked_at=self.stop_asked_at,
            killed_at=self.killed_at,
            start_at=self.start_at,
            is_fenced=bool(self.fenced),
        )


def describe(child: Child) -> dict[str, Any]:
    """Return a process as JSON values, for `tierce volume show`."""
    described: dict[str, Any] = {
        "name": child.plan.name,
        "pid": child.pid or None,
        "phase": "fenced" if child.fenced else child.phase,
        "failures": child.failures.count,
    }
    if child.pulse.is_told:
        described["phase"] = "silent"
    if child.failures.count and child.failures.reason:
        described["trouble"] = child.failures.reason
    return described


def event_of(child: Child, values: Any) -> Event:
    """Return what a process tells; one of another version may tell what can't be read."""
    try:
        return from_json(Event, values)
    except ProtocolError as error:
        text = f"{child.plan.name} tells what can't be read: {error}"
        return Event("event.unreadable", text, subject_of(child.plan), "warning")
