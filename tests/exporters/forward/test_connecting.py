"""Connections, with TLS and without."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierce import Address, TemporaryError
from tierce_exporters.forward.connecting import connect, tls_context
from tierce_exporters.options import ForwardTls

FILES = Path(__file__).parent / "tls"
CERTIFICATE, KEY = str(FILES / "certificate.pem"), str(FILES / "key.pem")
TRUSTING = ForwardTls(ca_file=CERTIFICATE)
WAIT_S = 60.0


class TlsPeer:
    """Accepts connections, speaks TLS and says hello."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self.listener.getsockname()[1])
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CERTIFICATE)
        self.context.load_cert_chain(CERTIFICATE, KEY)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                accepted, _address = self.listener.accept()
            except OSError:
                return
            accepted.settimeout(WAIT_S)
            try:
                with self.context.wrap_socket(accepted, server_side=True) as secured:
                    secured.sendall(b"hello")
                    secured.recv(1)
            except OSError:
                continue

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(WAIT_S)


@pytest.fixture
def peer() -> Iterator[TlsPeer]:
    made = TlsPeer()
    yield made
    made.close()


def hello(one: socket.socket) -> bytes:
    with one:
        assert not one.getblocking()
        one.settimeout(WAIT_S)
        return one.recv(5)


def test_a_peer_whose_certificate_is_trusted_is_talked_to(peer: TlsPeer) -> None:
    assert hello(connect(peer.address, tls_context(TRUSTING), "localhost")) == b"hello"


def test_a_peer_that_asks_for_a_certificate_is_shown_it(peer: TlsPeer) -> None:
    peer.context.verify_mode = ssl.CERT_REQUIRED
    options = ForwardTls(ca_file=CERTIFICATE, certificate=CERTIFICATE, key=KEY)
    assert hello(connect(peer.address, tls_context(options), "localhost")) == b"hello"


@pytest.mark.parametrize(
    ("options", "name"), [(ForwardTls(), "localhost"), (TRUSTING, "another.example")]
)
def test_a_peer_that_is_not_trusted_or_is_another_is_not(
    peer: TlsPeer, options: ForwardTls, name: str
) -> None:
    with pytest.raises(TemporaryError, match=r"can't connect to .*certificate verify failed"):
        connect(peer.address, tls_context(options), name)


def test_who_does_not_listen_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TemporaryError, match=f"can't connect to 127.0.0.1:{port}: Connection ref"):
        connect(Address("127.0.0.1", port), None, "")


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for options in (
        ForwardTls(ca_file=str(wrong)),
        ForwardTls(ca_file=str(tmp_path / "nowhere")),
        ForwardTls(certificate=str(wrong), key=KEY),
    ):
        with pytest.raises(TemporaryError, match=r"TLS can't be used with .*(wrong.pem|nowhere)"):
            tls_context(options)
