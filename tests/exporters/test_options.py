"""What the exporters can be told."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

from tierce import ConfigError
from tierce.config import config_from_bytes
from tierce.registry import Registry

FORWARD = b"services:\n  forward:\n"
HEAD = b"services:\n  prometheus:\n    listen: "
OTLP = b"services:\n  otlp: "


def advice(listen: bytes, folder: Path) -> str:
    return "\n".join(config_from_bytes(HEAD + listen, folder / "f.yaml", Registry.load()).advice)


def test_loopback_needs_no_advice_and_anything_else_does(tmp_path: Path) -> None:
    assert advice(b"['127.0.0.1:9500', 'localhost:1', '[::1]:2']", tmp_path) == ""
    assert "listens at 10.0.0.1:9500, without a password" in advice(b"['10.0.0.1:9500']", tmp_path)


def test_somewhere_it_must_listen(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="listen names no address"):
        advice(b"[]", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            b"{endpoint: 'collector:4317'}",
            "endpoint is 'collector:4317'; expected http://HOST:PORT",
        ),
        (b"{endpoint: 'http://localhost:1', certificate: ca.pem}", "write https:// for TLS"),
        (
            b"{endpoint: 'https://:1234@collector.example:1'}",
            "endpoint has a user or a password in it",
        ),
        (b"{endpoint: 'ftp://ann:1234@host:1'}", "endpoint has a user or a password in it"),
        (b"{headers: {authorization: ' Bearer 1234'}}", "`authorization` of headers says"),
        (
            b'{headers: {authorization: "Bearer 1234\\n"}}',
            "`authorization` of headers says",
        ),
        (b"{headers: {'a b': '1234'}}", "'a b' of headers can't be the name of a header"),
        (b"{client_key: key.pem}", "client_certificate and client_key go together"),
        (b"{traces: false, metrics: false}", "neither traces nor metrics are to be sent"),
        (b"{protocol: http/json}", "protocol"),
        (b"{period: 1 ms}", "period"),
    ],
)
def test_what_can_not_be_sent_is_an_error_with_file_and_line(
    options: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config_from_bytes(OTLP + options, tmp_path / "f.yaml", Registry.load())
    assert "f.yaml:2" in str(caught.value)
    # What is secret is shown to nobody.
    assert "1234" not in str(caught.value)


def test_what_goes_in_plain_text_beyond_this_machine_is_advised_against(tmp_path: Path) -> None:
    def advised(endpoint: str) -> str:
        text = OTLP + b"{endpoint: '%s'}" % endpoint.encode()
        return "\n".join(config_from_bytes(text, tmp_path / "f.yaml", Registry.load()).advice)

    assert advised("http://localhost:4318") == advised("https://collector.example:4318") == ""
    assert "what is sent to http://collector.example:4318 goes in plain text" in advised(
        "http://collector.example:4318"
    )


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def is_absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", is_absent)
    with pytest.raises(ConfigError, match=r"otlp-proto-grpc is not installed: pip install 'tierce"):
        config_from_bytes(OTLP + b"{protocol: grpc}", tmp_path / "f.yaml", Registry.load())


def forward(*lines: bytes) -> bytes:
    return FORWARD + b"".join(b"    " + line + b"\n" for line in lines)


def test_events_that_leave_the_machine_in_plain_text_are_advised_against(tmp_path: Path) -> None:
    registry, file = Registry.load(), tmp_path / "f.yaml"
    far = config_from_bytes(forward(b"address: 'logs.example:24224'"), file, registry)
    assert "events are sent to logs.example:24224 without TLS" in "\n".join(far.advice)
    for quiet in ((b"address: '127.0.0.1:24224'",), (b"address: 'logs.example:1'", b"tls: {}")):
        assert not config_from_bytes(forward(*quiet), file, registry).advice


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        ((b"tag: a",), 2, "address"),
        ((b"address: nowhere",), 3, "expected HOST:PORT"),
        ((b"address: '127.0.0.1:1'", b"tag: 'a b'"), 2, "tag is a word"),
        ((b"address: '127.0.0.1:1'", b"user: ann"), 2, "a user needs a password_file"),
        (
            (b"address: '127.0.0.1:1'", b"user: ann", b"password_file: p"),
            2,
            "name its shared_key_file",
        ),
        ((b"address: '127.0.0.1:1'", b"tls: {key: k}"), 4, "a certificate needs its key"),
        ((b"address: '127.0.0.1:1'", b"ack_timeout_s: 0"), 4, "at least 1"),
        ((b"address: '127.0.0.1:1'", b"buffer_bytes_max: 1 MiB"), 4, "at least 2 MiB"),
        ((b"address: '127.0.0.1:1'", b"shared_key: abc"), 4, "shared_key_file"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(
    lines: tuple[bytes, ...], where: int, what: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_bytes(forward(*lines), tmp_path / "f.yaml", Registry.load())
    assert re.search(rf"f\.yaml:{where}: .*{re.escape(what)}", str(caught.value))
