"""Whose a span or a number is: one resource for each target, each replica, the server and the
exporter."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import tierce

#: What has made all that is sent.
SCOPE = InstrumentationScope("tierce", tierce.__version__)


class Resources:
    """Makes each resource once: there are few, and each span and point has one.

    Args:
        exporter: The exporter's process: "service.otlp".

    Attributes:
        exporter: Its resource.
        server: That of `tierce serve`.
    """

    def __init__(self, exporter: str) -> None:
        self._host = socket.gethostname()
        self._made: dict[str, Resource] = {}
        self._ids: dict[str, str] = {}
        self.exporter = self.process(exporter)
        self.server = self.process("server")

    def know(self, ids: Mapping[str, str]) -> None:
        """Take the uuids of volumes by name: what is made from now on has them. Another volume may
        have the name of one that is gone."""
        if ids != self._ids:
            self._ids = dict(ids)
            # Two threads ask: what the other one has is whole.
            self._made = {}

    def target(self, volume: str) -> Resource:
        """Return that of a volume's target."""
        return self.process(f"target.{volume}")

    def replica(self, volume: str, replica: str) -> Resource:
        """Return that of a volume's replica."""
        return self.process(f"member.{volume}.{replica}")

    def process(self, name: str) -> Resource:
        """Return that of a process: "target.db", "member.db.replica-1", "service.otlp"."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Resource(self._attributes(name))
        return made

    def _attributes(self, name: str) -> dict[str, str]:
        role, volume, member = [*name.split(".", 2), "", ""][:3]
        word = "replica" if role == "member" else role
        found = {
            "service.name": f"tierce-{word}",
            "service.instance.id": name,
            "host.name": self._host,
        }
        if volume and role != "service":
            found["tierce.volume.name"] = volume
            if volume in self._ids:
                found["tierce.volume.id"] = self._ids[volume]
        if member:
            found["tierce.replica.name"] = member
        return found
