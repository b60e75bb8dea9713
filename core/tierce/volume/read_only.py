"""A volume's device as a read-only export sees it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce.block.device import Capabilities, Device, Geometry
from tierce.block.operation import Completed, Op, Request
from tierce.block.quiet import when_quiet
from tierce.block.status import GOOD, Code, Status

_READS = frozenset({Op.READ, Op.FLUSH, Op.BLOCK_STATUS})
_REFUSED = Status(Code.READ_ONLY, "this export of the volume is for reading only")


class ReadOnly:
    """A device that refuses every operation but those that change nothing; otherwise the one below,
    which others use as well: closing this one leaves it open.

    Args:
        device: The device below.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    @property
    def geometry(self) -> Geometry:
        """As below."""
        return self._device.geometry

    @property
    def capabilities(self) -> Capabilities:
        """As below, but read-only."""
        return attrs.evolve(self._device.capabilities, read_only=True)

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Refuse what would change the volume; pass on the rest."""
        for request in batch:
            if request.op not in _READS:
                break
        else:
            self._device.submit(batch, completed)
            return
        passed = []
        for request in batch:
            if request.op in _READS:
                passed.append(request)
            else:
                request.status = _REFUSED
        if passed:
            self._device.submit(passed, completed)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """As below."""
        when_quiet(self._device, quiet)

    def close(self, closed: Callable[[Status], None]) -> None:
        """Nothing: the device below is its pipeline's to close."""
        closed(GOOD)
