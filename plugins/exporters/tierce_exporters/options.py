"""What the exporters can be told."""
# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

import importlib.metadata
import re
from urllib.parse import urlsplit

import attrs

from tierce import Address, option

#: What of 127.0.0.0/8 is not meant by its beginning.
_LOOPBACK_NAMES = frozenset({"localhost", "::1"})
#: What a header may be called, over HTTP and gRPC.
_HEADER = re.compile(r"[0-9A-Za-z_.-]+")
#: The protocols of OTLP, and the package that speaks each.
OTLP_PROTOCOLS = {
    "grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "http/protobuf": "opentelemetry-exporter-otlp-proto-http",
}
#: What is wrong with a URL that `has_login`.
LOGIN = "has a user or a password in it, which logs would show: send it by a header instead"


@attrs.frozen
class PrometheusOptions:
    """The section `prometheus:` under `services:`."""

    listen: tuple[str, ...] = option(
        default=("127.0.0.1:9500",),
        unit="address",
        doc="Where it listens, in plain HTTP. Beyond loopback only if it is stated here. A port of "
        "0 is any free one, see `discovery_file`.",
    )
    legacy: bool = option(
        default=False,
        doc="Show the names of OpenEBS's exporters too, so that dashboards made for those work.",
    )
    discovery_file: str | None = option(
        default=None,
        unit="path",
        doc="A JSON file that is written when it listens and names its addresses, for Prometheus' "
        "`file_sd_configs`.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is."""
        return None if self.listen else "listen names no address: nobody could read anything"

    def advice(self) -> str | None:
        """Say what works and yet should be known."""
        beyond = [one for one in self.listen if not _is_loopback(one)]
        if not beyond:
            return None
        return (
            f"the exporter listens at {', '.join(beyond)}, without a password: whoever reaches "
            "that reads the names and numbers of all volumes"
        )


@attrs.frozen
class OtlpOptions:
    """The section `otlp:` under `services:`."""

    endpoint: str | None = option(
        default=None,
        doc="The collector's URL, `http://HOST:PORT`, or `https://HOST:PORT` for TLS. Without it "
        "that of OTEL_EXPORTER_OTLP_ENDPOINT, else port 4318 of this machine, with gRPC port 4317. "
        "HTTP appends `/v1/traces` and `/v1/metrics`.",
    )
    protocol: str | None = option(
        default=None,
        choices=tuple(OTLP_PROTOCOLS),
        doc="How it is spoken to. Without it as OTEL_EXPORTER_OTLP_PROTOCOL says, else "
        "`http/protobuf`.",
    )
    headers: dict[str, str] = option(
        factory=dict,
        secret=True,
        doc="Sent with every request, such as what it is to let us in by. Without them those of "
        "OTEL_EXPORTER_OTLP_HEADERS.",
    )
    certificate: str | None = option(
        default=None,
        unit="path",
        doc="The roots (PEM) that the collector's certificate is checked by. Without it those of "
        "OTEL_EXPORTER_OTLP_CERTIFICATE, else the usual ones.",
    )
    client_certificate: str | None = option(
        default=None,
        unit="path",
        doc="The certificate (PEM) that is shown to the collector, with `client_key`. Without it "
        "that of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, else none.",
    )
    client_key: str | None = option(
        default=None, unit="path", doc="The private key (PEM) of `client_certificate`."
    )
    timeout: float | None = option(
        default=None,
        unit="seconds",
        minimum=0.1,
        maximum=300,
        doc="How long one sending may take, tries included. Without it as "
        "OTEL_EXPORTER_OTLP_TIMEOUT says, else 10 s.",
    )
    traces: bool = option(default=True, doc="Send the I/Os that are written down, as traces.")
    metrics: bool = option(default=True, doc="Send what is counted.")
    period: float = option(
        default=60.0,
        unit="seconds",
        minimum=1,
        maximum=3600,
        doc="How often what is counted is sent.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is."""
        if self.endpoint is not None:
            if has_login(self.endpoint):
                return f"endpoint {LOGIN}"
            url = urlsplit(self.endpoint)
            if url.scheme not in ("http", "https") or not url.hostname:
                return f"endpoint is {self.endpoint!r}; expected http://HOST:PORT, or https://HOST:PORT"
            if url.scheme == "http" and self.certificate is not None:
                return "there is a certificate, and the endpoint is http://: write https:// for TLS"
        if (self.client_certificate is None) != (self.client_key is None):
            return "client_certificate and client_key go together, and one of them is missing"
        if not (self.traces or self.metrics):
            return "neither traces nor metrics are to be sent: leave the section out"
        return self._wrong_header() or self._missing()

    def advice(self) -> str | None:
        """Say what works and yet should be known."""
        if self.endpoint is None or self.endpoint.startswith("https://"):
            return None
        if _is_loopback_host(urlsplit(self.endpoint).hostname or ""):
            return None
        return (
            f"what is sent to {self.endpoint} goes in plain text: whoever is in between reads the "
            "names and numbers of all volumes"
        )

    def _wrong_header(self) -> str | None:
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name):
                return f"{name!r} of headers can't be the name of a header"
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                return (
                    f"what `{name}` of headers says has characters that no header can have: white "
                    "space before or after it, an end of a line, or what is not ASCII"
                )
        return None

    def _missing(self) -> str | None:
        # Asked of what is installed: to import it would bring it into every process.
        for package in (
            OTLP_PROTOCOLS.values() if self.protocol is None else [OTLP_PROTOCOLS[self.protocol]]
        ):
            try:
                importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                return f"{package} is not installed: pip install 'tierce[otlp]'"
        return None


@attrs.frozen
class ForwardTls:
    """The section `tls:` of the service `forward`."""

    ca_file: str | None = option(
        default=None,
        unit="path",
        doc="Whose certificates are trusted, in PEM; by default the machine's.",
    )
    certificate: str | None = option(
        default=None, unit="path", doc="What is shown to a peer that asks for it, in PEM."
    )
    key: str | None = option(default=None, unit="path", doc="The certificate's key, in PEM.")
    server_name: str | None = option(
        default=None, doc="The name in the peer's certificate; by default the address's."
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is."""
        if (self.certificate is None) != (self.key is None):
            return "a certificate needs its key, and a key its certificate"
        return None


@attrs.frozen
class ForwardOptions:
    """The section `forward:` under `services:`."""

    address: str = option(
        unit="address", doc="Where Fluentd, Fluent Bit or a collector takes the forward protocol."
    )
    tag: str = option(
        default="tierce",
        doc="What they route by: events are sent as TAG.events, I/O records as TAG.records.",
    )
    records: bool = option(
        default=False, doc="Send the I/Os too that were written down one by one."
    )
    tls: ForwardTls | None = option(
        default=None, doc="Use TLS; `tls: {}` trusts what the machine trusts."
    )
    shared_key_file: str | None = option(
        default=None,
        unit="path",
        doc="A file with the key that the peer knows too; white space around it does not count.",
    )
    user: str = option(default="", doc="Who sends, where the peer asks for a user.")
    password_file: str | None = option(
        default=None, unit="path", doc="A file with the user's password."
    )
    compress: bool = option(default=False, doc="Compress what is sent, by gzip.")
    ack_timeout_s: float = option(
        default=30.0,
        unit="seconds",
        minimum=1.0,
        maximum=600.0,
        doc="What is not acknowledged within this time is sent again, on another connection.",
    )
    buffer_count_max: int = option(
        default=10_000,
        minimum=1000,
        maximum=1_000_000,
        doc="So many events and records are kept until they are acknowledged; what there is no "
        "room for is dropped, the oldest records first.",
    )
    buffer_bytes_max: int = option(
        default=8 << 20,
        unit="bytes",
        minimum=2 << 20,
        maximum=1 << 30,
        doc="The same, in bytes.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options, if anything is."""
        if not self.tag or not self.tag.isascii() or not self.tag.isprintable() or " " in self.tag:
            return f"tag is a word of ASCII letters, dots and the like, got {self.tag!r}"
        if bool(self.user) != (self.password_file is not None):
            return "a user needs a password_file, and a password_file its user"
        if self.user and self.shared_key_file is None:
            return "a user is asked for with a shared key only: name its shared_key_file"
        return None

    def advice(self) -> str | None:
        """Say what works and yet should be known."""
        if self.tls is not None or _is_loopback(self.address):
            return None
        return (
            f"events are sent to {self.address} without TLS: whoever is between can read and "
            "change them"
        )


def has_login(endpoint: str) -> bool:
    """Return whether a URL, or HOST:PORT alone, has a user or a password before its host."""
    return "@" in (endpoint.partition("://")[2] or endpoint).partition("/")[0]


def _is_loopback(address: str) -> bool:
    return _is_loopback_host(Address.parse(address).host)


def _is_loopback_host(host: str) -> bool:
    return host.startswith("127.") or host in _LOOPBACK_NAMES
