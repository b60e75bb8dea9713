"""OpenTelemetry's exporters, as they are made and asked: over a socket that the test answers."""

from __future__ import annotations

import contextlib
import http.server
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from exporters.otlp.made import record
from serving.processes import free_port
from tierce import UsageError
from tierce_exporters.options import OtlpOptions
from tierce_exporters.otlp.destination import Signal
from tierce_exporters.otlp.metrics import metrics_data
from tierce_exporters.otlp.resources import Resources
from tierce_exporters.otlp.sending import Sender
from tierce_exporters.otlp.spans import to_spans
from tierce_exporters.otlp.verdict import LOGGER, ErrorKeeper, Verdict
from tierce_exporters.prometheus.metric import Family, Sample
from tierce_exporters.prometheus.table import VOLUME_BYTES

RESOURCES = Resources("service.otlp")
SPANS = to_spans([record()], RESOURCES)
POINTS = [Sample(("db", "write"), number) for number in range(3)]
METRICS = metrics_data([Family(VOLUME_BYTES, POINTS)], RESOURCES, 7)

#: More of these than any socket has room for.
PIECE, PIECE_COUNT = bytes(1 << 20), 64
#: Each in time for itself, and all together longer than a sending may take.
DRIP_S, DRIP_COUNT, TIMEOUT_S = 0.02, 100, 0.2


class Answering(http.server.ThreadingHTTPServer):
    """A collector that has one answer, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        #: So many pieces it answers with at most, and how many have been taken.
        self.piece_count = self.taken_count = 0
        #: What of its answer comes in drips: "head", "body" or nothing.
        self.drips_in = ""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        answering = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answering.requests.append((self.path, dict(self.headers), body))
                if answering.drips_in:
                    self.drip(answering.drips_in)
                    return
                self.send_response(answering.status)
                self.send_header("Content-Length", str(answering.piece_count * len(PIECE)))
                self.send_header("Location", f"{answering.url}/login")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for _ in range(answering.piece_count):
                        self.wfile.write(PIECE)
                        answering.taken_count += 1

            def drip(self, part: str) -> None:
                end = "x: " if part == "head" else f"Content-Length: {DRIP_COUNT}\r\n\r\n"
                with contextlib.suppress(OSError):
                    self.wfile.write(f"HTTP/1.1 200 OK\r\n{end}".encode())
                    for _ in range(DRIP_COUNT):
                        time.sleep(DRIP_S)
                        self.wfile.write(b"a")
                    self.wfile.write(b"\r\n\r\n" if part == "head" else b"")

            def log_message(self, *_words: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Answering]:
    with Answering() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def errors() -> Iterator[ErrorKeeper]:
    keeper, logger = ErrorKeeper(), logging.getLogger(LOGGER)
    logger.addHandler(keeper)
    yield keeper
    logger.removeHandler(keeper)


def test_spans_and_metrics_arrive_at_their_paths_with_the_headers(
    collector: Answering, errors: ErrorKeeper
) -> None:
    sender = Sender(OtlpOptions(endpoint=collector.url, headers={"x-key": "let me in"}), errors)
    assert sender.send_spans(SPANS) is Verdict.ARRIVED
    assert sender.send_metrics(METRICS) is Verdict.ARRIVED
    sender.close()
    assert [path for path, _headers, _body in collector.requests] == ["/v1/traces", "/v1/metrics"]
    assert all(headers["x-key"] == "let me in" for _path, headers, _body in collector.requests)
    sent = ExportTraceServiceRequest.FromString(collector.requests[0][2])
    assert sum(len(one.scope_spans[0].spans) for one in sent.resource_spans) == len(SPANS)


def test_a_collector_that_refuses_is_told_from_one_that_is_not_there(
    collector: Answering, errors: ErrorKeeper
) -> None:
    collector.status = 401
    sender = Sender(OtlpOptions(endpoint=collector.url), errors)
    assert sender.send_spans(SPANS) is Verdict.REFUSED
    assert "code: 401" in errors.why
    sender.close()
    for protocol in ("http/protobuf", "grpc"):
        nobody = f"http://127.0.0.1:{free_port()}"
        sender = Sender(OtlpOptions(endpoint=nobody, protocol=protocol, timeout=0.5), errors)
        assert sender.send_spans(SPANS) is Verdict.FAILED
        assert errors.why
        sender.close()


def test_each_refusal_of_a_collector_over_grpc_is_one(errors: ErrorKeeper) -> None:
    collector = grpc.server(ThreadPoolExecutor(1))
    port = collector.add_insecure_port("127.0.0.1:0")
    collector.start()
    sender = Sender(OtlpOptions(endpoint=f"http://127.0.0.1:{port}", protocol="grpc"), errors)
    for _ in range(2):
        assert sender.send_spans(SPANS) is Verdict.REFUSED
        assert "UNIMPLEMENTED" in errors.why
    sender.close()
    collector.stop(None)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_what_is_to_be_sent_elsewhere_has_not_arrived_and_where_is_told(
    status: int, collector: Answering, errors: ErrorKeeper
) -> None:
    collector.status = status
    sender = Sender(OtlpOptions(endpoint=collector.url, headers={"x-key": "secret"}), errors)
    assert sender.send_spans(SPANS) is Verdict.FAILED
    assert f"answers {status}: it is at {collector.url}/login; name that as the" in errors.why
    assert sender.send_metrics(METRICS) is Verdict.FAILED
    sender.close()
    assert [path for path, _headers, _body in collector.requests] == ["/v1/traces", "/v1/metrics"]


def test_of_an_answer_without_end_little_is_read(collector: Answering, errors: ErrorKeeper) -> None:
    collector.piece_count = PIECE_COUNT
    sender = Sender(OtlpOptions(endpoint=collector.url), errors)
    assert sender.send_spans(SPANS) is Verdict.ARRIVED
    sender.close()
    assert collector.taken_count < PIECE_COUNT


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_can_not_be_encoded_is_not_sent_again_and_why_is_told(
    protocol: str, errors: ErrorKeeper
) -> None:
    (span, *_more) = to_spans([record(start_ns=-(1 << 40))], RESOURCES)
    points = metrics_data([Family(VOLUME_BYTES, [Sample(("db", "write"), 1 << 64)])], RESOURCES, 7)
    nobody = f"http://127.0.0.1:{free_port()}"
    sender = Sender(OtlpOptions(endpoint=nobody, protocol=protocol, timeout=0.5), errors)
    assert sender.send_spans([span]) is Verdict.REFUSED
    assert "Failed to encode" in errors.why
    assert sender.send_metrics(points) is Verdict.REFUSED
    assert "Failed to encode" in errors.why
    sender.close()


@pytest.mark.parametrize(("part", "why"), [("head", "due to timeout"), ("body", "Read timed out")])
def test_an_answer_that_comes_in_drips_is_late(
    part: str, why: str, collector: Answering, errors: ErrorKeeper
) -> None:
    collector.drips_in = part
    sender = Sender(OtlpOptions(endpoint=collector.url, timeout=TIMEOUT_S), errors)
    assert sender.send_spans(SPANS) is Verdict.FAILED
    assert why in errors.why
    sender.close()


def test_a_header_that_can_not_be_sent_is_not_shown(
    collector: Answering, errors: ErrorKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=1234%0A5")
    sender = Sender(OtlpOptions(endpoint=collector.url), errors)
    assert sender.send_spans(SPANS) is Verdict.FAILED
    assert "a header has characters that none can have" in errors.why
    assert "1234" not in errors.why
    sender.close()
    assert collector.requests == []


def test_what_is_not_to_be_sent_has_no_exporter(errors: ErrorKeeper) -> None:
    sender = Sender(OtlpOptions(metrics=False), errors)
    assert sender.where == {Signal.TRACES: "http://localhost:4318/v1/traces"}
    sender.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    "options",
    [{"certificate": "PATH"}, {"client_certificate": "PATH", "client_key": "PATH"}],
    ids=lambda one: str(*list(one)[:1]),
)
def test_a_file_that_can_not_be_read_is_named(
    options: dict[str, Any], protocol: str, tmp_path: Path, errors: ErrorKeeper
) -> None:
    path = str(tmp_path / "absent.pem")
    made: dict[str, Any] = {"endpoint": "https://localhost:1", "protocol": protocol}
    made |= dict.fromkeys(options, path)
    with pytest.raises(UsageError, match=r"absent\.pem can't be read: "):
        Sender(OtlpOptions(**made), errors)
