"""A real server sends to a real Jaeger and a real collector, which come and go and hang."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml

from serving.processes import WAIT_S, wait_until
from serving.server import Server
from serving.volumes import jiva
from system.conftest import refuse
from system.peers.built import PROGRAM, BuildError, peers
from system.peers.running import Collector, Jaeger, attributes

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi", PROGRAM)]

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "otlp.md"
BLOCK = b"traced!!" * 64
#: More than are between two that are sampled.
MANY = 1100
REPLICAS = {"replica-1", "replica-2", "replica-3"}
#: How long the service may take to end, whoever hangs; the rest is the server's own.
STOP_S = 2.0
PROTOCOLS = ("grpc", "http/protobuf")


@pytest.fixture(autouse=True, scope="module")
def programs() -> None:
    """Have Jaeger and the collector, or say why not."""
    try:
        peers()
    except BuildError as error:
        refuse(str(error))


def run(server: Server, **options: Any) -> None:
    """Serve one volume of three replicas, and send."""
    server.configure(jiva("demo", "16 MiB"), services={"otlp": options})
    server.run("demo")
    log = server.data / "logs" / "service.otlp.log"
    # What was written before is not sent.
    wait_until(lambda: "sending to" in log.read_text(), "the exporter is there")


def write(server: Server, count: int) -> None:
    session = server.session("demo")
    for index in range(count):
        session.write_now(index % 128 * 512, BLOCK)
    session.close()


def is_traced(server: Server, is_there: Callable[[], object]) -> int:
    """Write until the collector has a trace, and return how often: what is written before the
    exporter has looked the first time is not sent."""
    counts = itertools.count()

    def look() -> bool:
        next(counts)
        write(server, MANY)
        return bool(is_there())

    wait_until(look, "there is a trace")
    return MANY * next(counts)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_jaeger_shows_a_write_with_its_device_and_three_replicas(
    protocol: str, server: Server, tmp_path: Path
) -> None:
    with Jaeger(tmp_path / "jaeger") as jaeger:
        where = jaeger.grpc if protocol == "grpc" else jaeger.http
        run(server, endpoint=f"http://{where}", protocol=protocol, metrics=False)
        is_traced(server, lambda: jaeger.traces("tierce-target", "volume.write"))
        server.stop()
        for trace in jaeger.traces("tierce-target", "volume.write"):
            check_write(trace)


def check_write(trace: dict[str, Any]) -> None:
    """One write: who is below whom, whose it is, children inside of parents, times that add up."""
    spans = {one["spanID"]: one for one in trace["spans"]}
    parents = {
        key: next((one["spanID"] for one in span["references"]), "") for key, span in spans.items()
    }
    whose = {key: trace["processes"][one["processID"]]["serviceName"] for key, one in spans.items()}
    names = {key: one["operationName"] for key, one in spans.items()}
    (whole,) = [key for key, parent in parents.items() if not parent]
    assert names[whole] == "volume.write"
    (device,) = [key for key, name in names.items() if name == "device"]
    assert parents[device] == whole
    asked = {key for key, name in names.items() if name == "jiva.replica"}
    above = {names[parents[key]] for key in asked}
    assert above in ({"device"}, {"jiva.replicate"})
    assert {tags(spans[key])["tierce.replica.name"] for key in asked} == REPLICAS
    assert tags(spans[whole])["tierce.volume.name"] == "demo"
    for key, span in spans.items():
        is_replicas = names[key].startswith("replica.")
        assert whose[key] == ("tierce-replica" if is_replicas else "tierce-target")
        if key != whole:
            parent = spans[parents[key]]
            # Jaeger counts in microseconds: each end is cut to one.
            assert span["startTime"] >= parent["startTime"]
            end = span["startTime"] + span["duration"]
            assert end <= parent["startTime"] + parent["duration"] + 1
    # A write waits for all its replicas.
    longest = max(spans[key]["duration"] for key in asked)
    assert longest <= spans[device]["duration"] <= spans[whole]["duration"]


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in span["tags"]}


def test_what_was_asked_within_a_trace_and_what_the_server_did_are_spans_too(
    server: Server, tmp_path: Path
) -> None:
    trace_id, parent_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with Jaeger(tmp_path / "jaeger") as jaeger:
        run(server, endpoint=f"http://{jaeger.http}", metrics=False)
        server.env["TRACEPARENT"] = f"00-{trace_id}-{parent_id}-01"
        words = ("id=mine", "--data-dir", str(server.data))
        for name in ("hold", "release"):
            done = server.command("volume", "act", "demo", "target", name, *words)
            assert done.returncode == 0, done.stderr
            # One that nobody follows is told to nobody.
            server.env["TRACEPARENT"] = ""
        server.kill(["target.demo"])
        found = jaeger.traces
        wait_until(lambda: found("tierce-server", "action.done"), "the action is there")
        wait_until(lambda: found("tierce-target", "jiva.volume.serving"), "so is the opening")
        (action,) = found("tierce-server", "action.done")
        assert action["traceID"] == trace_id
        (span,) = action["spans"]
        assert [one["spanID"] for one in span["references"]] == [parent_id]
        assert tags(span)["tierce.action.action"] == "hold"
        (opened,) = found("tierce-target", "jiva.volume.serving")[0]["spans"]
        assert tags(opened)["tierce.volume.name"] == "demo"
        server.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_gets_what_is_counted_and_what_is_traced(
    protocol: str, server: Server, tmp_path: Path
) -> None:
    with Collector(tmp_path / "collector") as collector:
        where = collector.grpc if protocol == "grpc" else collector.http
        run(server, endpoint=f"http://{where}", protocol=protocol, period=1)
        count = is_traced(server, lambda: list(collector.spans()))
        wait_until(lambda: counted(collector) == count, f"{count} writes are counted")
        server.stop()
        instances = {resource["service.instance.id"] for resource, _metric in collector.metrics()}
        assert instances == {
            *("target.demo", "service.otlp"),
            *(f"member.demo.{name}" for name in REPLICAS),
        }


def counted(collector: Collector) -> int:
    """Return how many writes the last histogram has."""
    found = 0
    for _resource, metric in collector.metrics():
        if metric["name"] == "tierce_volume_operation_duration_seconds":
            for point in metric["exponentialHistogram"]["dataPoints"]:
                if attributes(point)["operation"] == "write":
                    assert sum(map(int, point["positive"]["bucketCounts"])) == int(point["count"])
                    found = int(point["count"])
    return found


def test_a_collector_that_was_away_gets_what_happened_meanwhile(
    server: Server, tmp_path: Path
) -> None:
    with Collector(tmp_path / "collector") as collector:
        run(server, endpoint=f"http://{collector.http}", metrics=False)
        is_traced(server, lambda: list(collector.spans()))
        collector.kill()
        before = len(list(collector.spans()))
        log = server.data / "logs" / "service.otlp.log"

        def is_missed() -> bool:
            write(server, MANY)
            return "can't send traces to" in log.read_text()

        wait_until(is_missed, "it is told that nobody is there")
        collector.start()
        wait_until(lambda: len(list(collector.spans())) > before, "what happened is sent")
        assert "again" in log.read_text()
        server.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_stops_in_time_though_a_collector_hangs(protocol: str, server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        hung.settimeout(WAIT_S)
        host, port = hung.getsockname()
        run(server, endpoint=f"http://{host}:{port}", protocol=protocol, period=1)
        connection, _address = hung.accept()
        assert connection.recv(1)
        pid = server.pids()["service.otlp"]
        began_s = time.monotonic()
        server.send(signal.SIGINT)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the service has ended")
        assert time.monotonic() - began_s < STOP_S + 1.0
        assert server.wait() == 0
        connection.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    shown, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-days", "2", "-subj", "/CN=collector", "-keyout", str(key)]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(shown)]
    subprocess.run(words, check=True, capture_output=True)
    return shown, key


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_by_tls_it_arrives_where_the_certificate_is_trusted_and_nowhere_else(
    protocol: str, certificate: tuple[Path, Path], server: Server, tmp_path: Path
) -> None:
    shown, key = map(str, certificate)
    # Many machines have this set for other programs.
    server.env["REQUESTS_CA_BUNDLE"] = certifi.where()
    tls = {"tls": {"cert_file": shown, "key_file": key, "client_ca_file": shown}}
    with Collector(tmp_path / "collector", tls) as collector:
        where = collector.grpc if protocol == "grpc" else collector.http
        options = {"endpoint": f"https://{where}", "protocol": protocol, "period": 1}
        mutual = {"certificate": shown, "client_certificate": shown, "client_key": key}
        run(server, **options, **mutual)
        wait_until(lambda: list(collector.metrics()), "metrics arrive")
        server.stop()
        received = len(collector.received("metrics"))
        # Without what it is to be trusted by, nothing is sent.
        run(server, **options, timeout=0.5)
        log = server.data / "logs" / "service.otlp.log"
        wait_until(lambda: "can't send metrics to" in log.read_text(), "that is told")
        server.stop()
        assert len(collector.received("metrics")) == received


def test_the_environment_says_where_and_an_example_of_the_page_is_enough(
    server: Server, tmp_path: Path
) -> None:
    with Collector(tmp_path / "collector") as collector:
        (section,) = re.findall(r"```yaml\n(services:\n  otlp: \{\}\n)```", PAGE.read_text())
        server.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{collector.grpc}"
        server.env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
        run(server, **yaml.safe_load(section)["services"]["otlp"])
        wait_until(lambda: list(collector.metrics()), "metrics arrive")
        server.stop()
