"""Where to send, and how: options first, then the environment, then the standard's own defaults.

The environment variables are OpenTelemetry's (opentelemetry.io, "OTLP exporter configuration"): the
one of a signal goes before the one of all. Headers and compression are read by the libraries.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from tierce import UsageError
from tierce_exporters.options import LOGIN, OTLP_PROTOCOLS, OtlpOptions, has_login

_PREFIX = "OTEL_EXPORTER_OTLP"
GRPC, HTTP = "grpc", "http/protobuf"
_ENDPOINTS = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318"}
_TIMEOUT_S = 10.0

assert set(_ENDPOINTS) == set(OTLP_PROTOCOLS)


class Signal(enum.Enum):
    """What is sent: its word in paths and environment variables."""

    TRACES = "traces"
    METRICS = "metrics"


@attrs.frozen
class Destination:
    """Where one signal goes.

    Attributes:
        protocol: "grpc" or "http/protobuf".
        endpoint: The whole URL.
        is_secure: By TLS.
        timeout_s: How long one sending may take.
        headers: Sent with each request; None: as the environment has it.
        certificate: The roots that the collector's certificate is checked by; None: the usual ones.
        client: The certificate to show, and its key.
    """

    protocol: str
    endpoint: str
    is_secure: bool
    timeout_s: float
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    certificate: str | None = None
    client: tuple[str, str] | None = None


def destination(
    options: OtlpOptions, signal: Signal, environment: Mapping[str, str]
) -> Destination:
    """Return where a signal goes.

    Raises:
        UsageError: A variable of the environment says something that can't be.
    """

    def variable(name: str) -> str | None:
        names = (f"{_PREFIX}_{signal.value.upper()}_{name}", f"{_PREFIX}_{name}")
        return next((environment[one] for one in names if environment.get(one)), None)

    protocol = options.protocol or variable("PROTOCOL") or HTTP
    if protocol not in _ENDPOINTS:
        raise UsageError(f"{_PREFIX}_PROTOCOL is {protocol!r}; expected {' or '.join(_ENDPOINTS)}")
    endpoint = _endpoint(options, signal, protocol, environment)
    if has_login(endpoint):
        raise UsageError(f"{_PREFIX}: its endpoint {LOGIN}")
    certificate = options.client_certificate or variable("CLIENT_CERTIFICATE")
    key = options.client_key or variable("CLIENT_KEY")
    return Destination(
        protocol=protocol,
        endpoint=endpoint,
        is_secure=_is_secure(endpoint, variable("INSECURE")),
        timeout_s=options.timeout or _timeout(variable("TIMEOUT")),
        headers={name.lower(): said for name, said in options.headers.items()} or None,
        certificate=options.certificate or variable("CERTIFICATE"),
        client=(certificate, key) if certificate and key else None,
    )


def _endpoint(
    options: OtlpOptions, signal: Signal, protocol: str, environment: Mapping[str, str]
) -> str:
    own = environment.get(f"{_PREFIX}_{signal.value.upper()}_ENDPOINT")
    if options.endpoint is None and own:
        # The one of a signal is whole, as the standard has it.
        return own
    base = options.endpoint or environment.get(f"{_PREFIX}_ENDPOINT") or _ENDPOINTS[protocol]
    return base if protocol == GRPC else f"{base.removesuffix('/')}/v1/{signal.value}"


def _is_secure(endpoint: str, insecure: str | None) -> bool:
    scheme, is_url, _rest = endpoint.partition("://")
    if is_url:
        return scheme == "https"
    # HOST:PORT alone, as gRPC has it: by TLS unless it is said otherwise.
    return (insecure or "").lower() != "true"


def _timeout(text: str | None) -> float:
    if text is None:
        return _TIMEOUT_S
    try:
        timeout_s = float(text)
    except ValueError:
        timeout_s = 0.0
    if not 0 < timeout_s < 3600:
        raise UsageError(f"{_PREFIX}_TIMEOUT is {text!r}; expected seconds, more than 0")
    return timeout_s
