"""The session of `requests` that OTLP over HTTP goes through."""

from __future__ import annotations

from typing import Any

import requests


class Session(requests.Session):
    """One whose certificates go before those that REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE name: with
    these set, `requests` passes over what a session was told to trust."""

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return what a request is sent with."""
        trusted = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, trusted, cert)
