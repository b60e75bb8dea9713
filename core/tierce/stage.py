"""Where live parts count what they do: a stage of a volume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tierce.block.operation import Op, Request

#: The stage that initiators see, from a command's arrival to its answer, through whichever export.
ROOT_STAGE = "volume"


class Stage(Protocol):
    """The counters and the latency histogram of one stage of a volume, in shared memory. They go on
    over restarts of the process.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing.
    Since: contract 2.
    """

    def add(self, op: int, count: int, length: int, elapsed_ns: int) -> None:
        """Count `count` operations of kind `op` (`tierce.Op`), `length` bytes in all, each of
        which took `elapsed_ns`; failed ones too. Once per batch, not per operation."""
        ...

    def fail(self, op: int, count: int = 1) -> None:
        """Count failed operations of kind `op`, which `add` counts too."""
        ...

    def last(self, op: int, count: int = 1) -> None:
        """Count those that were the last of several that ran beside each other, and so were waited
        for."""
        ...

    def size(self, op: int, count: int, length: int) -> None:
        """Count `count` operations by their size, `length` bytes each. Only the stage `volume` of a
        target keeps it."""
        ...

    def park(self, count: int, since_ns: int) -> None:
        """Show how many are pending here now, the oldest since that time (CLOCK_MONOTONIC, ns)."""
        ...


def count_sizes(stage: Stage, requests: Iterable[Request]) -> None:
    """Count those that have a status by their size, in runs of one kind and size."""
    op: Op | None = None
    number = size = 0
    for request in requests:
        if request.status is None:
            continue
        if request.op is not op or request.length != size:
            if op is not None:
                stage.size(op, number, size)
            op, size = request.op, request.length
            number = 0
        number += 1
    if op is not None:
        stage.size(op, number, size)
