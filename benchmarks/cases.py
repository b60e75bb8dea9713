"""What is measured, and the bars that it is held to."""

from __future__ import annotations

import attrs


@attrs.frozen
class Case:
    """One kind of load.

    Attributes:
        name: In the tables.
        arguments: Of the load generator.
        one_core: Client and server pinned to one core: else nothing can be told apart at depth 1.
        unit: What `value` is taken from: "iops", "bytes_per_s" or "p50_us".
    """

    name: str
    arguments: tuple[str, ...]
    one_core: bool = False
    unit: str = "iops"


def _random(op: str, depth: int) -> tuple[str, ...]:
    return ("--op", op, "--bytes", "4096", "--depth", str(depth))


def _sequential(op: str) -> tuple[str, ...]:
    return ("--op", op, "--bytes", "131072", "--depth", "8", "--sequential")


CASES = (
    Case("4k read d1, one core", _random("read", 1), one_core=True, unit="p50_us"),
    Case("4k write d1, one core", _random("write", 1), one_core=True, unit="p50_us"),
    Case("4k read d1", _random("read", 1)),
    Case("4k write d1", _random("write", 1)),
    Case("4k read d8", _random("read", 8)),
    Case("4k write d8", _random("write", 8)),
    Case("4k read d32", _random("read", 32)),
    Case("4k write d32", _random("write", 32)),
    Case("4k write+flush d1", _random("writeflush", 1)),
    Case("128k read d8", _sequential("read"), unit="bytes_per_s"),
    Case("128k write d8", _sequential("write"), unit="bytes_per_s"),
)


@attrs.frozen
class Bar:
    """A ratio to unreplicated tgt in the same run that must be reached.

    Attributes:
        server: Whose.
        case: In which case.
        ratio: The bar.
        at_most: The ratio must be at most the bar (latencies); else at least.
    """

    server: str
    case: str
    ratio: float
    at_most: bool = False

    def is_met(self, ratio: float) -> bool:
        """True if the ratio reaches the bar."""
        return ratio <= self.ratio if self.at_most else ratio >= self.ratio


BARS = (
    Bar("file", "4k read d1, one core", 0.8, at_most=True),
    Bar("file", "4k write d1, one core", 0.8, at_most=True),
    Bar("file", "4k read d32", 2.5),
    Bar("file", "4k write d32", 1.8),
    Bar("file", "128k read d8", 2.0),
    Bar("file", "128k write d8", 2.0),
    Bar("jiva x3", "4k write d32", 0.9),
    Bar("jiva x3", "4k read d32", 1.5),
    Bar("jiva x3", "128k write d8", 0.7),
    Bar("jiva x3", "128k read d8", 1.2),
)
BASELINE = "tgt"
#: Ten open volumes with idle sessions may cost their data processes this much CPU in 60 s.
IDLE_CPU_MS_MAX = 50.0
