"""An engine that can be taken away, a service that exports to a file, a policy that only tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

import tierce
from tierce import option


@attrs.frozen
class Options:
    path: str = option(doc="A file.", unit="path", default="nowhere")


class Engine:
    """Memory; another writer has the volume as soon as the file is there."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.data = bytearray(context.volume.size_bytes)
        self.context = context
        self.look()

    def look(self) -> None:
        if Path(self.context.options.path).exists():
            self.context.fenced("ballot 9 is elsewhere")
        else:
            self.context.reactor.call_later(0.05, self.look)

    def read(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.data[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        self.data[offset : offset + len(data)] = data


class Exporter(tierce.Service):
    """Writes the statistics of all volumes to the file, again and again."""

    def run(self) -> None:
        while self.context.wait(0.05):
            seen = {name: attrs.asdict(one) for name, one in self.context.statistics().items()}
            Path(self.context.options.path).write_text(json.dumps(seen))


def apply(_policy: tierce.Policy, volumes: Mapping[str, Any], _now: float) -> tierce.Evaluation:
    seen = tierce.Event("policy.seen", f"policy sees {sorted(volumes)}", "policy/p", "warning")
    return tierce.Evaluation(events=(seen,))


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    return [
        tierce.EngineDescription(
            name="stranger",
            summary="Memory that can be taken away.",
            factory="tierce_taken:Engine",
            concurrency=tierce.Concurrency.INLINE,
            durable=False,
            options=Options,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_services() -> list[tierce.ServiceDescription]:
    return [
        tierce.ServiceDescription(
            name="tofile",
            summary="A file.",
            factory="tierce_taken:Exporter",
            options=Options,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_policy_handlers() -> list[tierce.PolicyHandlerDescription]:
    return [
        tierce.PolicyHandlerDescription(
            kind="watch", summary="Watches.", factory="tierce_taken:apply", contract=2
        )
    ]
