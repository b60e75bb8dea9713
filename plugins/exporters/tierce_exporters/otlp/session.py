"""The session of `requests` that OTLP over HTTP goes through.

OpenTelemetry's exporters take every answer below 400 as "arrived", and read it whole.
"""

from __future__ import annotations

from typing import Any

import requests

#: Of an answer so much is read; what is longer costs the connection.
ANSWER_BYTES_MAX = 4096
_REDIRECTIONS = range(300, 400)


class Session(requests.Session):
    """One whose certificates go before those that REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE name: with
    these set, `requests` passes over what a session was told to trust."""

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
        """
        answer = super().request(method, url, *args, **options)
        if len(answer.raw.read(ANSWER_BYTES_MAX + 1, decode_content=False)) > ANSWER_BYTES_MAX:
            answer.close()
        if answer.status_code in _REDIRECTIONS:
            elsewhere = answer.headers.get("Location", "another place")
            raise requests.TooManyRedirects(
                f"{url} answers {answer.status_code}: it is at {elsewhere}; name that as the "
                "endpoint if it is right"
            )
        return answer
