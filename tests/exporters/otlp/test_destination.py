"""Options go before the environment, and that before the standard's defaults."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tierce import UsageError
from tierce_exporters.options import OtlpOptions
from tierce_exporters.otlp.destination import Destination, Signal, destination

BOTH = [Signal.TRACES, Signal.METRICS]


def where(
    environment: dict[str, str] | None = None, signal: Signal = Signal.TRACES, **options: Any
) -> Destination:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in (environment or {}).items()}
    return destination(OtlpOptions(**options), signal, named)


@pytest.mark.parametrize("signal", BOTH)
def test_without_anything_it_is_http_on_this_machine(signal: Signal) -> None:
    url = f"http://localhost:4318/v1/{signal.value}"
    assert where(signal=signal) == Destination("http/protobuf", url, False, 10.0)


def test_grpc_has_a_port_of_its_own_and_no_path() -> None:
    found = where({"PROTOCOL": "grpc"})
    assert (found.protocol, found.endpoint) == ("grpc", "http://localhost:4317")


def test_http_appends_its_path_to_an_endpoint_for_all_and_to_none_of_a_signal_s_own() -> None:
    assert (
        where({"ENDPOINT": "https://localhost:1/otlp/"}).endpoint
        == "https://localhost:1/otlp/v1/traces"
    )
    own = {"ENDPOINT": "https://localhost:1", "TRACES_ENDPOINT": "https://127.0.0.1:2/here"}
    assert where(own).endpoint == "https://127.0.0.1:2/here"
    assert where(own, Signal.METRICS).endpoint == "https://localhost:1/v1/metrics"


def test_an_option_goes_before_every_variable() -> None:
    said = {
        "ENDPOINT": "http://localhost:1",
        "TRACES_ENDPOINT": "http://127.0.0.1:2",
        "PROTOCOL": "http/protobuf",
        "TIMEOUT": "3",
        "CERTIFICATE": "/a.pem",
    }
    found = where(
        said,
        endpoint="https://collector.example:3",
        protocol="grpc",
        timeout=5.0,
        certificate="/c.pem",
    )
    assert found == Destination(
        "grpc", "https://collector.example:3", True, 5.0, certificate="/c.pem"
    )


def test_a_variable_of_a_signal_goes_before_that_of_all() -> None:
    said = {"TIMEOUT": "3", "METRICS_TIMEOUT": "4", "TRACES_PROTOCOL": "grpc"}
    assert (where(said).timeout_s, where(said).protocol) == (3.0, "grpc")
    metrics = where(said, Signal.METRICS)
    assert (metrics.timeout_s, metrics.protocol) == (4.0, "http/protobuf")


def test_a_certificate_to_show_has_its_key() -> None:
    said = {"CLIENT_CERTIFICATE": "/c.pem", "CLIENT_KEY": "/k.pem"}
    assert where(said).client == ("/c.pem", "/k.pem")
    assert where({"CLIENT_KEY": "/k.pem"}).client is None


def test_an_address_alone_is_by_tls_unless_it_is_said_to_be_insecure() -> None:
    said = {"PROTOCOL": "grpc", "ENDPOINT": "collector:4317"}
    assert where(said).is_secure
    assert not where({**said, "INSECURE": "true"}).is_secure


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'; expected grpc or"),
        ({"TIMEOUT": "soon"}, "OTEL_EXPORTER_OTLP_TIMEOUT is 'soon'; expected seconds"),
        ({"TIMEOUT": "-1"}, "OTEL_EXPORTER_OTLP_TIMEOUT is '-1'"),
        (
            {"ENDPOINT": "http://:1234@collector.example:1"},
            "its endpoint has a user or a password in it",
        ),
        ({"TRACES_ENDPOINT": "ann:1234@host:1"}, "its endpoint has a user or a password in it"),
    ],
)
def test_a_variable_that_can_not_be_is_named(said: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        where(said)


def test_names_of_headers_are_small_as_grpc_has_them() -> None:
    assert where(headers={"Authorization": "me"}).headers == {"authorization": "me"}


def test_headers_are_not_shown() -> None:
    found = where(headers={"authorization": "secret"})
    assert found.headers == {"authorization": "secret"}
    assert "secret" not in repr(found)
    assert attrs.evolve(found, headers=None) == where()
