"""The service over what services see, made up, and a collector that is there or is not."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from exporters.otlp.made import records
from exporters.seen import volume
from serving.processes import WAIT_S
from tierce import Event, Events, ServiceContext, Traces
from tierce_exporters.options import OtlpOptions
from tierce_exporters.otlp.service import OtlpService
from tierce_exporters.otlp.waiting import RECORD_COUNT_MAX

#: How long the end may take, whoever hangs.
STOP_S = 2.0
LOGGER = "exporters-test-otlp"


class Scene:
    """A service on a thread, whose time the test makes."""

    def __init__(self, **options: Any) -> None:
        self.waited = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self.traces = Traces(())
        self.is_over = False
        self.told: list[Event] = []
        context = ServiceContext(
            name="otlp",
            options=OtlpOptions(**options),
            statistics=lambda: {"db": volume()},
            events=lambda: Events(()),
            traces=self.take,
            wait=self.wait,
            act=cast("Any", None),
            emit=self.told.append,
            call_soon=cast("Any", None),
            logger=logging.LoggerAdapter(logging.getLogger(LOGGER), {}),
            publish_socket=cast("Any", None),
            find_service=cast("Any", None),
        )
        self.service = OtlpService(context)
        self.thread = threading.Thread(target=self.service.run, daemon=True)
        self.thread.start()
        assert self.waited.acquire(timeout=WAIT_S)

    def take(self) -> Traces:
        traces, self.traces = self.traces, Traces(())
        return traces

    def wait(self, _seconds: float) -> bool:
        self.waited.release()
        assert self.may_go_on.acquire(timeout=WAIT_S)
        return not self.is_over

    def pass_period(self, *traces: Traces) -> None:
        for one in traces or (Traces(()),):
            self.traces = one
            self.may_go_on.release()
            assert self.waited.acquire(timeout=WAIT_S)

    def close(self, within_s: float = WAIT_S) -> None:
        self.is_over = True
        self.may_go_on.release()
        self.thread.join(within_s)
        assert not self.thread.is_alive(), "it does not stop"


@pytest.fixture
def hung() -> Iterator[socket.socket]:
    """A collector that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT_S)
        yield listener


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_it_ends_in_time_though_its_collector_hangs(
    protocol: str, hung: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = hung.getsockname()
    scene = Scene(endpoint=f"http://{host}:{port}", protocol=protocol, metrics=False, timeout=60.0)
    scene.pass_period(Traces(tuple(records(3))))
    connection, _address = hung.accept()
    # It was asked: what has it said?
    assert connection.recv(1)
    scene.close(within_s=STOP_S)
    assert "3 I/Os were not sent before the end" in caplog.text
    connection.close()


def test_while_its_collector_hangs_what_waits_is_bounded_and_told_once(
    hung: socket.socket,
) -> None:
    host, port = hung.getsockname()
    scene = Scene(endpoint=f"http://{host}:{port}", timeout=60.0)
    many = Traces(tuple(records(RECORD_COUNT_MAX)))
    scene.pass_period(many, many, many)
    assert [(one.code, one.subject) for one in scene.told] == [
        ("exporter.dropping", "service/otlp")
    ]
    fields = scene.told[0].fields
    assert (fields["exporter"], list(fields["dropped"])) == ("otlp", ["records"])
    scene.close(within_s=STOP_S)


def test_where_it_sends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        scene = Scene(endpoint="http://127.0.0.1:9", metrics=False)
    scene.close()
    assert "sending to http://127.0.0.1:9/v1/traces" in caplog.messages


def test_what_opentelemetry_logs_is_its_own_again_when_it_has_ended() -> None:
    logger = logging.getLogger("opentelemetry")
    before = list(logger.handlers), logger.propagate
    scene = Scene(endpoint="http://127.0.0.1:9")
    assert not logger.propagate
    scene.close()
    assert (logger.handlers, logger.propagate) == before
