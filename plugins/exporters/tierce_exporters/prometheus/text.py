"""The two text formats: Prometheus' 0.0.4 and OpenMetrics 1.0.

They differ in little: OpenMetrics names a counter without `_total` where it describes it, says the
unit, since when a counter counts, an exemplar of a bucket, and where the text ends. Bounds are
written alike in both ("1.0"), so that a server that changes from one to the other goes on with the
same series.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from tierce_exporters.prometheus.metric import (
    Exemplar,
    Family,
    Histogram,
    Kind,
    Metric,
    Sample,
    Scale,
)

END = b"# EOF\n"
#: Samples that are written at once: the text of all volumes' is large, and never whole in memory
#: where it is sent compressed.
SAMPLE_COUNT = 64


def to_text(families: Sequence[Family]) -> Iterator[bytes]:
    """Yield the families in format 0.0.4, in pieces."""
    for one in families:
        yield from _pieces(_head(one.metric, one.metric.name), one, created=False)


def to_openmetrics(families: Sequence[Family]) -> Iterator[bytes]:
    """Yield the families in OpenMetrics 1.0, in pieces, and the end."""
    for one in families:
        yield from _pieces(_head_with_unit(one.metric), one, created=True)
    yield END


def _pieces(head: str, family: Family, *, created: bool) -> Iterator[bytes]:
    lines = [head]
    for first in range(0, len(family.samples), SAMPLE_COUNT):
        part = Family(family.metric, family.samples[first : first + SAMPLE_COUNT])
        lines.extend(_lines(part, created=created))
        yield "".join(lines).encode()
        lines = []


def _head(metric: Metric, name: str) -> str:
    text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind.value}\n"


def _head_with_unit(metric: Metric) -> str:
    unit = f"# UNIT {metric.base} {metric.unit}\n" if metric.unit else ""
    return _head(metric, metric.base) + unit


def _lines(family: Family, *, created: bool) -> Iterator[str]:
    metric = family.metric
    for sample in family.samples:
        labels = _labels(metric, sample)
        if isinstance(sample.value, Histogram):
            assert metric.scale is not None, "a histogram has buckets"
            yield from _histogram(
                metric.name, labels, sample.value, metric.scale, has_exemplars=created
            )
        else:
            yield f"{metric.name}{{{labels}}} {_number(sample.value)}\n"
        if created and sample.created_s is not None and metric.kind is not Kind.GAUGE:
            yield f"{metric.base}_created{{{labels}}} {sample.created_s!r}\n"


@cache
def _bounds(scale: Scale) -> tuple[str, ...]:
    return tuple(map(repr, scale.bounds))


def _histogram(
    name: str, labels: str, value: Histogram, scale: Scale, *, has_exemplars: bool
) -> Iterator[str]:
    start = f'{name}_bucket{{{labels},le="'
    total = sum(value.buckets)
    bounds, counts = (*_bounds(scale), "+Inf"), (*scale.cumulative(value.buckets), total)
    exemplars = scale.classic(value.exemplars) if has_exemplars and value.exemplars else {}
    for index, (bound, count) in enumerate(zip(bounds, counts, strict=True)):
        yield f'{start}{bound}"}} {count}{_exemplar(exemplars.get(index))}\n'
    yield f"{name}_sum{{{labels}}} {value.total!r}\n"
    yield f"{name}_count{{{labels}}} {total}\n"


def _exemplar(one: Exemplar | None) -> str:
    if one is None:
        return ""
    return f' # {{trace_id="{one.trace_id}"}} {one.value!r} {one.time_s!r}'


def _labels(metric: Metric, sample: Sample) -> str:
    pairs = zip(metric.labels, sample.labels, strict=True)
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(value)
