"""Jaeger and the collector as processes, on loopback, until they are closed."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from serving.processes import WAIT_S, free_port, wait_until
from system.peers.built import peers

#: Servers of Jaeger's besides.
_UNASKED = (
    *("query.grpc-server", "collector.grpc-server", "collector.http-server"),
    *("admin.http", "http-server"),
)


class Peer:
    """A program of the peers' build.

    Args:
        words: The program and its arguments.
        log: Where it writes what it says.
    """

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self._words = words
        self._log = log
        self.start()

    def __enter__(self) -> Self:
        wait_until(self.is_ready, f"{self._words[0]} is ready")
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            words = [str(peers() / self._words[0]), *self._words[1:]]
            self.process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)

    def is_ready(self) -> bool:
        raise NotImplementedError

    def story(self) -> str:
        return self._log.read_text(errors="replace")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
        return json.load(answer)


class Jaeger(Peer):
    """Jaeger, which keeps everything in memory.

    Attributes:
        grpc, http: Where it takes OTLP, as HOST:PORT.
        query: Where it is asked.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.grpc, self.http, self.query = (f"127.0.0.1:{free_port()}" for _ in range(3))
        places = {
            "collector.otlp.grpc": self.grpc,
            "collector.otlp.http": self.http,
            "query.http-server": self.query,
            # What nobody asks here, and would listen at every address.
            **dict.fromkeys(_UNASKED, "127.0.0.1:0"),
        }
        words = [f"--{name}.host-port={place}" for name, place in places.items()]
        words += [
            f"--processor.{name}.server-host-port=127.0.0.1:{free_port()}"
            for name in ("jaeger-compact", "jaeger-binary", "zipkin-compact")
        ]
        super().__init__(["all-in-one", "--collector.otlp.enabled=true", *words], folder / "log")

    def stop(self) -> None:
        # It has nothing to put away, and would take ten seconds for it.
        self.kill()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.story()
        try:
            self.services()
        except OSError:
            return False
        return True

    def services(self) -> list[str]:
        """Return the names of those who have sent spans."""
        return list(_get(f"http://{self.query}/api/services")["data"] or ())

    def traces(self, service: str, operation: str = "", limit: int = 20) -> list[dict[str, Any]]:
        """Return traces that a service has spans in, the newest first."""
        words = {"service": service, "limit": limit} | (
            {"operation": operation} if operation else {}
        )
        found = _get(f"http://{self.query}/api/traces?{urllib.parse.urlencode(words)}")
        return list(found["data"])


class Collector(Peer):
    """The OpenTelemetry collector; what arrives is written to files, a JSON object a line.

    Attributes:
        grpc, http: Where it takes OTLP, as HOST:PORT.
        forward: Where it takes Fluentd's forward protocol.
    """

    def __init__(self, folder: Path, protocols: dict[str, Any] | None = None) -> None:
        folder.mkdir()
        self.folder = folder
        self.grpc, self.http, self.forward = (f"127.0.0.1:{free_port()}" for _ in range(3))
        more = protocols or {}
        listening = {
            name: {"endpoint": place, **more}
            for name, place in (("grpc", self.grpc), ("http", self.http))
        }
        kinds = {"traces": "otlp", "metrics": "otlp", "logs": "fluentforward"}
        config = {
            "receivers": {
                "otlp": {"protocols": listening},
                "fluentforward": {"endpoint": self.forward},
            },
            "exporters": {
                f"file/{kind}": {
                    "path": str(self.file(kind)),
                    "append": True,
                    "flush_interval": "50ms",
                }
                for kind in kinds
            },
            "service": {
                # Its own would listen at a port that is always the same.
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    kind: {"receivers": [receiver], "exporters": [f"file/{kind}"]}
                    for kind, receiver in kinds.items()
                },
            },
        }
        # JSON is YAML.
        (folder / "config.yaml").write_text(json.dumps(config))
        super().__init__(["collector", "--config", str(folder / "config.yaml")], folder / "log")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.story()
        return "Everything is ready" in self.story()

    def file(self, kind: str) -> Path:
        """Return where "traces", "metrics" or "logs" go, over restarts."""
        return self.folder / f"{kind}.jsonl"

    def received(self, kind: str) -> list[dict[str, Any]]:
        """Return the requests that have arrived, those whose lines are whole."""
        path = self.file(kind)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def spans(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """Yield each span that has arrived, after the attributes of its resource."""
        for request in self.received("traces"):
            for whose in request["resourceSpans"]:
                resource = attributes(whose["resource"])
                for scope in whose["scopeSpans"]:
                    for span in scope["spans"]:
                        yield resource, span

    def metrics(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """Yield each metric that has arrived, after the attributes of its resource."""
        for request in self.received("metrics"):
            for whose in request["resourceMetrics"]:
                resource = attributes(whose["resource"])
                for scope in whose["scopeMetrics"]:
                    for metric in scope["metrics"]:
                        yield resource, metric


def attributes(holder: dict[str, Any]) -> dict[str, str]:
    """Return the attributes of a resource, span or point, as text."""
    return {one["key"]: str(*one["value"].values()) for one in holder.get("attributes", ())}
