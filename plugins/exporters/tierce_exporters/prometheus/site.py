"""What is served where: /metrics, /-/healthy, and an index that points to them."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from tierce import explain
from tierce_exporters.http.request import Request
from tierce_exporters.http.response import Response, plain
from tierce_exporters.prometheus.metric import Family
from tierce_exporters.prometheus.negotiation import Format, choose, takes_gzip
from tierce_exporters.prometheus.protobuf import to_protobuf
from tierce_exporters.prometheus.text import to_openmetrics, to_text

METRICS_PATH = "/metrics"
_METHODS = ("GET", "HEAD")
_WRITERS = {
    Format.TEXT: to_text,
    Format.OPENMETRICS: to_openmetrics,
    Format.PROTOBUF: to_protobuf,
}
#: Text shrinks to a twentieth; more effort takes twice the time for a quarter less.
_LEVEL = 1
#: Of `zlib`: a gzip file.
_GZIP = 31
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
        """Return the answers to requests for metrics: those who want the same share theirs."""
        wanted = [_wanted(one) for one in requests]
        try:
            families = self._collect()
            answers = {one: _written(*one, families) for one in set(wanted)}
        except Exception as error:
            # Who asked is told, and the next one is served.
            self._logger.exception("metrics can't be collected")
            failed = plain(500, f"metrics can't be collected: {explain(error)}")
            return [failed for _one in wanted]
        return [answers[one] for one in wanted]


def _wanted(request: Request) -> tuple[Format, bool]:
    """Return the format that is wanted, and whether it may be compressed."""
    headers = request.headers
    return choose(headers.get("accept", "")), takes_gzip(headers.get("accept-encoding", ""))


def _written(wanted: Format, is_compressed: bool, families: Sequence[Family]) -> Response:
    pieces = _WRITERS[wanted](families)
    varies = {"Vary": "Accept, Accept-Encoding"}
    if not is_compressed:
        return Response(200, wanted.value, tuple(pieces), varies)
    headers = {"Content-Encoding": "gzip", **varies}
    return Response(200, wanted.value, tuple(_compressed(pieces)), headers)


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()
