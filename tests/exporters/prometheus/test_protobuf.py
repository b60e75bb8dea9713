"""The protobuf format, read back by a reader that knows numbers and types of fields alone."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.prometheus.test_text import ERRORS, SIZE, TOOK
from exporters.seen import operation
from tierce_exporters.prometheus.metric import Exemplar, Family, Histogram, Sample
from tierce_exporters.prometheus.protobuf import to_protobuf, varint, zigzag

Fields = dict[int, list[Any]]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Fields:
    """Return the values of a message by number of field."""
    found: Fields = {}
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        value: Any
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        else:
            assert key & 7 == 2
            length, at = read_varint(data, at)
            value, at = data[at : at + length], at + length
            assert len(value) == length
        found.setdefault(key >> 3, []).append(value)
    return found


def families(data: bytes) -> list[Fields]:
    found, at = [], 0
    while at < len(data):
        length, at = read_varint(data, at)
        found.append(fields(data[at : at + length]))
        at += length
    assert at == len(data)
    return found


def signed(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value >> 1) - 1


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_read_back(value: int) -> None:
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


@given(st.integers(-(2**40), 2**40))
def test_a_signed_number_is_read_back(value: int) -> None:
    assert signed(zigzag(value)) == value


def test_counters_and_gauges_are_read_back_with_their_labels() -> None:
    data = b"".join(
        to_protobuf(
            [Family(ERRORS, [Sample(("db",), 3, 12.5)]), Family(SIZE, [Sample((), 1024, None)])]
        )
    )
    errors, size = families(data)
    assert (errors[1], errors[2], errors[3]) == ([b"tierce_errors_total"], [b"Errors."], [0])
    assert 5 not in errors
    metric = fields(errors[4][0])
    assert fields(metric[1][0]) == {1: [b"volume"], 2: [b"db"]}
    counter = fields(metric[3][0])
    assert counter[1] == [3.0]
    assert fields(counter[3][0]) == {1: [12], 2: [500_000_000]}
    assert (size[3], size[5]) == ([1], [b"bytes"])
    assert fields(fields(size[4][0])[2][0]) == {1: [1024.0]}


def histogram(*counts: tuple[int, int]) -> Fields:
    value = Histogram(operation(dict(counts)).buckets, 1.5)
    (family,) = families(b"".join(to_protobuf([Family(TOOK, [Sample(("db",), value, 9.0)])])))
    assert family[3] == [4]
    return fields(fields(family[4][0])[7][0])


def test_a_histogram_has_classic_buckets() -> None:
    found = histogram((16, 2), (39, 1))
    assert (found[1], found[2]) == ([3], [1.5])
    buckets = [fields(one) for one in found[3]]
    assert len(buckets) == 19
    assert buckets[0] == {1: [2], 2: [2.0**-14]}
    assert buckets[-1] == {1: [2], 2: [16.0]}


@pytest.mark.parametrize(
    ("counts", "zero", "native"),
    [
        ([(29, 1), (30, 4), (32, 2)], 0, {-1: 1, 0: 4, 1: 0, 2: 2}),
        ([(0, 3), (39, 1)], 3, {9: 1}),
        ([], 0, {}),
    ],
)
def test_a_histogram_has_native_buckets_that_end_at_powers_of_two_of_a_second(
    counts: list[tuple[int, int]], zero: int, native: dict[int, int]
) -> None:
    found = histogram(*counts)
    # Schema 0, and a threshold by which a reader knows that they are there at all.
    assert found[5] == [0]
    assert found[6][0] > 0
    assert found[7] == [zero]
    read: dict[int, int] = {}
    if 12 in found:
        span = fields(found[12][0])
        index, count, at = signed(span[1][0]), 0, 0
        for _position in range(span[2][0]):
            delta, at = read_varint(found[13][0], at)
            count += signed(delta)
            read[index] = count
            index += 1
        assert at == len(found[13][0])
    assert read == native


def test_a_histogram_says_since_when_it_counts() -> None:
    assert fields(histogram((30, 1))[15][0]) == {1: [9], 2: [0]}


def test_an_exemplar_lies_in_the_classic_bucket_that_counts_it() -> None:
    buckets = operation({16: 2, 26: 1, 39: 1}).buckets
    exemplars = {26: Exemplar("0af7", 0.06, 12.5), 39: Exemplar("b7ad", 300.0, 13.0)}
    sample = Sample(("db",), Histogram(buckets, 1.5, exemplars))
    (family,) = families(b"".join(to_protobuf([Family(TOOK, [sample])])))
    histogram = fields(fields(family[4][0])[7][0])
    found = {}
    for bucket in map(fields, histogram[3]):
        for one in map(fields, bucket.get(3, [])):
            label, time = fields(one[1][0]), fields(one[3][0])
            assert label[1] == [b"trace_id"]
            found[bucket[2][0]] = (bucket[1][0], label[2][0], one[2][0], time[1][0], time[2][0])
    assert found == {
        0.0625: (3, b"0af7", 0.06, 12, 500_000_000),
        float("inf"): (4, b"b7ad", 300.0, 13, 0),
    }
