"""How long replicas take to answer, counted by the target for each of them.

The state machine counts an answer when it takes it: for each replica a stage of its own, from the
sending of a frame to its answer. The shell gives each link its stage; where nobody counts, as in a
simulation, links have one that counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce import Code
from tierce_jiva.timing import ROUND_TRIP

#: What a replica's stage is called, before its name.
STAGE = f"{ROUND_TRIP}/"


class Uncounted:
    """Implements `tierce.Stage`, and counts nothing."""

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        """Nobody counts."""

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:
        """Nobody counts."""

    def last(self, op: int, count: int = 1) -> None:
        """Nobody counts."""

    def size(self, op: int, count: int, length: int) -> None:
        """Nobody counts."""

    def show(self, pending: Mapping[Any, int]) -> None:
        """Nobody looks."""

    def parked(self) -> None:
        """Nobody looks."""


UNCOUNTED = Uncounted()
