"""Where live parts count what they do: a stage of a volume."""

from __future__ import annotations

from typing import Protocol

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
