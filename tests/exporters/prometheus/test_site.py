"""What is served where."""

from __future__ import annotations

import gzip
import logging

import pytest

from tierce_exporters.http.request import Request
from tierce_exporters.prometheus.metric import Family, Sample
from tierce_exporters.prometheus.negotiation import Format
from tierce_exporters.prometheus.site import MetricsSite
from tierce_exporters.prometheus.table import VOLUME_SESSIONS

FAMILIES = [Family(VOLUME_SESSIONS, [Sample(("db",), 2)])]


def request(path: str, method: str = "GET", accept: str = "", **headers: str) -> Request:
    return Request(method, path, {"accept": accept, **headers}, keeps_alive=True)


class Scene:
    """A site that counts how often it collects."""

    def __init__(self) -> None:
        self.count = 0
        logger = logging.LoggerAdapter(logging.getLogger("exporters-test"), {})
        self.site = MetricsSite(self.collect, logger)

    def collect(self) -> list[Family]:
        self.count += 1
        if self.count > 1:
            raise RuntimeError("no pages")
        return FAMILIES


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/-/healthy", "HEAD", 200),
        ("/metrics", "POST", 405),
        ("/-/healthy", "DELETE", 405),
        ("/metric", "GET", 404),
        ("/metrics/", "POST", 404),
    ],
)
def test_what_needs_no_numbers_is_answered_at_once(path: str, method: str, status: int) -> None:
    response = Scene().site.answer(request(path, method))
    assert response is not None
    assert response.status == status
    assert status != 405 or response.headers["Allow"] == "GET, HEAD"


def test_metrics_are_work_and_everybody_of_one_format_shares_an_answer() -> None:
    scene = Scene()
    wanted = [request("/metrics", accept=accept) for accept in ("", "text/plain", OPEN)]
    assert [scene.site.answer(one) for one in wanted] == [None] * 3
    first, second, third = scene.site.work(wanted)
    assert first is second
    assert first.content_type == Format.TEXT.value
    assert b'tierce_volume_sessions{volume="db"} 2\n' in b"".join(first.body)
    assert third.content_type == Format.OPENMETRICS.value
    assert third.body[-1] == b"# EOF\n"
    assert scene.count == 1


OPEN = "application/openmetrics-text"


def test_who_takes_gzip_gets_the_same_text_smaller() -> None:
    zipped = request("/metrics", **{"accept-encoding": "gzip"})
    first, second = Scene().site.work([request("/metrics"), zipped])
    assert gzip.decompress(b"".join(second.body)) == b"".join(first.body)
    assert second.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in first.headers


def test_what_can_not_be_collected_is_said_to_who_asked_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    scene.count = 1
    failed = scene.site.work([request("/metrics"), request("/metrics")])
    assert [one.status for one in failed] == [500, 500]
    assert b"RuntimeError: no pages" in failed[0].body[0]
    assert "metrics can't be collected" in caplog.text
