"""What a metric is, and one value of it: before any format."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs


class Kind(enum.Enum):
    """The types of metrics that all formats have."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


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
    """

    name: str
    kind: Kind
    unit: str = ""
    labels: tuple[str, ...] = ()
    help: str
    source: str

    @property
    def base(self) -> str:
        """The name without what says that it is a counter."""
        return self.name.removesuffix("_total")


@attrs.frozen
class Latencies:
    """How many operations took how long: the value of a histogram.

    Attributes:
        buckets: Counts, as `reading` describes them.
        sum_s: The sum of all, in seconds.
    """

    buckets: tuple[int, ...]
    sum_s: float


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
    value: float | Latencies
    created_s: float | None = None


@attrs.frozen
class Family:
    """A metric with all its values."""

    metric: Metric
    samples: Sequence[Sample]
