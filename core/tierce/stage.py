"""Where live parts count what they do: a stage of a volume."""

from __future__ import annotations

from typing import Protocol


class Stage(Protocol):
    """The counters and the latency histogram of one stage of a volume, in shared memory.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing.
    Since: contract 2.
    """

    def add(self, op: int, count: int, length: int, elapsed_ns: int) -> None:
        """Count `count` operations of kind `op` (`tierce.Op`), `length` bytes in all, each of
        which took `elapsed_ns`. Once per batch, not per operation."""
        ...

    def fail(self, op: int, count: int = 1) -> None:
        """Count failed operations of kind `op`."""
        ...
