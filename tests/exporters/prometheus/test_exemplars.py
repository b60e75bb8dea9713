"""Exemplars are of the last I/O in each bucket that services were given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporters.seen import START_NS, record
from tierce.volume.counters import bucket_of
from tierce_exporters.prometheus.exemplars import Exemplars
from tierce_exporters.prometheus.metric import Exemplar

NS = 1_000_000_000
FIRST, SECOND, THIRD = ("0a" * 16, "0b" * 16, "0c" * 16)


def test_the_last_one_of_each_bucket_is_kept() -> None:
    exemplars = Exemplars()
    exemplars.add([record(trace_id=FIRST), record(trace_id=SECOND, elapsed_ns=900_000_000)])
    exemplars.add([record(trace_id=THIRD, elapsed_ns=61_000_000)])
    assert exemplars.of("db", "write") == {
        26: Exemplar(THIRD, 0.061, (START_NS + 61_000_000) / NS),
        30: Exemplar(SECOND, 0.9, (START_NS + 900_000_000) / NS),
    }
    assert exemplars.of("db", "read") == {}


@given(st.integers(0, 10**12))
def test_an_io_is_an_exemplar_of_the_bucket_that_its_page_counts_it_in(elapsed_ns: int) -> None:
    exemplars = Exemplars()
    exemplars.add([record(elapsed_ns=elapsed_ns)])
    assert list(exemplars.of("db", "write")) == [bucket_of(elapsed_ns)]


def test_what_a_scrape_looks_at_does_not_change_under_it() -> None:
    exemplars = Exemplars()
    exemplars.add([record(trace_id=FIRST)])
    seen = exemplars.of("db", "write")
    exemplars.add([record(trace_id=SECOND)])
    assert [one.trace_id for one in seen.values()] == [FIRST]


def test_those_of_volumes_that_are_gone_are_forgotten() -> None:
    exemplars = Exemplars()
    exemplars.add([record(), record("log")])
    exemplars.forget_others({"log"})
    assert (exemplars.of("db", "write"), len(exemplars.of("log", "write"))) == ({}, 1)
