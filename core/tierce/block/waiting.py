"""Asking a device whom it waits for.

A device that is made of several parts, as a replicated one is, may say which of them keep what is
pending from going on. It has a method

    waits_for() -> Sequence[str]

which returns their names, as they are in `VolumeStatus.members`; none if it can't say. It is asked
when something has been pending for seconds, on the data thread, and answers at once. A device that
has no parts needs no such method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tierce.block.device import Device


def waits_for(device: Device) -> tuple[str, ...]:
    """Return the names of the parts that this device waits for; none if it does not say."""
    ask: Callable[[], Sequence[str]] | None = getattr(device, "waits_for", None)
    return () if ask is None else tuple(map(str, ask()))
