"""What is served where: /metrics, /-/healthy, and an index that points to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from tierce import explain
from tierce_exporters.http.request import Request
from tierce_exporters.http.response import Response, plain
from tierce_exporters.prometheus.metric import Family
from tierce_exporters.prometheus.negotiation import Format, choose
from tierce_exporters.prometheus.protobuf import to_protobuf
from tierce_exporters.prometheus.text import to_openmetrics, to_text

METRICS_PATH = "/metrics"
_METHODS = ("GET", "HEAD")
_WRITERS = {
    Format.TEXT: to_text,
    Format.OPENMETRICS: to_openmetrics,
    Format.PROTOBUF: to_protobuf,
}
_HEALTHY = plain(200, "healthy")
_INDEX = plain(200, f"Tierce: Prometheus reads {METRICS_PATH}")


class MetricsSite:
    """The site of the exporter.

    Args:
        collect: Returns all metrics as of now; may take its time.
        logger: Is told when that fails.
    """

    def __init__(
        self, collect: Callable[[], Sequence[Family]], logger: logging.LoggerAdapter[logging.Logger]
    ) -> None:
        self._collect = collect
        self._logger = logger

    def answer(self, request: Request) -> Response | None:
        """Return the answer at once, or None for metrics: they are collected first."""
        if request.path not in (METRICS_PATH, "/-/healthy", "/"):
            return plain(404, f"nothing is here; metrics are at {METRICS_PATH}")
        if request.method not in _METHODS:
            return plain(405, "expected GET or HEAD", Allow=", ".join(_METHODS))
        if request.path == METRICS_PATH:
            return None
        return _INDEX if request.path == "/" else _HEALTHY

    def work(self, requests: Sequence[Request]) -> list[Response]:
        """Return the answers to requests for metrics: those of one format share theirs."""
        wanted = [choose(one.headers.get("accept", "")) for one in requests]
        try:
            families = self._collect()
            answers = {one: _written(one, families) for one in set(wanted)}
        except Exception as error:
            # Who asked is told, and the next one is served.
            self._logger.exception("metrics can't be collected")
            failed = plain(500, f"metrics can't be collected: {explain(error)}")
            return [failed for _one in wanted]
        return [answers[one] for one in wanted]


def _written(wanted: Format, families: Sequence[Family]) -> Response:
    return Response(200, wanted.value, _WRITERS[wanted](families))
