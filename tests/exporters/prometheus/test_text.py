"""The two text formats, as they are read."""

from __future__ import annotations

import itertools

import pytest

from exporters.seen import operation
from tierce_exporters.prometheus.metric import Exemplar, Family, Histogram, Kind, Metric, Sample
from tierce_exporters.prometheus.reading import DURATIONS
from tierce_exporters.prometheus.text import SAMPLE_COUNT, to_openmetrics, to_text

ERRORS = Metric(
    name="tierce_errors_total", kind=Kind.COUNTER, labels=("volume",), help="Errors.", source="a"
)
SIZE = Metric(name="tierce_size_bytes", kind=Kind.GAUGE, unit="bytes", help="Size.", source="a")
TOOK = Metric(
    name="tierce_took_seconds",
    kind=Kind.HISTOGRAM,
    unit="seconds",
    labels=("volume",),
    help="Took.",
    scale=DURATIONS,
    source="a",
)
FAMILIES = [
    Family(ERRORS, [Sample(("db",), 3, 12.5), Sample(("log",), 4)]),
    Family(SIZE, [Sample((), 1024, 9.0)]),
]


def test_the_text_that_everybody_reads() -> None:
    assert b"".join(to_text(FAMILIES)).decode().splitlines() == [
        "# HELP tierce_errors_total Errors.",
        "# TYPE tierce_errors_total counter",
        'tierce_errors_total{volume="db"} 3',
        'tierce_errors_total{volume="log"} 4',
        "# HELP tierce_size_bytes Size.",
        "# TYPE tierce_size_bytes gauge",
        "tierce_size_bytes{} 1024",
    ]


def test_openmetrics_names_a_counter_without_its_end_and_says_unit_beginning_and_the_end() -> None:
    assert b"".join(to_openmetrics(FAMILIES)).decode().splitlines() == [
        "# HELP tierce_errors Errors.",
        "# TYPE tierce_errors counter",
        'tierce_errors_total{volume="db"} 3',
        'tierce_errors_created{volume="db"} 12.5',
        'tierce_errors_total{volume="log"} 4',
        "# HELP tierce_size_bytes Size.",
        "# TYPE tierce_size_bytes gauge",
        "# UNIT tierce_size_bytes bytes",
        "tierce_size_bytes{} 1024",
        "# EOF",
    ]


@pytest.mark.parametrize("write", [to_text, to_openmetrics])
def test_a_histogram_has_cumulative_buckets_with_the_same_bounds_in_both(write: object) -> None:
    buckets = operation({16: 2, 34: 1, 39: 1}).buckets
    families = [Family(TOOK, [Sample(("db",), Histogram(buckets, 1.5))])]
    assert callable(write)
    lines = b"".join(write(families)).decode().splitlines()
    found = [line for line in lines if not line.startswith("#")]
    assert len(found) == 22
    assert found[0] == 'tierce_took_seconds_bucket{volume="db",le="6.103515625e-05"} 2'
    assert found[14] == 'tierce_took_seconds_bucket{volume="db",le="1.0"} 2'
    assert found[18:] == [
        'tierce_took_seconds_bucket{volume="db",le="16.0"} 3',
        'tierce_took_seconds_bucket{volume="db",le="+Inf"} 4',
        'tierce_took_seconds_sum{volume="db"} 1.5',
        'tierce_took_seconds_count{volume="db"} 4',
    ]


def test_only_openmetrics_has_exemplars_each_at_the_bucket_that_counts_it() -> None:
    buckets = operation({16: 2, 26: 1, 39: 1}).buckets
    exemplars = {26: Exemplar("0af7", 0.06, 12.5), 39: Exemplar("b7ad", 300.0, 13.0)}
    families = [Family(TOOK, [Sample(("db",), Histogram(buckets, 1.5, exemplars))])]
    lines = b"".join(to_openmetrics(families)).decode().splitlines()
    assert [line for line in lines if " # " in line] == [
        'tierce_took_seconds_bucket{volume="db",le="0.0625"} 3 # {trace_id="0af7"} 0.06 12.5',
        'tierce_took_seconds_bucket{volume="db",le="+Inf"} 4 # {trace_id="b7ad"} 300.0 13.0',
    ]
    assert " # " not in b"".join(to_text(families)).decode()


def test_what_stands_in_a_label_is_escaped() -> None:
    families = [Family(ERRORS, [Sample(('a"b\\c\nd',), 1)])]
    assert b'{volume="a\\"b\\\\c\\nd"} 1\n' in b"".join(to_text(families))


def test_many_samples_are_written_in_pieces_that_are_one_text() -> None:
    samples = [Sample((f"v{index}",), index) for index in range(2 * SAMPLE_COUNT + 1)]
    pieces = list(to_text([Family(ERRORS, samples)]))
    assert len(pieces) == 3
    lines = list(itertools.chain.from_iterable(piece.splitlines() for piece in pieces))
    assert len(lines) == 2 + len(samples)
    assert sum(line.startswith(b"# HELP") for line in lines) == 1
