"""A real Prometheus: Debian's package, unpacked and not installed, on a folder of its own."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from serving.processes import WAIT_S, free_port, wait_until

BUILT = Path(__file__).resolve().parents[2] / "build" / "prometheus"
#: What unpacking needs, by program name.
PROGRAMS = ("apt-get", "dpkg-deb")
PACKAGE = "prometheus"
FEATURES = "native-histograms,exemplar-storage"
#: What a reader that knows one format alone asks for.
ACCEPTS = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
}


class UnpackError(Exception):
    """The package can't be had here; the message says why."""


def unpacked() -> Path:
    """Return the folder of its programs, fetched first if they aren't there."""
    BUILT.mkdir(parents=True, exist_ok=True)
    programs = BUILT / "tree" / "usr" / "bin"
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not programs.exists():
            with tempfile.TemporaryDirectory(dir=BUILT) as folder:
                _fetch(Path(folder))
                (Path(folder) / "tree").rename(BUILT / "tree")
    return programs


def _fetch(folder: Path) -> None:
    # Root's downloads go through a user who can't write here.
    options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    _run("apt-get", *options, "-qq", "download", PACKAGE, at=folder)
    _run("dpkg-deb", "-x", *map(str, folder.glob("*.deb")), "tree", at=folder)


def _run(*words: str, at: Path) -> None:
    done = subprocess.run(words, cwd=at, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnpackError(f"{' '.join(words)}: {done.stderr or done.stdout}")


class Asking(http.server.ThreadingHTTPServer):
    """Passes scrapes on with another Accept, since Prometheus 2.42 can't be told which format to
    like best: /text and /openmetrics."""

    def __init__(self, exporter: str) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                accept = {"Accept": ACCEPTS[self.path.strip("/")]}
                request = urllib.request.Request(f"http://{exporter}/metrics", headers=accept)
                with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                    body = answer.read()
                self.send_response(200)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Prometheus:
    """Prometheus on loopback, until it is closed.

    Args:
        folder: Where it keeps everything.
        scrape_configs: What it scrapes.
        rule_files: Rules that it evaluates.
    """

    def __init__(
        self,
        folder: Path,
        scrape_configs: Sequence[dict[str, Any]],
        rule_files: Sequence[Path] = (),
    ) -> None:
        folder.mkdir()
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config = {
            "global": every,
            "scrape_configs": list(scrape_configs),
            "rule_files": [str(path) for path in rule_files],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self._address = f"127.0.0.1:{free_port()}"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(unpacked() / "prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self._address}",
                    f"--enable-feature={FEATURES}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        wait_until(self._is_ready, "Prometheus is ready")
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now."""
        words = urllib.parse.urlencode({"query": expression})
        found = self._get(f"/api/v1/query?{words}")
        assert found["status"] == "success", found
        result = found["data"]["result"]
        assert isinstance(result, list)
        return result

    def value(self, expression: str) -> float | None:
        """Return the one value of an expression; None if it has none yet."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def exemplars(self, metric: str, job: str) -> set[str]:
        """Return the ids of the traces that a metric of a job names."""
        span = {"query": f'{metric}{{job="{job}"}}', "start": "0", "end": str(time.time() + 60)}
        found = self.get(f"/api/v1/query_exemplars?{urllib.parse.urlencode(span)}")
        return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}

    def get(self, path: str) -> Any:
        """Return what the API says at a path."""
        return self._get(path)["data"]

    def story(self) -> str:
        return self._log.read_text(errors="replace")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.story()
        try:
            urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=WAIT_S).close()
        except OSError:
            return False
        return True

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self._address}{path}", timeout=WAIT_S) as answer:
            return json.load(answer)


def promtool(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own checker."""
    program = shutil.which("promtool", path=str(unpacked()))
    assert program
    return subprocess.run(
        [program, *words], input=given, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
