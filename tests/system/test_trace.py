"""I/Os are followed one by one while real processes serve them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva
from system.conftest import refuse
from system.peers.built import BuildError, peers
from system.peers.running import Jaeger
from system.test_otlp import check_write
from tierce.process.client import ask

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]


@contextmanager
def tracing(
    server: Server, *words: str, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Run `tierce volume trace demo` beside what follows, once it has begun."""
    command = [sys.executable, "-m", "tierce.cli.main", "volume", "trace", "demo", *words]
    with subprocess.Popen(
        [*command, "--data-dir", str(server.data)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stderr is not None, "a pipe"
            assert "volume demo is followed" in running.stderr.readline()
            yield running
        finally:
            running.kill()


def is_followed(server: Server) -> bool:
    """True while somebody follows: a second one is refused."""
    try:
        ask(
            server.data,
            {
                "do": "act",
                "volume": "demo",
                "part": "tracer",
                "action": "follow",
                "arguments": {"for_s": 0.1},
            },
        )
    except Exception as error:  # noqa: BLE001 - whichever it is, it says so
        return "somebody else follows" in str(error)
    return False


def spans_of(line: str) -> list[dict[str, Any]]:
    return [
        span
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def test_each_write_is_followed_to_its_three_replicas_and_back(server: Server) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    session = server.session("demo")
    wanted = ("--every", "1", "--operation", "write", "--count", "3", "--for", "60s")
    with tracing(server, *wanted, "--output", "json") as running:
        for number in range(3):
            session.write_now(4096 * number, bytes(4096))
        out, err = running.communicate(timeout=30)
    assert (running.returncode, len(out.splitlines())) == (0, 3)
    assert "3 I/Os of volume demo shown" in err
    for line in out.splitlines():
        spans = {span["spanId"]: span for span in spans_of(line)}
        names = [span["name"] for span in spans.values()]
        assert names.count("jiva.replica") == 3
        assert {"volume.write", "frontend.parse", "device", "frontend.answer"} <= set(names)
        for span in spans.values():
            above = spans.get(span.get("parentSpanId", ""), span)
            assert int(above["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
            assert int(above["endTimeUnixNano"]) >= int(span["endTimeUnixNano"])
    session.close()
    server.stop()


def test_jaeger_takes_what_it_prints(server: Server, tmp_path: Path) -> None:
    try:
        peers()
    except BuildError as error:
        refuse(str(error))
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    session = server.session("demo")
    wanted = ("--every", "1", "--operation", "write", "--count", "1", "--for", "60s")
    with tracing(server, *wanted, "--output", "json") as running:
        session.write_now(0, bytes(4096))
        out, _err = running.communicate(timeout=30)
    session.close()
    server.stop()
    with Jaeger(tmp_path / "jaeger") as jaeger:
        sent = urllib.request.Request(
            f"http://{jaeger.http}/v1/traces",
            data=out.encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(sent, timeout=30) as answer:
            assert answer.status == 200
        wait_until(lambda: jaeger.traces("tierce-target"), "the write is there")
        (trace,) = jaeger.traces("tierce-target", "volume.write")
    check_write(trace)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_when_the_command_ends_all_is_as_it_was(server: Server, how: signal.Signals) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    with tracing(server, "--for", "1h") as running:
        assert is_followed(server)
        running.send_signal(how)
        running.wait(30)
        wait_until(lambda: not is_followed(server), "nobody follows any more")
    server.stop()
