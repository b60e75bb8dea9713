"""Where live parts count what they do: a stage of a volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tierce.block.operation import Op, Request
from tierce.block.status import Code

#: The stage that initiators see, from a command's arrival to its answer, through whichever export.
ROOT_STAGE = "volume"


class Stage(Protocol):
    """The counters and the latency histogram of one stage of a volume, in shared memory. They go on
    over restarts of the process. Who reads them elsewhere sees what was counted 0.1 s ago.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing.
    Since: contract 2.
    """

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        """Count `count` operations of kind `op` (`tierce.Op`), `length` bytes in all, each of
        which took `elapsed_ns`, whole or not; failed ones too. Once per batch, not per operation.
        `size`: the bytes of each, where all have as many, instead of a call of `size`; 0 tells
        nothing."""
        ...

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:
        """Count failed operations of kind `op`, which `add` counts too. Only the stage `volume` of
        a target keeps what they failed with."""
        ...

    def last(self, op: int, count: int = 1) -> None:
        """Count those that were the last of several that ran beside each other, and so were waited
        for."""
        ...

    def size(self, op: int, count: int, length: int) -> None:
        """Count `count` operations by their size, `length` bytes each. Only the stage `volume` of a
        target keeps it."""
        ...

    def show(self, pending: Mapping[Any, int]) -> None:
        """Show from now on how many are in this mapping, whose values say since when
        (CLOCK_MONOTONIC, ns), and since when its first one."""
        ...

    def parked(self) -> None:
        """Something is in that mapping where nothing was."""
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
