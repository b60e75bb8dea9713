"""What a target tells of its replicas: events, and the state that operators see."""

from __future__ import annotations

from tierce import Event, MemberStatus, VolumeStatus
from tierce_jiva.host import State, Volume
from tierce_jiva.links import Link
from tierce_jiva.opening import Opening
from tierce_jiva.target_actions import Agenda, Publish, Report

#: Different messages of one trouble that may come again and again.
TOLD_COUNT_MAX = 100


class StatusReporter:
    """What was told last, so that nothing is told twice.

    Args:
        volume: The volume.
        agenda: Where it says what is to be told.
    """

    def __init__(self, volume: Volume, agenda: Agenda) -> None:
        self._volume = volume
        self._agenda = agenda
        #: Code -> the messages told.
        self._told: dict[str, set[str]] = {}
        self._shown: VolumeStatus | None = None
        #: Code -> the message told last.
        self._said: dict[str, str] = {}
        self._voting_since: float | None = None
        self._is_stuck = False
        #: Nothing goes on until a certain replica is there again.
        self.is_waiting = False

    def emit(
        self, code: str, message: str, severity: str = "info", took_s: float | None = None
    ) -> None:
        """Report an event; of the end of something it says how long that took."""
        name = self._volume.name
        fields = {} if took_s is None else {"took_ns": round(took_s * 1e9)}
        event = Event(code, f"{name}: {message}", f"volume/{name}", severity, fields)
        self._agenda.actions.append(Report(event))

    def say(self, code: str, message: str) -> None:
        """Report a lasting trouble once, not on every tick."""
        if self._said.get(code) != message:
            self._said[code] = message
            self.emit(code, message, severity="error")

    def say_once(self, code: str, message: str, severity: str) -> None:
        """Report what may happen again and again: each message once, and a bounded number of each
        code."""
        told = self._told.setdefault(code, set())
        if message not in told and len(told) < TOLD_COUNT_MAX:
            told.add(message)
            self.emit(code, message, severity)

    def tell_opening(self, opening: Opening, took_s: float) -> None:
        """Say how the volume was opened, and how long that took."""
        self._said.clear()
        for name, reason in sorted(opening.strange.items()):
            self.emit("jiva.replica.strange", f"{name} is not used: {reason}", "warning")
        for name in sorted(opening.copied):
            message = f"{name} is used though its folder was copied or restored: no other is there"
            self.emit("jiva.replica.copied", message, "warning")
        if opening.marks:
            self.emit(
                "jiva.volume.unclean",
                f"was not closed: {len(opening.marks)} regions were being written, and are made "
                "equal and durable again",
                "warning",
            )
        names = ", ".join(sorted(opening.in_sync))
        self.emit("jiva.volume.serving", f"serving from {names}", took_s=took_s)

    def watch_vote(self, now: float, patience_s: float, is_voting: bool) -> bool:
        """Look at how long a vote has lasted; while it does, nothing is acknowledged. Return True
        if what operators see has changed.

        Args:
            now: Seconds.
            patience_s: A vote that lasts longer waits for replicas that don't answer.
            is_voting: A vote is under way.
        """
        if not is_voting:
            self._voting_since = None
        elif self._voting_since is None:
            self._voting_since = now
        was_stuck = self._is_stuck
        self._is_stuck = self._voting_since is not None and now - self._voting_since > patience_s
        if self._is_stuck:
            self.say(
                "jiva.volume.no-majority",
                "stopped: too few replicas answer to vote out those that don't; see `tierce "
                "volume show`",
            )
        return was_stuck != self._is_stuck

    def show(self, state: State, replicas: list[MemberStatus], *, has_majority: bool) -> None:
        """Publish what operators see, if it has changed.

        Args:
            state: Where the target stands.
            replicas: As `describe` shows them.
            has_majority: A majority of the replicas is connected.
        """
        is_stuck = self._is_stuck or self.is_waiting
        is_well = state is State.SERVING and has_majority and not is_stuck
        shown = state.value
        if state is State.SERVING and not is_well:
            shown = "stopped"
        elif is_well and any(replica.state != "in-sync" for replica in replicas):
            shown = "degraded"
        trouble = next(reversed(self._said.values())) if self._said and not is_well else ""
        status = VolumeStatus(state=shown, trouble=trouble, members=tuple(replicas))
        if status != self._shown:
            self._shown = status
            self._agenda.actions.append(Publish(status))


def describe(link: Link, *, is_in: bool, progress: float | None) -> MemberStatus:
    """Return what operators see of a replica.

    Args:
        link: The replica.
        is_in: It is in the in-sync set.
        progress: The share of the volume compared, 0 to 1, if it is rebuilt.
    """
    if not link.is_ready:
        state = "down"
    elif is_in:
        state = "in-doubt" if link.is_in_doubt else "in-sync"
    else:
        state = "waiting" if progress is None else "rebuilding"
    trouble = link.fault or link.trouble or ""
    return MemberStatus(name=link.name, state=state, progress=progress, trouble=trouble)
