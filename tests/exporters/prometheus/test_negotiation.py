"""Which format a reader gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce_exporters.prometheus.negotiation import Format, choose, takes_gzip

PROTO = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
OPEN = "application/openmetrics-text;version=1.0.0"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        # What Prometheus sends, with and without native histograms.
        (f"{PROTO},{OPEN};q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format.PROTOBUF),
        (
            f"{OPEN},application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
        ),
        (f"{OPEN};escaping=allow-utf-8;q=0.5,{PROTO};q=0.6", Format.PROTOBUF),
        ("text/plain;version=0.0.4", Format.TEXT),
        # The first named among equals.
        (f"text/plain,{OPEN}", Format.TEXT),
        (f"{OPEN},text/plain", Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ('application/openmetrics-text; Version="1.0.0"', Format.OPENMETRICS),
        # What is not written here is no choice.
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Format.TEXT),
        (f"{PROTO.replace('delimited', 'text')},{OPEN};q=0.2", Format.OPENMETRICS),
        ("application/vnd.google.protobuf", Format.TEXT),
        (f"{OPEN};q=0,text/plain;q=0.001", Format.TEXT),
        (f"{OPEN};q=2,text/plain;q=0.1", Format.TEXT),
        ("application/json", Format.TEXT),
    ],
)
def test_a_reader_gets_what_it_wants_most(accept: str, wanted: Format) -> None:
    assert choose(accept) is wanted


@given(st.text(max_size=200))
def test_any_header_gets_some_format(accept: str) -> None:
    assert choose(accept) in Format


@pytest.mark.parametrize(
    ("accept_encoding", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
    ],
)
def test_only_who_takes_gzip_gets_it(accept_encoding: str, takes: bool) -> None:
    assert takes_gzip(accept_encoding) is takes
