"""What a target tells of its replicas: events, and the state that operators see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce import Event
from tierce_jiva.host import Host, State, Volume


class News:
    """What was told last, so that nothing is told twice.

    Args:
        volume: The volume.
        host: Who is told.
    """

    def __init__(self, volume: Volume, host: Host) -> None:
        self._volume = volume
        self._host = host
        self._shown: Mapping[str, Any] = {}
        self._said = ""
        self._voting_since: float | None = None
        self._is_stuck = False

    def emit(self, code: str, message: str, severity: str = "info") -> None:
        """Report an event."""
        name = self._volume.name
        self._host.emit(Event(code, f"{name}: {message}", f"volume/{name}", severity))

    def say(self, code: str, message: str) -> None:
        """Report a lasting trouble once, not on every tick."""
        if message != self._said:
            self._said = message
            self.emit(code, message, severity="error")

    def forget(self) -> None:
        """The trouble is over."""
        self._said = ""

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

    def show(self, state: State, replicas: list[dict[str, Any]], *, has_majority: bool) -> None:
        """Publish what operators see, if it has changed.

        Args:
            state: Where the target stands.
            replicas: As `describe` shows them.
            has_majority: A majority of the replicas is connected.
        """
        is_well = state is State.SERVING and has_majority and not self._is_stuck
        shown: dict[str, Any] = {"state": state.value, "replicas": replicas}
        if state is State.SERVING and not is_well:
            shown["state"] = "stopped"
        elif is_well and any(replica["state"] != "in-sync" for replica in replicas):
            shown["state"] = "degraded"
        if self._said and not is_well:
            shown["trouble"] = self._said
        if shown != self._shown:
            self._shown = shown
            self._host.publish(shown)
