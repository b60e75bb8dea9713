"""One process for each volume, that writes down how much was written to it; and one for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

import tierce


@attrs.frozen
class WatchmanOptions:
    """The section under `services:`."""

    folder: str = tierce.option(doc="A file for each volume goes here.", unit="path")


@attrs.frozen
class Seen:
    """What the action `look` answers with."""

    volume: str = tierce.option(doc="Whom it watches.")


@tierce.hookimpl
def tierce_services() -> list[tierce.ServiceDescription]:
    """Name one for each scope."""
    return [
        tierce.ServiceDescription(
            name=name,
            summary="Writes down what is written.",
            factory="tierce_watchman:Watchman",
            options=WatchmanOptions,
            scope=scope,
            contract=2,
        )
        for name, scope in (
            ("watchman", tierce.Scope.VOLUME),
            ("captain", tierce.Scope.CONTROL),
            ("lifeguard", tierce.Scope.POOL),
        )
    ]


class Watchman(tierce.Service):
    """Knows its volume, and no other."""

    def run(self) -> None:
        """Write a line each time something has been written."""
        options: WatchmanOptions = self.context.options
        file = Path(options.folder) / f"{self.context.volume or 'all'}.jsonl"
        before: dict[str, int] = {}
        with file.open("a") as lines:
            while self.context.wait(0.05):
                now = {
                    name: one.target.stages["volume"]["write"].count
                    for name, one in self.context.statistics().items()
                    if one.target and "write" in one.target.stages.get("volume", {})
                }
                if now != before:
                    before = now
                    print(json.dumps(now), file=lines, flush=True)

    def actions(self) -> tuple[tierce.Action, ...]:
        """Name what can be asked of it."""
        return (tierce.Action(name="look", summary="Says whom it watches.", result=Seen),)

    def manage(self, action: str, arguments: Any, job: tierce.Job) -> None:
        """Answer `look`."""
        job.done(Seen(volume=self.context.volume))
