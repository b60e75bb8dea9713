"""The protobuf format: messages `io.prometheus.client.MetricFamily`, each after its length.

Written by hand, since a metric is four kinds of field. Each line is a message and its fields:
number, type, name (`metrics.proto` of prometheus/client_model).

==============  ================================================================================
MetricFamily    1 string name, 2 string help, 3 enum type, 4 Metric metric (many), 5 string unit
Metric          1 LabelPair label (many), 2 Gauge, 3 Counter, 7 Histogram
LabelPair       1 string name, 2 string value
Gauge           1 double value
Counter         1 double value, 3 Timestamp created
Histogram       1 uint64 count, 2 double sum, 3 Bucket bucket (many), 5 sint32 schema, 6 double
                zero_threshold, 7 uint64 zero_count, 12 BucketSpan positive_span (many), 13 sint64
                positive_delta (packed), 15 Timestamp created
Bucket          1 uint64 cumulative_count, 2 double upper_bound, 3 Exemplar exemplar
Exemplar        1 LabelPair label (many), 2 double value, 3 Timestamp timestamp
BucketSpan      1 sint32 offset, 2 uint32 length
Timestamp       1 int64 seconds, 2 int32 nanos
==============  ================================================================================

A histogram has its classic buckets and, of schema 0, its native ones: bucket i of these ends at
2^i s. A reader takes those that it knows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from tierce_exporters.prometheus.metric import (
    Exemplar,
    Family,
    Histogram,
    Kind,
    Metric,
    Sample,
    Scale,
)

_TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.HISTOGRAM: 4}
#: Types of fields on the wire.
_VARINT, _DOUBLE, _BYTES = 0, 1, 2
_NS_PER_S = 1_000_000_000


def to_protobuf(families: Sequence[Family]) -> Iterator[bytes]:
    """Yield the families, one piece for each, with its length before it."""
    return (_delimited(_family(one)) for one in families)


def varint(value: int) -> bytes:
    """Return an unsigned number in groups of seven bits, the lowest first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def zigzag(value: int) -> int:
    """Return a signed number as an unsigned one, small ones small."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def _delimited(message: bytes) -> bytes:
    return varint(len(message)) + message


def _key(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + varint(value)


def _double(number: int, value: float) -> bytes:
    return _key(number, _DOUBLE) + struct.pack("<d", value)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, _BYTES) + _delimited(value)


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _family(family: Family) -> bytes:
    metric = family.metric
    fields = [_text(1, metric.name), _text(2, metric.help), _number(3, _TYPES[metric.kind])]
    fields += [_bytes(4, _metric(metric, sample)) for sample in family.samples]
    if metric.unit:
        fields.append(_text(5, metric.unit))
    return b"".join(fields)


def _metric(metric: Metric, sample: Sample) -> bytes:
    labels = b"".join(
        _bytes(1, _text(1, name) + _text(2, value))
        for name, value in zip(metric.labels, sample.labels, strict=True)
    )
    if isinstance(sample.value, Histogram):
        assert metric.scale is not None, "a histogram has buckets"
        return labels + _bytes(7, _histogram(sample.value, metric.scale) + _created(15, sample))
    if metric.kind is Kind.COUNTER:
        return labels + _bytes(3, _double(1, sample.value) + _created(3, sample))
    return labels + _bytes(2, _double(1, sample.value))


def _created(number: int, sample: Sample) -> bytes:
    return b"" if sample.created_s is None else _timestamp(number, sample.created_s)


def _timestamp(number: int, time_s: float) -> bytes:
    seconds, part = divmod(time_s, 1)
    return _bytes(number, _number(1, int(seconds)) + _number(2, int(part * _NS_PER_S)))


def _exemplar(one: Exemplar | None) -> bytes:
    if one is None:
        return b""
    label = _bytes(1, _text(1, "trace_id") + _text(2, one.trace_id))
    return _bytes(3, label + _double(2, one.value) + _timestamp(3, one.time_s))


@cache
def _bounds(scale: Scale) -> tuple[bytes, ...]:
    """Return the bound of each classic bucket, as the field that follows its count."""
    return tuple(_double(2, bound) for bound in scale.bounds)


def _histogram(value: Histogram, scale: Scale) -> bytes:
    fields = [_number(1, sum(value.buckets)), _double(2, value.total)]
    exemplars = scale.classic(value.exemplars) if value.exemplars else {}
    counts = scale.cumulative(value.buckets)
    for index, (count, bound) in enumerate(zip(counts, _bounds(scale), strict=True)):
        fields.append(_bytes(3, _number(1, count) + bound + _exemplar(exemplars.get(index))))
    if len(counts) in exemplars:
        # What lies above all has a bucket only where it has an exemplar: readers make it up.
        above = _number(1, sum(value.buckets)) + _double(2, math.inf)
        fields.append(_bytes(3, above + _exemplar(exemplars[len(counts)])))
    # Bucket 0 holds what is less than half of what bucket 1 ends at.
    threshold = 2.0 ** -(scale.shift + 1)
    fields += [_number(5, zigzag(0)), _double(6, threshold), _number(7, value.buckets[0])]
    return b"".join([*fields, *_native(value.buckets, scale)])


def _native(buckets: tuple[int, ...], scale: Scale) -> list[bytes]:
    """Return one span from the first bucket that has something to the last one, and its counts as
    differences: in a page they lie close together."""
    filled = [bucket for bucket, count in enumerate(buckets) if count and bucket]
    if not filled:
        return []
    first, last = filled[0], filled[-1]
    span = _number(1, zigzag(first - scale.shift)) + _number(2, last - first + 1)
    counts = (0, *buckets[first : last + 1])
    deltas = b"".join(varint(zigzag(after - before)) for before, after in pairwise(counts))
    return [_bytes(12, span), _bytes(13, deltas)]
