"""An engine that is slow by so much, which changes while it serves."""

from __future__ import annotations

import time

import attrs

import tierce


@attrs.frozen
class LagsOptions:
    """A volume's `options:`."""

    delay_s: float = tierce.option(
        doc="How long every call takes.",
        default=0.0,
        unit="seconds",
        minimum=0,
        maximum=5,
        live=True,
    )


class Lags(tierce.SimpleDevice):
    """Needs no lock: it is called on one thread alone."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.options: LagsOptions = context.options
        self.data = bytearray(context.volume.size_bytes)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Copy out, later."""
        time.sleep(self.options.delay_s)
        buffer[:] = self.data[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        """Copy in, later."""
        time.sleep(self.options.delay_s)
        self.data[offset : offset + len(data)] = data

    def reconfigure(self, options: LagsOptions) -> None:
        """Take another delay: from the next call on."""
        self.options = options


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Name the engine."""
    return [
        tierce.EngineDescription(
            name="lags",
            summary="Bytes in memory, late.",
            factory="tierce_lags:Lags",
            options=LagsOptions,
            concurrency=tierce.Concurrency.SERIAL,
            durable=False,
            contract=2,
        )
    ]
