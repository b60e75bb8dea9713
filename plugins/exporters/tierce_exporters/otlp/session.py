"""The session of `requests` that OTLP over HTTP goes through.

OpenTelemetry's exporters take every answer below 400 as "arrived", and read it whole. What
`requests` is told as a timeout is that of each piece of an answer, so that one in drips has no end:
here it is that of the whole answer.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader

#: Of an answer so much is read; what is longer costs the connection.
ANSWER_BYTES_MAX = 4096
_REDIRECTIONS = range(300, 400)


class _InTime(io.RawIOBase):
    """What comes on a socket until the time is over that the socket has for each piece."""

    def __init__(self, pieces: io.RawIOBase, peer: socket.socket) -> None:
        self._pieces = pieces
        self._peer = peer
        timeout_s = peer.gettimeout()
        assert timeout_s is not None, "each sending has its time"
        self._until = time.monotonic() + timeout_s

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read the next piece.

        Raises:
            TimeoutError: It did not come in time.
        """
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer is not whole in time")
        self._peer.settimeout(left_s)
        return self._pieces.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._pieces.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """One that is whole in time."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_InTime(self.fp.detach(), sock))


class _Adapter(HTTPAdapter):
    """Has answers be whole in time, by TLS and through a proxy too."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return those who connect."""
        pool = super().get_connection_with_tls_context(*args, **options)
        connection: Any = pool.ConnectionCls
        if connection.response_class is not _Answer:
            answers = {"response_class": _Answer}
            pool.ConnectionCls = type(connection.__name__, (connection,), answers)
        return pool


class Session(requests.Session):
    """One whose certificates go before those that REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE name: with
    these set, `requests` passes over what a session was told to trust."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def merge_environment_settings(
        self,
        url: Any,
        proxies: Any,
        stream: Any,  # noqa: ARG002 - as `requests` calls it
        verify: Any,
        cert: Any,
    ) -> Any:
        """Return what a request is sent with."""
        trusted = self.verify if verify is None else verify
        # By True the answer's end is left to `request`.
        return super().merge_environment_settings(url, proxies, True, trusted, cert)

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request; return its answer.

        Raises:
            requests.TooManyRedirects: It is to be sent elsewhere. That is for whoever configured
                it to say: headers are secrets, and nothing has arrived.
            requests.exceptions.InvalidHeader: One can't be sent.
        """
        try:
            answer = super().request(method, url, *args, **options)
        except InvalidHeader:
            # It says which, with its value.
            raise InvalidHeader("a header has characters that none can have") from None
        if len(answer.raw.read(ANSWER_BYTES_MAX + 1, decode_content=False)) > ANSWER_BYTES_MAX:
            answer.close()
        if answer.status_code in _REDIRECTIONS:
            elsewhere = answer.headers.get("Location", "another place")
            raise requests.TooManyRedirects(
                f"{url} answers {answer.status_code}: it is at {elsewhere}; name that as the "
                "endpoint if it is right"
            )
        return answer
