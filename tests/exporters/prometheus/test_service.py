"""The service over what services see, made up, on loopback."""

from __future__ import annotations

import http.client
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from exporters.seen import record, volume
from tierce import Event, Events, RecordedEvent, ServiceContext, Traces
from tierce_exporters.options import PrometheusOptions
from tierce_exporters.prometheus.service import PrometheusService

WAIT_S = 60.0


class Scene:
    """A service on a thread, whose time the test makes."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.file = folder / "found.json"
        self.periods: list[bool] = []
        self.waited = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        event = Event("volume.health", "told", "volume/db", "warning")
        self.events = Events((RecordedEvent(1, 1.0, event),), lost=3)
        self.traces = Traces((record(),), lost=2, left_out=5)
        self.is_over = False
        made = PrometheusOptions(listen=("127.0.0.1:0",), discovery_file=str(self.file), **options)
        context = ServiceContext(
            name="prometheus",
            options=made,
            statistics=lambda: {"db": volume()},
            events=lambda: self.events,
            traces=lambda: self.traces,
            wait=self.wait,
            act=cast("Any", None),
            emit=cast("Any", None),
            call_soon=cast("Any", None),
            logger=logging.LoggerAdapter(logging.getLogger("exporters-test"), {}),
            publish_socket=cast("Any", None),
            find_service=cast("Any", None),
        )
        self.service = PrometheusService(context)
        self.thread = threading.Thread(target=self.service.run)
        self.thread.start()
        assert self.waited.acquire(timeout=WAIT_S)

    def wait(self, _seconds: float) -> bool:
        self.waited.release()
        assert self.may_go_on.acquire(timeout=WAIT_S)
        return not self.is_over

    def pass_period(self) -> None:
        self.may_go_on.release()
        assert self.waited.acquire(timeout=WAIT_S)

    def get(self, path: str = "/metrics", accept: str = "*/*") -> tuple[int, str]:
        (target,) = json.loads(self.file.read_text())[0]["targets"]
        client = http.client.HTTPConnection(target, timeout=WAIT_S)
        client.request("GET", path, headers={"Accept": accept})
        response = client.getresponse()
        body = response.read().decode()
        client.close()
        return response.status, body

    def close(self) -> None:
        self.is_over = True
        self.may_go_on.release()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_metrics_are_read_when_they_are_asked_for(scene: Scene) -> None:
    status, body = scene.get()
    assert status == 200
    assert 'tierce_volume_bytes_total{volume="db",operation="write"} 1024\n' in body
    assert "tierce_process_up" in body


def test_where_it_listens_is_logged_with_the_port_that_it_was_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "exporters-test"):
        scene = Scene(tmp_path)
    (target,) = json.loads(scene.file.read_text())[0]["targets"]
    scene.close()
    assert f"listening at {target}" in caplog.messages


def test_what_happens_from_its_start_on_is_followed(scene: Scene) -> None:
    assert 'code="volume.health"' in scene.get()[1]


def test_events_are_counted_whether_somebody_scrapes_or_not(scene: Scene) -> None:
    scene.pass_period()
    scene.pass_period()
    body = scene.get()[1]
    assert 'tierce_events_total{code="volume.health",severity="warning"} 3\n' in body
    assert 'tierce_exporter_dropped_total{exporter="prometheus",kind="events"} 9\n' in body


def test_io_that_was_written_down_is_shown_as_exemplars_and_what_was_missed_is_counted(
    scene: Scene,
) -> None:
    scene.pass_period()
    scene.pass_period()
    body = scene.get(accept="application/openmetrics-text")[1]
    (line,) = [line for line in body.splitlines() if " # " in line]
    assert line.startswith("tierce_volume_operation_duration_seconds_bucket{")
    assert f'# {{trace_id="{record().trace_id}"}} 0.06 ' in line
    assert 'tierce_trace_records_lost_total{kind="overwritten"} 6\n' in body
    assert 'tierce_trace_records_lost_total{kind="left-out"} 15\n' in body


def test_it_says_that_it_is_there_without_reading_anything(scene: Scene) -> None:
    assert scene.get("/-/healthy") == (200, "healthy\n")
