"""Exports what was written and what happened, as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

import tierce


@attrs.frozen
class LedgerOptions:
    """The section under `services:`."""

    file: str = tierce.option(doc="What is appended to.", unit="file")
    period_s: float = tierce.option(doc="How often.", unit="seconds", default=0.05)


@tierce.hookimpl
def tierce_services() -> list[tierce.ServiceDescription]:
    """Name the service."""
    return [
        tierce.ServiceDescription(
            name="ledger",
            summary="Exports differences of counters, and events.",
            factory="tierce_ledger:Ledger",
            options=LedgerOptions,
            contract=2,
        )
    ]


class Ledger(tierce.Service):
    """A sum of writes that only grows, over every process that counted them."""

    def __init__(self, context: tierce.ServiceContext) -> None:
        super().__init__(context)
        self.seen: dict[str, tuple[int, dict[str, int]]] = {}

    def run(self) -> None:
        """Work until told to stop."""
        self.context.logger.info("writing to %s", self.context.options.file)
        while self.context.wait(self.context.options.period_s):
            with open(self.context.options.file, "a") as file:
                for line in [*self.writes(), *self.happened()]:
                    print(json.dumps(line), file=file, flush=True)

    def writes(self) -> Iterator[dict[str, Any]]:
        """Yield how many writes each process has done since the last look, if any."""
        for volume in self.context.statistics().values():
            for process in (volume.target, *volume.members.values()):
                if process is None:
                    continue
                counts = {
                    stage: operations["write"].count
                    for stage, operations in process.stages.items()
                    if "write" in operations
                }
                start_ns, before = self.seen.get(process.name, (0, {}))
                if start_ns != process.start_ns:
                    before = {}
                self.seen[process.name] = (process.start_ns, counts)
                new = {stage: count - before.get(stage, 0) for stage, count in counts.items()}
                if any(new.values()):
                    yield {"process": process.name, "state": process.state, "writes": new}

    def happened(self) -> Iterator[dict[str, Any]]:
        """Yield the events since the last look."""
        events = self.context.events()
        if events.lost:
            yield {"lost": events.lost}
        for one in events.items:
            yield {"event": one.event.code, "sequence": one.sequence, "about": one.event.subject}
