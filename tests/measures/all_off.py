"""What seeing is measured against: a target as it was before anybody could see into it.

Then two stages were counted, what initiators see and what reaches the engine, with four additions
each; no I/O was followed, and no answer of a replica counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce import Code
from tierce.stage import ROOT_STAGE

#: Whose additions were counted then.
COUNTED = (ROOT_STAGE, "device")
_BUCKETS = 40
_WORDS = 4 + _BUCKETS
_OPS = 8


class OffStage:
    """Implements `tierce.Stage` as far as there was one: the rest costs a call that does nothing.

    Args:
        words: Where it counts, in shared memory as then; None for a stage that there was not.
    """

    def __init__(self, words: memoryview | None) -> None:
        self._words: Any = words
        self._kept = words.tolist() if words is not None else []
        if words is None:
            self.add = _nothing  # type: ignore[assignment,method-assign]

    def add(self, op: int, count: int, length: int, elapsed_ns: float, size: int = 0) -> None:
        words, kept, at = self._words, self._kept, op * _WORDS
        words[at] = kept[at] = kept[at] + count
        at += 1
        words[at] = kept[at] = kept[at] + length
        at += 2
        words[at] = kept[at] = kept[at] + elapsed_ns * count  # type: ignore[call-overload]
        bucket = elapsed_ns.bit_length()  # type: ignore[attr-defined]
        at += 1 + (bucket if bucket < _BUCKETS else _BUCKETS - 1)
        words[at] = kept[at] = kept[at] + count

    def fail(self, op: int, count: int = 1, code: Code | None = None) -> None:
        pass

    def last(self, op: int, count: int = 1) -> None:
        pass

    def size(self, op: int, count: int, length: int) -> None:
        pass

    def show(self, pending: Mapping[Any, int]) -> None:
        pass

    def parked(self) -> None:
        pass


def off_stage(name: str) -> OffStage:
    """Return the stage so named as it was."""
    return OffStage(memoryview(bytearray(_OPS * _WORDS * 8)).cast("Q") if name in COUNTED else None)


def _nothing(*_told: object) -> None:
    """It is not counted."""
