"""Default-deny in front of a filter: what it does not know never reaches it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce.block.device import Device, Geometry
from tierce.block.operation import Op, Request, Settled
from tierce.block.quiet import when_quiet
from tierce.block.status import Code, Status
from tierce.descriptions import FilterDescription
from tierce.errors import PluginError


class Guard:
    """A filter, and a refusal of every operation that it was not built for.

    Args:
        device: The filter's device.
        description: What it says of itself.
        below: What the filter was put on.

    Raises:
        PluginError: It names an operation that does not exist, or does not know READ, WRITE and
            FLUSH, without which nothing can be served.
    """

    def __init__(self, device: Device, description: FilterDescription, below: Device) -> None:
        unknown = description.operations - {op.name for op in Op}
        lacking = {"READ", "WRITE", "FLUSH"} - description.operations
        if unknown or lacking:
            what = f"knows no operation {min(unknown)}" if unknown else f"lacks {min(lacking)}"
            raise PluginError(
                f"the filter {what}; expected names of tierce.Op", plugin=description.name
            )
        self._device = device
        #: A filter that gives up nothing says nothing; what is below it may.
        self._quieter = device if hasattr(device, "when_quiet") else below
        self._name = description.name
        self._known = frozenset(op for op in Op if op.name in description.operations)
        has = device.capabilities
        self.capabilities = attrs.evolve(
            has,
            discard=has.discard and Op.DISCARD in self._known,
            write_zeroes=has.write_zeroes and Op.WRITE_ZEROES in self._known,
            compare_and_write=has.compare_and_write and Op.COMPARE_AND_WRITE in self._known,
            block_status=has.block_status and Op.BLOCK_STATUS in self._known,
        )

    @property
    def geometry(self) -> Geometry:
        """As the filter says."""
        return self._device.geometry

    def submit(self, batch: list[Request], settled: Settled) -> None:
        """Pass on what the filter knows."""
        known = self._known
        if all(request.op in known for request in batch):
            self._device.submit(batch, settled)
            return
        refused = Status(Code.UNSUPPORTED, f"filter {self._name} was not built for this operation")
        passed = []
        for request in batch:
            if request.op in known:
                passed.append(request)
            else:
                request.status = refused
        if passed:
            self._device.submit(passed, settled)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """As the filter does, or else what is below it."""
        when_quiet(self._quieter, quiet)

    def close(self, closed: Callable[[Status], None]) -> None:
        """As the filter does."""
        self._device.close(closed)
