"""What a target tells of its replicas: events, and the state that operators see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce import Event
from tierce_jiva.host import Host, Volume


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

    def show(self, state: str, replicas: list[dict[str, Any]], *, is_well: bool) -> None:
        """Publish what operators see, if it has changed.

        Args:
            state: Where the target stands.
            replicas: As `describe` shows them.
            is_well: The volume serves: a trouble said earlier is none at the moment.
        """
        shown: dict[str, Any] = {"state": state, "replicas": replicas}
        if self._said and not is_well:
            shown["trouble"] = self._said
        if shown != self._shown:
            self._shown = shown
            self._host.publish(shown)
