"""A real `tierce serve` on a folder of its own, and what tests do to its processes."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from system.initiator import BrokenSessionError, Session

WAIT_S = 60.0
IQN = "iqn.2026-11.io.tierce"


def wait_until(is_true: Callable[[], Any], what: str, within_s: float = WAIT_S) -> None:
    """Look until it is so; how long that took is no matter."""
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def free_port() -> int:
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


def volume(name: str, engine: str, size: str = "64 MiB", **options: Any) -> dict[str, Any]:
    """A volume as the config file has it."""
    entry = {"name": name, "size": size, "engine": engine, "frontend": "iscsi"}
    return {**entry, "options": options} if options else entry


def jiva(
    name: str, size: str = "64 MiB", folders: Sequence[str] | None = None, **options: Any
) -> dict[str, Any]:
    """A replicated volume; without `folders` it has three beside the config file."""
    where = folders or [f"./{name}-{index}" for index in range(3)]
    replicas = [{"folder": folder} for folder in where]
    return volume(name, "jiva", size, replicas=replicas, **options)


class Server:
    """`tierce serve` on one folder; `kill` takes what it is told, `close` all that is left."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        hosts: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        self.folder = folder
        self.hosts = hosts
        self.data = folder / "data"
        self.file = folder / "tierce.yaml"
        self.out = folder / "out.txt"
        self.port = free_port()
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, *volumes: dict[str, Any], **more: Any) -> None:
        listen = {"iscsi": {"listen": [f"{host}:{self.port}" for host in self.hosts]}}
        config = {"data_dir": "./data", "frontends": listen, "volumes": list(volumes), **more}
        # JSON is YAML.
        self.file.write_text(json.dumps(config, indent=1))

    def start(self) -> None:
        """Start serving; whoever served before must have ended."""
        with self.out.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tierce.cli.main", "serve", str(self.file)],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment,
            )

    def run(self, *names: str) -> None:
        """Start, and wait until each volume answers an initiator."""
        self.start()
        for name in names:
            self.session(name).close()

    def said(self) -> str:
        return self.out.read_text()

    def url(self, name: str = "demo") -> str:
        return f"iscsi://{self.hosts[0]}:{self.port}/{IQN}:{name}/0"

    def session(self, name: str = "demo", initiator: str = "tests") -> Session:
        """Log in, as soon as that is possible."""
        deadline = time.monotonic() + WAIT_S
        refusal = ""
        while time.monotonic() < deadline:
            assert self.is_serving, f"tierce serve has ended:\n{self.said()}"
            try:
                return Session(self.url(name), f"{IQN}:{initiator}")
            except BrokenSessionError as error:
                refusal = str(error)
            time.sleep(0.05)
        raise AssertionError(f"no login: {refusal}\n{self.said()}")

    def pids(self) -> dict[str, int]:
        """The processes by name, the server itself as `serve`."""
        found = {}
        for path in (self.data / "run").glob("*.lock"):
            with contextlib.suppress(ValueError, KeyError):
                pid = int(json.loads(path.read_text())["pid"])
                if is_alive(pid) and self._is_ours(pid):
                    found[path.stem] = pid
        if self._process is not None and self._process.poll() is None:
            found["serve"] = self._process.pid
        return found

    def kill(self, names: Iterable[str]) -> None:
        """Kill -9 these processes, as nearly at once as one process can."""
        pids = self.pids()
        wanted = [(name, pids[name]) for name in names if name in pids]
        for _name, pid in wanted:
            os.kill(pid, signal.SIGKILL)
        if self._process is not None and ("serve", self._process.pid) in wanted:
            self._process.wait(WAIT_S)

    @contextlib.contextmanager
    def stopped(self, names: Iterable[str]) -> Iterator[None]:
        """Let these processes hang meanwhile, as on a machine that swaps or a disk that stalls."""
        pids = self.pids()
        hanging = [pids[name] for name in names if name in pids]
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in hanging:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def kill_all(self) -> None:
        self.kill(self.pids())
        wait_until(lambda: not self.pids(), "all are dead")

    @property
    def is_serving(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End orderly, as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(WAIT_S) == 0, self.said()

    def rss_kib(self, name: str) -> int:
        """The resident memory of a process."""
        status = Path(f"/proc/{self.pids()[name]}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found
        return int(found[1])

    def heads(self, name: str = "demo") -> list[Path]:
        """Return the file that holds each replica's bytes."""
        volumes = {one["name"]: one for one in json.loads(self.file.read_text())["volumes"]}
        folders = [each["folder"] for each in volumes[name]["options"]["replicas"]]
        return [next((self.folder / folder).glob("head-*.img")) for folder in folders]

    def is_whole(self, name: str = "demo") -> bool:
        """Whether every replica is in the in-sync set."""
        shown = self.command("volume", "show", name, "--output", "json")
        states = json.loads(shown.stdout).get("replicas", []) if shown.returncode == 0 else []
        return bool(states) and all(replica["state"] == "in-sync" for replica in states)

    def are_heads_equal(self, name: str = "demo") -> bool:
        """Whether every replica holds the same bytes."""
        first, *others = self.heads(name)
        return all(filecmp.cmp(first, other, shallow=False) for other in others)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tierce.cli.main", *words],
            cwd=self.folder,
            env={**self._environment, "TIERCE_DATA_DIR": str(self.data)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for pid in self.pids().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is of this folder (the pid in an old lock file may be another's)."""
        with contextlib.suppress(OSError):
            return str(self.data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False
