"""An engine that takes its time over everything, as one on a slow library would: all on its own
thread, one thing at a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs

import tierce


@attrs.frozen
class SluggishOptions:
    """A volume's `options:`."""

    gate: str = tierce.option(doc="It goes on when this is there.", unit="path")
    mood: str = tierce.option(doc="Changes while it serves.", default="calm", live=True)


@attrs.frozen
class Thought:
    """What the action `think` answers with."""

    mood: str = tierce.option(doc="The mood that it had.")


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Name the engine."""
    return [
        tierce.EngineDescription(
            name="sluggish",
            summary="Bytes in memory, and patience.",
            factory="tierce_sluggish:Sluggish",
            options=SluggishOptions,
            concurrency=tierce.Concurrency.SERIAL,
            durable=False,
            contract=2,
        )
    ]


class Sluggish(tierce.SimpleDevice):
    """Needs no lock: it is called on one thread alone."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.options: SluggishOptions = context.options
        self.data = bytearray(context.volume.size_bytes)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Copy out."""
        buffer[:] = self.data[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        """Copy in."""
        self.data[offset : offset + len(data)] = data

    def reconfigure(self, options: SluggishOptions) -> None:
        """Wait, then take it."""
        while not Path(self.options.gate).exists():
            time.sleep(0.05)
        self.options = options

    def actions(self) -> tuple[tierce.Action, ...]:
        """Name what can be asked."""
        return (tierce.Action(name="think", summary="Waits.", result=Thought, is_long=True),)

    def manage(self, action: str, arguments: Any, job: tierce.Job) -> None:
        """Wait, then answer."""
        while not Path(self.options.gate).exists():
            time.sleep(0.05)
            job.progress(0.5, "thinking")
        job.done(Thought(mood=self.options.mood))
