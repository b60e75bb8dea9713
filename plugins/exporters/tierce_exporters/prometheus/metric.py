"""What a metric is, and one value of it: before any format."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import attrs


class Kind(enum.Enum):
    """The types of metrics that all formats have."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@attrs.frozen(kw_only=True)
class Scale:
    """What the buckets of a histogram are.

    Attributes:
        shift: Bucket b ends at 2^(b - shift) of the unit.
        exponents: The bounds of the classic histogram, as powers of two of the unit.
    """

    shift: int
    exponents: range

    @property
    def bounds(self) -> tuple[float, ...]:
        """The bounds of the classic histogram."""
        return tuple(2.0**exponent for exponent in self.exponents)

    def cumulative(self, buckets: tuple[int, ...]) -> list[int]:
        """Return how many lie at or below each of `bounds`."""
        first = self.exponents[0] + self.shift + 1
        below = sum(buckets[:first])
        counts = [below]
        for count in buckets[first : first + len(self.exponents) - 1]:
            below += count
            counts.append(below)
        return counts

    def classic(self, exemplars: Mapping[int, Exemplar]) -> dict[int, Exemplar]:
        """Return exemplars by the index of their bound in `bounds`, one more for what lies above
        all; the latest of several."""
        first, count = self.exponents[0] + self.shift, len(self.exponents)
        found: dict[int, Exemplar] = {}
        for bucket, one in exemplars.items():
            index = min(max(bucket - first, 0), count)
            if index not in found or found[index].time_s < one.time_s:
                found[index] = one
        return found


@attrs.frozen(kw_only=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
        name: Its whole name; a counter's ends with `_total`.
        kind: Its type.
        unit: "seconds", "bytes", "ratio", or empty; part of the name.
        labels: Names of its labels, in their order.
        help: One sentence.
        source: Where its value comes from.
        scale: Of a histogram: what its buckets are.
    """

    name: str
    kind: Kind
    unit: str = ""
    labels: tuple[str, ...] = ()
    scale: Scale | None = None
    help: str
    source: str

    @property
    def base(self) -> str:
        """The name without what says that it is a counter."""
        return self.name.removesuffix("_total")


@attrs.frozen
class Exemplar:
    """One of those that a bucket counts.

    Attributes:
        trace_id: The id of its trace, 32 hexadecimal digits.
        value: How large it was, in the metric's unit.
        time_s: When that was, in seconds since the epoch.
    """

    trace_id: str
    value: float
    time_s: float


@attrs.frozen
class Histogram:
    """How many were how large: the value of a histogram.

    Attributes:
        buckets: Counts, as the metric's `Scale` describes them.
        total: The sum of all, in the metric's unit.
        exemplars: By bucket one of those that it counts, where one is known.
    """

    buckets: tuple[int, ...]
    total: float
    exemplars: Mapping[int, Exemplar] = attrs.field(factory=dict)


@attrs.frozen
class Sample:
    """A value of a metric.

    Attributes:
        labels: The values of its labels, in the table's order.
        value: A number, or a histogram's.
        created_s: Since when it counts, in seconds since the epoch; None of what counts nothing, or
            where nobody knows.
    """

    labels: tuple[str, ...]
    value: float | Histogram
    created_s: float | None = None


@attrs.frozen
class Family:
    """A metric with all its values."""

    metric: Metric
    samples: Sequence[Sample]
